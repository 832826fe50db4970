"""What applying gives: an Outcome for each target, and why it failed when it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.fleet.types import Target


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a target stopped.

    message: the server's, or the exception's, on one line. revision: the step it stopped in, ""
    when it stopped before one. where: file:line in the revision file. statement: the SQL that
    failed, without parameters, "" when none did.
    """

    message: str
    revision: str = ""
    where: str = ""
    statement: str = ""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did to one target.

    result: "done" (steps were taken), "unchanged" (nothing to do), "failed", "not-started" (the run
    was interrupted before or inside it). before and after: the version table's rows; after is what
    was last known to be committed. steps: revisions taken, in order. seconds: wall time.
    """

    target: Target
    result: Literal["done", "unchanged", "failed", "not-started"]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    failure: Failure | None = None
    seconds: float = 0.0
    statements: int = 0
    attempts: int = 1
    waited: float = 0.0
