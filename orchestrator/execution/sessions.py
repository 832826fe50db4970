"""The sessions of a run: kept, lent to one thread at a time, and never too many a server.

Enters: a target.  Leaves: a Session to its server (and database, where PostgreSQL tenants have one
each), which goes back to the store afterwards, or is closed when it was lost.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.engine import URL

from orchestrator.config.urls import server_identity
from orchestrator.errors import DatabaseError, Problem
from orchestrator.execution.replay.types import ReplayFailed
from orchestrator.fleet.engines import driver_message, target_url
from orchestrator.fleet.sessions import SendError, Session, open_session
from orchestrator.fleet.types import Target
from orchestrator.safety.passing import passing


class SessionStore:
    """Idle sessions by URL, and those that are lent.

    The pool runs at most max_connections targets of a server at once, so there are never more
    sessions that work; idle ones of other databases are closed before a new one is opened.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._idle: dict[URL, list[Session]] = defaultdict(list)
        self._lent: set[Session] = set()
        self._reached: set[str] = set()

    @contextmanager
    def lend(self, target: Target) -> Iterator[Session]:
        """A session for a target, for as long as the block lasts. Raises DatabaseError when the
        server cannot be reached, and ReplayFailed when it was reached before: it may come back."""
        url = _kept_url(target)
        session = self._take(url)
        if session is None:
            session = self._open(url, target)
        try:
            yield session
        finally:
            self._give_back(url, session)

    def _open(self, url: URL, target: Target) -> Session:
        try:
            session = open_session(url)
        except SendError as error:
            message = driver_message(error.error)
            with self._guard:
                known = server_identity(url) in self._reached
            passes = passing(error.error, lost=True)
            if known and passes == "connection lost":
                raise ReplayFailed(message, lost=True, passing=passes) from error
            raise DatabaseError(
                Problem(
                    message,
                    where=f"target {target.id}",
                    todo="Check its URL in databases.yaml.",
                )
            ) from error
        with self._guard:
            self._lent.add(session)
            self._reached.add(server_identity(url))
        return session

    def given_up(self, target: Target) -> None:
        """The server of a target was waited for in vain: the next target does not wait as long."""
        with self._guard:
            self._reached.discard(server_identity(_kept_url(target)))

    def _take(self, url: URL) -> Session | None:
        stale: list[Session] = []
        with self._guard:
            idle = self._idle[url]
            session = idle.pop() if idle else None
            if session is not None:
                self._lent.add(session)
            else:
                # A PostgreSQL fleet with a database a tenant would keep one for each, for ever.
                for other in [key for key in self._idle if _same_server(key, url)]:
                    stale += self._idle.pop(other)
        for one in stale:
            one.close()
        return session

    def _give_back(self, url: URL, session: Session) -> None:
        with self._guard:
            self._lent.discard(session)
            if not session.lost:
                self._idle[url].append(session)
                return
        session.close()

    def cancel(self) -> None:
        """Cancel every statement that runs."""
        with self._guard:
            running = list(self._lent)
        for session in running:
            with suppress(Exception):  # It may have ended, or the server with it.
                session.cancel()

    def close(self) -> None:
        """Close the idle sessions."""
        with self._guard:
            idle = [session for sessions in self._idle.values() for session in sessions]
            self._idle.clear()
        for session in idle:
            session.close()


def _kept_url(target: Target) -> URL:
    """The URL of a session that serves this target and its neighbours: on MySQL one without a
    database serves the whole server."""
    url = target_url(target)
    return url if url.get_backend_name() == "postgresql" else url.set(database="")


def _same_server(one: URL, other: URL) -> bool:
    return one != other and one.set(database="") == other.set(database="")
