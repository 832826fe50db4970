"""A plan: for every cohort the steps to take, each compiled or live.

Enters: TargetPlans, the flavour of each target's server, and recordings.  Leaves: a Plan, the thing
that is printed, written as SQL, and applied.  No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.config import Flavour
from orchestrator.errors import Problem
from orchestrator.fleet.types import Target
from orchestrator.planning.paths import Goal
from orchestrator.revisions.types import Recording, Step


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of a path, with what it was recorded as."""

    step: Step
    recording: Recording

    @property
    def live(self) -> bool:
        """Whether it must run its Python on a connection."""
        return bool(self.recording.live)


@dataclass(frozen=True, slots=True)
class Cohort:
    """The targets of one bind that share flavour and state, and so share one path."""

    bind: str
    flavour: Flavour
    state: tuple[str, ...]
    steps: tuple[PlanStep, ...]
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Blocked:
    """A target that cannot be planned, and why."""

    target: Target
    problem: Problem


@dataclass(frozen=True, slots=True)
class Plan:
    """All cohorts of a command, in the order they are applied.

    waiting: binds that are planned when those named have been applied.
    """

    goal: Goal
    cohorts: tuple[Cohort, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    waiting: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())
