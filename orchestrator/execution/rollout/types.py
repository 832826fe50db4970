"""What a rollout tells while it goes on, and how it ends.

Enters: nothing.  Leaves: RolloutObserver, CheckResult, Ended.  No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from orchestrator.execution.types import Mismatch as Mismatch  # verifying stands below rollouts
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target
from orchestrator.ledger.rollout_types import WaveCount, WaveRow
from orchestrator.planning.plan import Plan

VERIFY = ("verify",)
DRIFT = ("drift",)
"""Checks that are no commands."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a wave's check said. name: "verify", "drift", or the command. output: its last lines."""

    name: str
    passed: bool
    output: str = ""
    seconds: float = 0.0


class RolloutObserver(Protocol):
    """Hears what a rollout does. `started`, `step` and `waiting` come from the threads of the run,
    the others from the thread that drives it."""

    def wave_started(self, wave: WaveRow, count: WaveCount, plan: Plan) -> None:
        """A wave begins, or goes on. plan: what is left of it."""

    def started(self, target: Target) -> None: ...

    def step(self, target: Target, revision: str) -> None: ...

    def waiting(self, target: Target, words: str) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...

    def differs(self, mismatch: Mismatch) -> None: ...

    def check_started(self, wave: WaveRow, name: str) -> None: ...

    def checked(self, wave: WaveRow, result: CheckResult) -> None: ...

    def soaking(self, wave: WaveRow, seconds_left: float) -> None:
        """Told about every second."""

    def wave_ended(self, wave: WaveRow, count: WaveCount) -> None:
        """A wave is over (its state is "done"), or was left."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process that drove a rollout leaves it. new: targets of its binds that the plan does
    not know, because they were created meanwhile."""

    status: Literal["done", "paused", "stopped", "aborted", "interrupted"]
    reason: str = ""
    failed: int = 0
    new: Sequence[Target] = ()
