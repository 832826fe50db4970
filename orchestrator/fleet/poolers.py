"""Poolers that lend a server's sessions by the transaction: behind one, no lock and no setting
stays with the client that made it.

Enters: a target.  Leaves: the Problem of its server's pooler, or nothing.  A pooler that lends a
session for as long as its client stays does no harm.

libpq hears the number of its server process when it connects, and a pooler makes one up; where it
is the one that pg_backend_pid() tells, there is none.  Else two connections stand at the same time:
when they are ever served by one process, or one of them by two, sessions are lent by the
transaction or the statement.  (One advisory lock tried from both would tell the same, and would
stay behind in a process that nobody can ask for.)
"""

from __future__ import annotations

import threading
from contextlib import suppress

from sqlalchemy.engine import URL

from orchestrator.errors import Problem
from orchestrator.fleet.engines import target_url
from orchestrator.fleet.sessions import PostgreSQLSession, SendError, open_session
from orchestrator.fleet.types import Target

_LIBPQ = ("psycopg2", "psycopg", "psycopg2cffi")
_ROUNDS = 10
"""So often both connections are asked who serves them: other clients' work may part them."""
_PATIENCE = 3.0
"""Seconds for the second connection's first answer; a pool of one session would keep it waiting."""


def pooler_problem(target: Target) -> Problem | None:
    """What is wrong with the way to a target's server. Nothing where it cannot be reached now: who
    comes next will tell that better."""
    url = target_url(target)
    if url.get_driver_name() not in _LIBPQ:
        return None
    given = target.server.migration_url
    for one in dict.fromkeys((url, given if given is not None else url)):
        with suppress(SendError):
            fault = _fault(one.set(drivername="postgresql+psycopg2"))
            return None if fault is None else _problem(target, fault)
    return None


def _fault(url: URL) -> str | None:
    """Raises SendError."""
    session = _opened(url)
    try:
        if _process(session) == session.announced_process:
            return None
        return _shared(session, url)
    finally:
        session.close()


def _shared(first: PostgreSQLSession, url: URL) -> str | None:
    """Whether a second client may be given the first one's server process."""
    second = _second(first, url)
    if second is None:
        return "gives a second client no session while a first one has one: its pool is too small"
    seen: tuple[set[int], set[int]] = set(), set()
    try:
        for _ in range(_ROUNDS):
            for session, processes in zip((first, second), seen, strict=True):
                processes.add(_process(session))
            if seen[0] & seen[1] or max(map(len, seen)) > 1:
                return (
                    "lends the server's sessions by the transaction or the statement: locks, time"
                    " limits and search_path would not stay with the run"
                )
    finally:
        second.close()
    return None


def _second(first: PostgreSQLSession, url: URL) -> PostgreSQLSession | None:
    """Another connection, once it has been served; None when that takes too long."""
    served: list[PostgreSQLSession] = []

    def ask() -> None:
        with suppress(SendError):
            session = _opened(url)
            try:
                _process(session)
            except SendError:
                session.close()
                raise
            served.append(session)

    asking = threading.Thread(target=ask, name="orchestrator-pooler", daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    if asking.is_alive():
        first.close()  # What the other waits for may be just this.
        asking.join(_PATIENCE)
        for session in served:
            session.close()
        return None
    return served[0] if served else None


def _opened(url: URL) -> PostgreSQLSession:
    session = open_session(url)
    assert isinstance(session, PostgreSQLSession)
    return session


def _process(session: PostgreSQLSession) -> int:
    number: int = session.rows("SELECT pg_catalog.pg_backend_pid()")[0][0]
    return number


def _problem(target: Target, fault: str) -> Problem:
    server = target.server
    named = "direct_url" if server.direct_url is not None else "url"
    return Problem(
        f"behind its {named} stands a connection pooler that {fault}",
        where=f"{server.where} (bind {target.bind.name}, server {server.name})",
        todo="Give that server a direct_url that leads around the pooler (or have the pooler lend"
        " whole sessions: pool_mode = session in PgBouncer).",
    )
