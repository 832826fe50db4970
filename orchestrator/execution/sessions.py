"""The sessions of a run: kept, lent to one thread at a time, and never too many a server.

Enters: a target.  Leaves: a Session to its server (and database, where PostgreSQL tenants have one
each), which goes back to the store afterwards, or is closed when it was lost.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy.engine import URL

from orchestrator.config.urls import server_identity
from orchestrator.errors import DatabaseError, Problem
from orchestrator.execution.replay.types import ReplayFailed
from orchestrator.execution.watchdog import Watchdog
from orchestrator.fleet.engines import driver_message, failed_state, target_url
from orchestrator.fleet.sessions import MySQLSession, SendError, Session, open_session
from orchestrator.fleet.types import Target
from orchestrator.safety.passing import passing

LOOK_AGAIN = 15.0
"""Seconds after which a target may look whether a server is back that was given up."""


@dataclass(frozen=True, slots=True)
class _Gone:
    """A server that was given up. message: what it said last. until: nobody looks before then."""

    message: str
    until: float


@dataclass(frozen=True, slots=True, eq=False)
class _Home:
    """What a session is connected to; a store has one of a kind, so that they are told apart
    without a look into their URLs."""

    url: URL


class SessionStore:
    """Idle sessions by URL, and those that are lent.

    The pool runs at most max_connections targets of a server at once, so there are never more
    sessions that work; idle ones of other databases are closed before a new one is opened.
    """

    def __init__(self, label: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        """label: by which servers know the run's sessions (safety.owners)."""
        self._label = label
        self._clock = clock
        self._guard = threading.Lock()
        self._homes: dict[str, _Home] = {}
        self._known_homes: dict[int, tuple[URL, _Home]] = {}
        self._idle: dict[_Home, list[Session]] = defaultdict(list)
        self._lent: set[Session] = set()
        self._reached: set[str] = set()
        self._gone: dict[str, _Gone] = {}
        self._watchdog = Watchdog(
            lambda: [one.running for one in self._working if isinstance(one, MySQLSession)]
        )

    @contextmanager
    def lend(self, target: Target) -> Iterator[Session]:
        """A session for a target, for as long as the block lasts. Raises DatabaseError when the
        server cannot be reached, and ReplayFailed when it was reached before: it may come back."""
        home = self._home(target)
        session = self._take(home)
        if session is None:
            session = self._open(home.url, target)
        session.limit = target.bind.statement_timeout
        if isinstance(session, MySQLSession):
            self._watchdog.watch(session.running)
        try:
            yield session
        finally:
            self._give_back(home, session)

    def _home(self, target: Target) -> _Home:
        """Where sessions that serve this target are connected. To write a URL down, as comparing
        two of them does, takes longer than all else here: once for a server's schemas."""
        given = target.server.migration_url
        shared = target.database is None
        known = self._known_homes.get(id(given)) if shared else None
        if known is not None:
            return known[1]
        url = _kept_url(target)
        home = self._homes.setdefault(url.render_as_string(hide_password=False), _Home(url))
        if shared and given is not None:
            # With the URL itself, so that no other one comes to have its id.
            self._known_homes[id(given)] = (given, home)
        return home

    def _open(self, url: URL, target: Target) -> Session:
        server = server_identity(url)
        self._refuse_gone(server, target)
        try:
            session = open_session(url, self._label)
        except SendError as error:
            message = driver_message(error.error)
            with self._guard:
                known = server in self._reached
                if server in self._gone:
                    self._gone[server] = _Gone(message, self._clock() + LOOK_AGAIN)
            passes = passing(error.error, lost=True)
            # A database that is missing, or a password that is wrong, is no better next time.
            there = failed_state(error.error).kind != "unreachable"
            if known and passes == "connection lost" and not there:
                raise ReplayFailed(message, lost=True, passing=passes) from error
            raise _out_of_reach(message, target) from error
        with self._guard:
            self._lent.add(session)
            self._reached.add(server)
            self._gone.pop(server, None)
        return session

    def _refuse_gone(self, server: str, target: Target) -> None:
        """Do not wait once more for a server that was waited for in vain: one target in a while
        looks whether it is back. Raises DatabaseError."""
        with self._guard:
            gone = self._gone.get(server)
            if gone is None:
                return
            if self._clock() >= gone.until:
                self._gone[server] = _Gone(gone.message, self._clock() + LOOK_AGAIN)
                return
        raise _out_of_reach(gone.message, target)

    def reached(self, target: Target, *, back: bool = False) -> None:
        """The server of a target has answered: it is waited for when it is gone. back: it has just
        done so, and if it was given up, that is over."""
        server = server_identity(_kept_url(target))
        with self._guard:
            self._reached.add(server)
            if back:
                self._gone.pop(server, None)

    def known(self, target: Target) -> bool:
        """Whether the server of a target was reached before, and has not been given up since."""
        server = server_identity(_kept_url(target))
        with self._guard:
            return server in self._reached and server not in self._gone

    def beside(self, target: Target) -> Session | None:
        """A session more, for looking on while one of the target's runs; its caller closes it. None
        where the server has no room for it."""
        try:
            return open_session(_kept_url(target))
        except SendError:
            return None

    def given_up(self, target: Target, message: str) -> None:
        """The server of a target was waited for in vain: no other target waits for it as long."""
        server = server_identity(_kept_url(target))
        with self._guard:
            self._reached.discard(server)
            self._gone[server] = _Gone(message, self._clock() + LOOK_AGAIN)

    @property
    def _working(self) -> list[Session]:
        with self._guard:
            return list(self._lent)

    def _take(self, home: _Home) -> Session | None:
        stale: list[Session] = []
        with self._guard:
            idle = self._idle[home]
            session = idle.pop() if idle else None
            if session is not None:
                self._lent.add(session)
            else:
                # A PostgreSQL fleet with a database a tenant would keep one for each, for ever.
                for other in [key for key in self._idle if _same_server(key.url, home.url)]:
                    stale += self._idle.pop(other)
        for one in stale:
            one.close()
        return session

    def make_room(self, target: Target) -> None:
        """A worker process is about to connect to a target's server: close an idle session there,
        where it might be one more than max_connections."""
        home, stale = self._home(target), None
        with self._guard:
            there = [one for one in self._idle if one is home or _same_server(one.url, home.url)]
            idle = [one for one in there if self._idle[one]]
            # Those lent to other servers count too: at worst one is closed too early.
            standing = len(self._lent) + sum(len(self._idle[one]) for one in idle)
            if idle and standing >= target.server.max_connections:
                stale = self._idle[idle[0]].pop()
        if stale is not None:
            stale.close()

    def _give_back(self, home: _Home, session: Session) -> None:
        with self._guard:
            self._lent.discard(session)
            if not session.lost:
                self._idle[home].append(session)
                return
        session.close()

    def cancel(self) -> None:
        """Cancel every statement that runs."""
        for session in self._working:
            with suppress(Exception):  # It may have ended, or the server with it.
                session.cancel()

    def close(self) -> None:
        """Close the idle sessions."""
        self._watchdog.stop()
        with self._guard:
            idle = [session for sessions in self._idle.values() for session in sessions]
            self._idle.clear()
        for session in idle:
            session.close()


def _out_of_reach(message: str, target: Target) -> DatabaseError:
    return DatabaseError(
        Problem(message, where=f"target {target.id}", todo="Check its URL in databases.yaml.")
    )


def _kept_url(target: Target) -> URL:
    """The URL of a session that serves this target and its neighbours: on MySQL one without a
    database serves the whole server."""
    url = target_url(target)
    return url if url.get_backend_name() == "postgresql" else url.set(database="")


def _same_server(one: URL, other: URL) -> bool:
    return one != other and one.set(database="") == other.set(database="")
