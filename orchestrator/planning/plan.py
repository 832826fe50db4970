"""A plan: for every cohort the steps to take, each compiled or live.

Enters: what `cohorts` has grouped, with recordings.  Leaves: a Plan, the thing that is printed,
written to a file, written as SQL, and applied.  No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.config import Flavour
from orchestrator.errors import Problem
from orchestrator.fleet.types import State, Target, UnknownTenants
from orchestrator.planning.paths import Goal
from orchestrator.revisions.types import Recording, Step


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of a path, with what it was recorded as.

    source: the SHA-256 of the revision file that was recorded; "" when nothing was (a stamp).
    remembered: it makes named types that Alembic does not make again in the same run.
    """

    step: Step
    recording: Recording
    source: str = ""
    remembered: bool = False

    @property
    def live(self) -> bool:
        """Whether it must run its Python on a connection."""
        return bool(self.recording.live)

    @property
    def statements(self) -> int:
        """How many statements it was recorded as."""
        return sum(len(segment.statements) for segment in self.recording.segments)


@dataclass(frozen=True, slots=True)
class Cohort:
    """The targets of one bind that share flavour and state, and so share one path.

    flavour: as far as it decides what SQL is written (`Flavour.series`). dialect: the name in the
    targets' URLs. missing: how many of the targets have no schema or database yet. continued: the
    ids of those that are half-way through the first step, and go on inside it.
    """

    bind: str
    flavour: Flavour
    state: tuple[str, ...]
    steps: tuple[PlanStep, ...]
    targets: tuple[Target, ...]
    dialect: str = ""
    missing: int = 0
    continued: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Blocked:
    """A target that cannot be planned, and why. state: where it stands, as far as is known."""

    target: Target
    problem: Problem
    state: State = field(default_factory=lambda: State("known"))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A bind whose tenants are known only when others have been applied."""

    bind: str
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All cohorts of a command, in the order they are applied.

    waiting: binds that are planned when those named have been applied. unknown: tenants that cannot
    be told now for another reason (their server does not answer).
    """

    goal: Goal
    cohorts: tuple[Cohort, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    unknown: tuple[UnknownTenants, ...] = ()

    @property
    def moving(self) -> tuple[Cohort, ...]:
        """The cohorts that have steps to take."""
        return tuple(cohort for cohort in self.cohorts if cohort.steps)

    @property
    def targets(self) -> Iterator[Target]:
        """Every target, those that cannot be planned at the end."""
        for cohort in self.cohorts:
            yield from cohort.targets
        yield from (one.target for one in self.blocked)
