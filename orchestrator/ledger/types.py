"""Runs and outcomes as the ledger keeps them: plain values, the same in its tables and in a spool.

Enters: nothing.  Leaves: the types of the ledger floor.  Texts are already free of passwords: who
makes them (the command line) blots those out.  Times are UTC, without a time zone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

RunResult = Literal["running", "done", "failed", "interrupted"]
OutcomeResult = Literal["planned", "done", "unchanged", "failed", "not-started"]

UNFINISHED: tuple[OutcomeResult, ...] = ("failed", "not-started", "planned")
"""What `--failed` takes up again; "planned" in a run that has ended means that it was interrupted
before this target's outcome was written."""


@dataclass(frozen=True, slots=True)
class Process:
    """Who runs: the process, and how to tell it from another that has its number later.

    birth: what two processes of one number never share (see `process.birth_of`), "" where the
    system does not tell.
    """

    host: str
    pid: int
    birth: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a plan.

    who: the user, and whoever is behind it when that is known. git_commit: of the project, with
    "+dirty" behind it when files differ. command: as typed. plan_digest: "" until it is known.
    seen: when the process last said that it lives. error: why it ended, when not for its targets.
    """

    id: str
    who: str
    host: str
    pid: int
    birth: str
    version: str
    verb: str
    command: str
    started: datetime
    seen: datetime
    ended: datetime | None = None
    result: RunResult = "running"
    git_commit: str = ""
    plan_digest: str = ""
    error: str = ""

    @property
    def process(self) -> Process:
        """The process that it was, or is."""
        return Process(self.host, self.pid, self.birth)


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """What became of one target in a run. Targets for which nothing was planned have none (see
    BindCount); "unchanged" is one that was found done when its turn came.

    number: unique in the run. target: its id as people saw it. from_revisions, to_revisions: joined
    by commas, "" for base. steps: how many were taken. where_at: file:line in the revision file.
    cause: what failures of one cause share (see `causes.cause_of`).
    """

    number: int
    target: str
    bind: str
    server: str
    tenant: str | None
    schema_name: str | None
    database_name: str | None
    result: OutcomeResult
    from_revisions: str = ""
    to_revisions: str = ""
    steps: int = 0
    statements: int = 0
    attempts: int = 0
    waited: float = 0.0
    seconds: float = 0.0
    error: str = ""
    revision: str = ""
    where_at: str = ""
    statement: str = ""
    todo: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class BindCount:
    """How far a run came with one bind. planned: all its targets; the others are parts of it, and
    what none of them counts had no outcome yet."""

    bind: str
    planned: int = 0
    done: int = 0
    unchanged: int = 0
    failed: int = 0
    not_started: int = 0

    @property
    def ended(self) -> int:
        """How many targets were brought to an end, good or bad."""
        return self.done + self.unchanged + self.failed

    @property
    def open(self) -> int:
        """How many targets have no outcome."""
        return self.planned - self.ended - self.not_started


@dataclass(frozen=True, slots=True)
class Batch:
    """What is new of a run since it began: written at once, and as often as need be without harm.

    counts: whole, not what was added. Empty texts and None leave what is known already.
    """

    seen: datetime
    outcomes: tuple[OutcomeRow, ...] = ()
    counts: tuple[BindCount, ...] = ()
    git_commit: str = ""
    plan_digest: str = ""
    ended: datetime | None = None
    result: RunResult | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it is read: its counts by bind, and what its result means now (a dead one that
    says "running" was interrupted)."""

    run: Run
    result: RunResult
    counts: tuple[BindCount, ...] = field(default=())

    @property
    def planned(self) -> int:
        """How many targets it was about."""
        return sum(one.planned for one in self.counts)

    @property
    def ended(self) -> int:
        """How many of them were brought to an end."""
        return sum(one.ended for one in self.counts)

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(one.failed for one in self.counts)

    @property
    def unfinished(self) -> int:
        """How many targets `--failed` would take up again."""
        waiting = 0 if self.result == "running" else sum(one.open for one in self.counts)
        return waiting + sum(one.failed + one.not_started for one in self.counts)
