"""Ends statements that run longer than statement_timeout, where the server does not do so itself.

Enters: the sessions that work.  Leaves: on MySQL, a KILL QUERY from a second connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from orchestrator.fleet.sessions import MySQLSession, Session

_SOONEST, _LATEST = 0.05, 1.0
"""Seconds between two looks; a tenth of the shortest limit lies between them."""


class Watchdog:
    """One thread, from the first session that needs it to `stop`."""

    def __init__(self, working: Callable[[], Iterable[Session]]) -> None:
        """working: the sessions that have work now."""
        self._working = working
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._tick = _LATEST

    def watch(self, session: Session) -> None:
        """A session begins to work. Does nothing where its server keeps the limit."""
        if not isinstance(session, MySQLSession) or not session.needs_watching:
            return
        with self._guard:
            self._tick = min(self._tick, max(_SOONEST, session.limit / 10))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="orchestrator-watchdog", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(self._tick):
            for session in self._working():
                if isinstance(session, MySQLSession) and session.needs_watching:
                    with suppress(Exception):  # Its server may be gone; then so is the statement.
                        session.end_overdue()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
