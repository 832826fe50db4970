"""Who holds a target's lock now, as the server tells it.

Enters: a session on the server.  Leaves: the Holder of a lock, or of all of them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from orchestrator.fleet.sessions import PostgreSQLSession, SendError, Session
from orchestrator.safety.locks import Lock
from orchestrator.safety.owners import Owner, owner_of


@dataclass(frozen=True, slots=True)
class Holder:
    """A server session that holds a lock. user, client, statement: "" where the server does not
    tell. seconds: how long its statement has run, or it has been idle; None where nobody tells."""

    session: int
    user: str = ""
    client: str = ""
    statement: str = ""
    seconds: float | None = None
    owner: Owner | None = None

    @property
    def words(self) -> str:
        """For people, on one line."""
        who = self.owner.words if self.owner else f"{self.user or 'somebody'}"
        at = f" from {self.client}" if self.client and self.owner is None else ""
        since = f" for {self.seconds:.0f} s" if self.seconds is not None else ""
        does = " ".join(self.statement.split())[:80]
        doing = f", which runs{since}: {does}" if does else ", which runs no statement now"
        return f"{who}{at}, session {self.session}{doing}"


def holder_words(session: Session, lock: Lock) -> str:
    """Who holds a lock, for people. Never fails."""
    with suppress(SendError):
        found = holder(session, lock)
        if found is not None:
            return found.words
    return "another session"


def holder(session: Session, lock: Lock) -> Holder | None:
    """The holder of a lock, None when it is free. Raises SendError."""
    if isinstance(session, PostgreSQLSession):
        return _postgresql(session, lock)
    return _mysql(session, lock)


def _postgresql(session: PostgreSQLSession, lock: Lock) -> Holder | None:
    session.rollback()
    # PostgreSQL 18 manual, 53.12 "pg_locks": a bigint key is shown in two halves, objsubid 1.
    unsigned = lock.number % 2**64
    rows = session.plain_rows(
        "SELECT a.pid, a.usename, coalesce(host(a.client_addr), ''), coalesce(a.query, ''),"
        " CASE WHEN a.state = 'active' THEN extract(epoch FROM clock_timestamp() - a.query_start)"
        " END, a.application_name, a.state"
        " FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
        " AND l.database = (SELECT oid FROM pg_catalog.pg_database"
        " WHERE datname = current_database())"
        f" AND l.classid = {unsigned >> 32} AND l.objid = {unsigned & 0xFFFFFFFF}"
    )
    for pid, user, client, query, seconds, name, state in rows:
        running = query if state == "active" else ""
        taken = float(seconds) if seconds is not None else None
        return Holder(pid, user or "", client, running, taken, owner_of(name or ""))
    return None


def _mysql(session: Session, lock: Lock) -> Holder | None:
    number = session.rows(f"SELECT IS_USED_LOCK('{lock.name}')")[0][0]
    if number is None:
        return None
    rows = session.rows(
        "SELECT user, host, COALESCE(info, ''), time FROM information_schema.processlist"
        f" WHERE id = {int(number)}"
    )
    for user, client, info, seconds in rows:
        return Holder(int(number), user, client, info, float(seconds) if info else None)
    return Holder(int(number))
