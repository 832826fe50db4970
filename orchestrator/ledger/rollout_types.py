"""Rollouts as the ledger keeps them: what survives the process that drives one.

Enters: nothing.  Leaves: the types of `rollouts`.  Times are UTC on the ledger's clock, without a
time zone; texts are free of passwords.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

RolloutStatus = Literal["running", "paused", "stopped", "aborted", "done"]
"""running: a process drives it, or did and was killed (`RolloutView.status` tells them apart).
paused: it waits for a person. stopped: a failure budget was spent, a check failed, or a target is
not like its cohort. aborted, done: it is over, and its binds are free; a done one may have failed
targets, within the budget."""

OVER: tuple[RolloutStatus, ...] = ("aborted", "done")

Ask = Literal["", "pause", "abort"]
"""What somebody asks of the process that drives a rollout."""

GONE = "it is not in the fleet any more"
"""Why a target counts as unchanged that nobody looked at."""

WaveState = Literal["waiting", "running", "soaking", "done"]
"""soaking: all its targets are through, and its checks have passed once."""

TargetState = Literal["waiting", "done", "unchanged", "failed", "different"]
"""waiting: not through yet, begun or not. unchanged: somebody else had brought it to its end.
different: through, but its schema is not that of its cohort (see verify)."""


@dataclass(frozen=True, slots=True)
class RolloutRow:
    """One rollout.

    verb: "upgrade", or "downgrade" for one that reverts. plan: the plan file's text, as
    `planning.planfile.write_plan` gives it; its digest is `digest`. run: the id of the run that
    drives it now or did last; its signs of life are the rollout's. runs of it are found by
    `orchestrator_rollout_runs`. reason: why it is not running, for people. wave: the number of the
    wave that it is in. reverts: the id of the rollout or run that it takes back, "" for none.
    verify: whether fingerprints are compared. shapes: what targets were like before, for those that
    are compared with it when no target is so any more (`execution.verifying.Verifier.kept`).
    """

    id: str
    verb: str
    who: str
    created: datetime
    changed: datetime
    digest: str
    plan: str
    verify: bool = True
    status: RolloutStatus = "running"
    reason: str = ""
    wave: int = 0
    ask: Ask = ""
    run: str = ""
    reverts: str = ""
    shapes: str = ""


@dataclass(frozen=True, slots=True)
class WaveRow:
    """One wave of a rollout, with its rules as they were when it was started.

    number: from 0, in order. concurrency, max_failures (a count), soak (seconds), pause, checks,
    check_timeout (seconds): as `config.types.Wave` has them, defaults filled in. soak_until: when
    its soak ends, once begun.
    """

    number: int
    name: str
    targets: int
    concurrency: int
    max_failures: int
    soak: float = 0.0
    pause: bool = False
    checks: tuple[tuple[str, ...], ...] = ()
    check_timeout: float = 600.0
    state: WaveState = "waiting"
    started: datetime | None = None
    ended: datetime | None = None
    soak_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RolloutTarget:
    """One target of a rollout. number: its place in the order, unique in the rollout.

    from_revisions, to_revisions: where the plan takes it, joined by commas, "" for base. before,
    after: fingerprints, "" until they are taken. run: the run that brought it to its state. error,
    revision, cause: of its last failure, or what differs.
    """

    number: int
    wave: int
    target: str
    bind: str
    server: str
    tenant: str | None
    from_revisions: str = ""
    to_revisions: str = ""
    state: TargetState = "waiting"
    before: str = ""
    after: str = ""
    run: str = ""
    revision: str = ""
    error: str = ""
    cause: str = ""

    @property
    def gone(self) -> bool:
        """Whether it left the fleet before its turn came."""
        return self.state == "unchanged" and self.cause == GONE


@dataclass(frozen=True, slots=True)
class WaveCount:
    """How far a wave has come."""

    number: int
    waiting: int = 0
    done: int = 0
    unchanged: int = 0
    failed: int = 0
    different: int = 0

    @property
    def total(self) -> int:
        """All its targets."""
        return self.waiting + self.done + self.unchanged + self.failed + self.different


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout as it is read. driven: whether the process that drives it lives. status: as people
    see it; "interrupted" is a running one whose process is dead."""

    row: RolloutRow
    waves: tuple[WaveRow, ...]
    counts: tuple[WaveCount, ...]
    driven: bool
    status: Literal["running", "interrupted", "paused", "stopped", "aborted", "done"]
