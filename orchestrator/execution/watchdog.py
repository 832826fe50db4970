"""Ends statements that run longer than statement_timeout, where the server does not do so itself.

Enters: what connections run.  Leaves: on MySQL, a KILL QUERY from a second connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from orchestrator.fleet.running import Running

_SOONEST, _LATEST = 0.05, 1.0
"""Seconds between two looks; a tenth of the shortest limit lies between them."""


class Watchdog:
    """One thread, from the first connection that needs it to `stop`."""

    def __init__(self, working: Callable[[], Iterable[Running]]) -> None:
        """working: the connections that have work now."""
        self._working = working
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._tick = _LATEST

    def watch(self, running: Running) -> None:
        """A connection begins to work. Does nothing where its server keeps the limit."""
        if not running.needs_watching:
            return
        with self._guard:
            self._tick = min(self._tick, max(_SOONEST, running.limit / 10))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="orchestrator-watchdog", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(self._tick):
            for one in self._working():
                if one.needs_watching:
                    with suppress(Exception):  # Its server may be gone; then so is the statement.
                        one.end_overdue()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
