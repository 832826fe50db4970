"""What makes a rollout stop short: a signal, a word from another terminal, a spent budget, a check.

Enters: reasons, from any thread.  Leaves: the one that counts, told at once to whoever starts
targets.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

EndStatus = Literal["paused", "stopped", "interrupted", "aborted", "lost"]
"""lost: another process drives the rollout now, and this one writes nothing more."""

_RANK: dict[EndStatus, int] = {
    "paused": 0,
    "interrupted": 1,
    "stopped": 1,
    "aborted": 2,
    "lost": 3,
}


_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class End:
    """Why a rollout goes no further. reason: for people, made when it is asked for, so that it
    counts what running targets brought."""

    status: EndStatus
    reason: Callable[[], str]


class Ending:
    """Whether a rollout is to go on, in one process."""

    def __init__(self) -> None:
        # A signal's handler may come while its thread is in here.
        self._guard = threading.RLock()
        self._end: End | None = None
        self._hold: Callable[[], None] = lambda: None

    @property
    def came(self) -> bool:
        """Whether no new target may be started."""
        return self._end is not None

    @property
    def end(self) -> End | None:
        """What counts most of what was asked."""
        return self._end

    def ask(self, status: EndStatus, reason: str | Callable[[], str]) -> None:
        """Go no further, for this reason. One that weighs more takes the place of another."""
        words = reason if callable(reason) else lambda: reason
        with self._guard:
            if self._end is None or _RANK[status] > _RANK[self._end.status]:
                self._end = End(status, words)
            self._hold()

    def tell(self, hold: Callable[[], None]) -> None:
        """Call this from now on when no new target may be started; at once where that is so."""
        with self._guard:
            self._hold = hold
            if self.came:
                hold()

    def wait(self, seconds: float) -> bool:
        """Wait, until something is asked at the longest. Gives whether it was."""
        until = time.monotonic() + seconds
        while not self.came and (left := until - time.monotonic()) > 0:
            # Handlers of signals run in between.
            time.sleep(min(left, _LOOK_SECONDS))
        return self.came
