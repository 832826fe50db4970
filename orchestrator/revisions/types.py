"""The types of the revisions floor: steps, and what recording a step gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal


class Direction(StrEnum):
    """Which function of a revision file a step runs."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"


@dataclass(frozen=True, slots=True)
class VersionChange:
    """One change of the version table's rows that a step makes.

    insert: `new` is added. delete: `old` goes. update: `old` becomes `new`.
    """

    kind: Literal["insert", "delete", "update"]
    old: str | None = None
    new: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One revision in one direction, from one state, with what it does to the version table."""

    revision: str
    direction: Direction
    message: str
    file: Path
    changes: tuple[VersionChange, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """Statements that run together: in one transaction, or each for itself (an autocommit block).

    Statement texts are exactly what the driver sends, without a trailing semicolon. Bytes that are
    not UTF-8 (binary literals on MySQL) are surrogate escapes: encode with "surrogateescape".
    lines: the line of the revision file that sent each statement, for whoever must repair one; they
    are no part of what a segment is.
    """

    statements: tuple[str, ...]
    transactional: bool = True
    lines: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class LiveReason:
    """Why a step cannot be compiled. name: one word ("reads-result", ...); where: file:line of the
    revision file; detail: a sentence for a person."""

    name: str
    where: str
    detail: str


@dataclass(frozen=True, slots=True)
class Recording:
    """What one revision does in one direction on one flavour: segments of statements, or the
    reasons why it is live (then segments is empty)."""

    revision: str
    direction: Direction
    segments: tuple[Segment, ...] = ()
    live: tuple[LiveReason, ...] = ()
