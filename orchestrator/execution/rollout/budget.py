"""A wave's failure budget: how many targets failed, and why.

Enters: outcomes, from the threads that drove the targets.  Leaves: whether the budget is spent.
No I/O.
"""

from __future__ import annotations

import threading
from collections import Counter

from orchestrator.execution.types import Outcome
from orchestrator.ledger.causes import cause_of, names_of
from orchestrator.ledger.rollout_types import WaveRow

_SHOWN = 3
"""How many causes the reason of a stopped rollout names."""


class Budget:
    """Counts the failed targets of one wave; each counts once."""

    def __init__(self, wave: WaveRow, failed: int = 0) -> None:
        """failed: targets that failed before, and are not tried again."""
        self._wave = wave
        self._guard = threading.Lock()
        self._before = failed
        self._causes: dict[str, str] = {}

    def count(self, outcome: Outcome) -> bool:
        """Hear what became of a target. Gives whether more failed than may."""
        if outcome.result == "failed":
            failure = outcome.failure
            cause = cause_of(failure.message, names_of(outcome.target)) if failure else ""
            with self._guard:
                self._causes[outcome.target.id] = cause
        return self.failed > self._wave.max_failures

    @property
    def failed(self) -> int:
        """How many targets of the wave failed."""
        return self._before + len(self._causes)

    def words(self) -> str:
        """Why the wave stops, with what failed most."""
        told = (
            f"wave {self._wave.name}: {self.failed:,} of {self._wave.targets:,} targets failed, "
            f"and max_failures is {self._wave.max_failures:,}"
        )
        with self._guard:
            causes = Counter(self._causes.values()).most_common(_SHOWN)
        return told + "".join(f"; {count:,} x {cause}" for cause, count in causes if cause)
