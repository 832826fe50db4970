"""Which waits are told: those of a few targets at once, and of many how many there are.

Enters: targets that wait for a lock, or are tried again.  Leaves: lines for people.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from orchestrator.fleet.types import Target

FEW = 5
"""So many waits are told in a period, one line each."""
PERIOD = 10.0
"""Seconds; as often as a wait that goes on is told again (execution.patience)."""


class Waits:
    """Hears waits from the threads of a run."""

    def __init__(
        self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """tell: prints a line."""
        self._tell = tell
        self._clock = clock
        self._guard = threading.Lock()
        self._began: float | None = None
        self._told = 0
        self._more: set[str] = set()

    def heard(self, target: Target, words: str) -> None:
        """A target waits, for what the words say."""
        with self._guard:
            self._turn()
            if self._told < FEW:
                self._told += 1
                self._tell(f"{target.id}: {words}")
            else:
                self._more.add(target.id)

    def look(self) -> None:
        """Tell what is due; called now and then."""
        with self._guard:
            if self._more:
                self._turn()

    def _turn(self) -> None:
        """Begin a new period where the last one is over."""
        now = self._clock()
        if self._began is not None and now - self._began < PERIOD:
            return
        if self._more:
            count = len(self._more)
            self._tell(
                f"{count:,} more {'target waits' if count == 1 else 'targets wait'}"
                " or will be tried again"
            )
        self._began, self._told = now, 0
        self._more.clear()
