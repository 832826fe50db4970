"""What lint looks at, and what it finds.

Enters: nothing.  Leaves: Subject, Finding and their parts.  No I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.checks.lint.source import Allow
from orchestrator.checks.types import Shape
from orchestrator.config import Flavour
from orchestrator.revisions.types import LiveReason, Step

Severity = Literal["notice", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("notice", "warning", "error")
"""From the mildest to the worst."""

Algorithm = Literal["instant", "nocopy", "inplace", "copy"]
Lock = Literal["none", "shared", "exclusive"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a MySQL or MariaDB server says of one statement, asked on an empty copy of its table.

    algorithm: the lightest that it accepts. lock: the weakest that it accepts with it. rebuilds:
    whether the table's id changed, so that every row is written anew. refused: the server's words
    where it takes the statement in no way.
    """

    algorithm: Algorithm
    lock: Lock
    rebuilds: bool
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """One statement of a revision. line: in the revision file, 0 when it is not known.
    transactional: whether it stands in a transaction with others. answer: MySQL and MariaDB."""

    text: str
    line: int = 0
    transactional: bool = True
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What only a real table knows: the largest over the targets that were asked. target: where.
    row_versions: used up by instant changes (MySQL 8.0.29 and later), None elsewhere."""

    rows: int
    bytes: int
    target: str = ""
    row_versions: int | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """One revision in one direction on one flavour, with all that rules may ask.

    file: relative to the project. sent: its statements; of a live step those that it sent on a
    scratch database. before, after: the schema around it; None without a scratch database.
    failed: the server's words where its upgrade did not run on scratch, failed_line: where.
    undone: the schema after its downgrade, for an upgrade; None when that was not run.
    undo_failed: why its downgrade did not run; "" when it did. has_downgrade: whether its file
    defines one that does something; downgrade_line: where, 0 when it defines none at all.
    tables: real tables by name; empty when none were asked. reasons: why it is live. asked: whether
    a server was asked about its statements. allows: the comments of its file; unused: those that no
    finding needed, None before all other rules ran.
    """

    bind: str
    flavour: Flavour
    step: Step
    file: str
    sent: tuple[Sent, ...] = ()
    live: bool = False
    before: Shape | None = None
    after: Shape | None = None
    undone: Shape | None = None
    undo_failed: str = ""
    has_downgrade: bool = True
    tables: Mapping[str, TableFacts] = field(default_factory=dict)
    failed: str = ""
    failed_line: int = 0
    downgrade_line: int = 0
    reasons: tuple[LiveReason, ...] = ()
    asked: bool = False
    allows: tuple[Allow, ...] = ()
    unused: tuple[Allow, ...] | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule says of a subject. line: 0 for the revision as a whole. todo: the safer way."""

    message: str
    todo: str = ""
    line: int = 0
    statement: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of lint. file: relative to the project. allowed: the reason of the comment that
    allows it, "" when none does."""

    rule: str
    severity: Severity
    bind: str
    flavour: str
    revision: str
    direction: str
    file: str
    line: int
    message: str
    todo: str = ""
    statement: str = ""
    allowed: str = ""


@dataclass(frozen=True, slots=True)
class NotChecked:
    """Rules that could not be asked about some revisions of a bind, and why."""

    bind: str
    flavour: str
    rules: tuple[str, ...]
    reason: str
    todo: str = ""
    revisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LintReport:
    """What lint found. revisions: how many it looked at, whatever the number of flavours."""

    findings: tuple[Finding, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    revisions: int = 0

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings at or above a severity that no comment allows."""
        lowest = SEVERITIES.index(severity)
        return tuple(
            one
            for one in self.findings
            if not one.allowed and SEVERITIES.index(one.severity) >= lowest
        )
