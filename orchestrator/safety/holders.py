"""Who holds locks of targets now, as their server tells it.

Enters: a session on the server.  Leaves: the Holder of a lock, of one or of many at once; or one
holder less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.fleet.sessions import PostgreSQLSession, SendError, Session
from orchestrator.safety.locks import Lock
from orchestrator.safety.owners import Owner, owner_of

_TOGETHER = 500
"""So many of MySQL's locks are asked for in one query."""
_SHOWN = 80
"""Characters of a statement in words for people."""


@dataclass(frozen=True, slots=True)
class Sought:
    """A lock to ask for. database: in which it holds (PostgreSQL), "" for the session's own.
    journal: the quoted name of the target's journal, which names an owner where the server does not
    (MySQL); "" for none."""

    lock: Lock
    database: str = ""
    journal: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """A server session that holds a lock. user, client, statement: "" where the server does not
    tell. seconds: how long its statement has run; connected: how long ago it connected; None where
    nobody tells. journalled: the owner is only the last one who wrote the target's journal."""

    session: int
    user: str = ""
    client: str = ""
    statement: str = ""
    seconds: float | None = None
    connected: float | None = None
    owner: Owner | None = None
    journalled: bool = False

    @property
    def who(self) -> str:
        """For people: "run 20261122T210313-4f2a (pid 4711 on web-1)", or as which user."""
        at = f" from {self.client}" if self.client else ""
        user = f"{self.user or 'somebody'}{at}"
        if self.owner is None:
            return user
        return f"{user}, probably {self.owner.words}" if self.journalled else self.owner.words

    @property
    def words(self) -> str:
        """For people, on one line."""
        since = f" for {self.seconds:.0f} s" if self.seconds is not None else ""
        does = " ".join(self.statement.split())[:_SHOWN]
        doing = f", which runs{since}: {does}" if does else ", which runs no statement now"
        return f"{self.who}, session {self.session}{doing}"


def holder_words(session: Session, lock: Lock, journal: str = "") -> str:
    """Who holds a lock, for people. journal: see `Sought`. Never fails."""
    with suppress(SendError):
        found = holder(session, lock, journal)
        if found is not None:
            return found.words
    return "another session"


def holder(session: Session, lock: Lock, journal: str = "") -> Holder | None:
    """The holder of a lock in the session's own database, None when it is free. Raises
    SendError."""
    if isinstance(session, PostgreSQLSession):
        session.rollback()
    return holders(session, [Sought(lock, journal=journal)])[0]


def holders(session: Session, sought: Sequence[Sought]) -> list[Holder | None]:
    """The holder of each lock, None for a free one, in a few queries. Raises SendError."""
    if isinstance(session, PostgreSQLSession):
        held = dict(_postgresql(session, {one.lock.number for one in sought}))
        return [held.get((one.database, one.lock.number)) for one in sought]
    numbers = _mysql_numbers(session, [one.lock.name for one in sought])
    known = _mysql(session, {number for number in numbers if number is not None})
    return [
        _journalled(session, known.get(number, Holder(number)), one.journal)
        if number is not None
        else None
        for number, one in zip(numbers, sought, strict=True)
    ]


def end_holder(session: Session, sought: Sought, holder: Holder) -> bool:
    """End the session that holds a lock, unless it holds it no more; what it had not committed is
    rolled back. Raises SendError, such as when this user may not."""
    if isinstance(session, PostgreSQLSession):
        text = (
            f"SELECT pg_catalog.pg_terminate_backend(l.pid) {_LOCKS} AND l.pid = {holder.session}"
            f" AND {_KEY} = {sought.lock.number} AND d.datname = {_database(sought)}"
        )
        return any(ended for (ended,) in session.plain_rows(text))
    if _mysql_numbers(session, [sought.lock.name]) != [holder.session]:
        return False
    session.batch([f"KILL {holder.session}"])
    return True


# PostgreSQL 18 manual, 53.12 "pg_locks": a bigint key is shown in two halves, objsubid 1.
_LOCKS = (
    "FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
)
_KEY = "(l.classid::bigint << 32 | l.objid::bigint)"


def _postgresql(
    session: PostgreSQLSession, keys: Iterable[int]
) -> Iterator[tuple[tuple[str, int], Holder]]:
    """Holders by the database and key of their locks."""
    wanted = ", ".join(map(str, keys)) or "NULL"
    rows = session.plain_rows(
        "SELECT h.datname, current_database(), h.key, a.pid, a.usename,"
        " coalesce(host(a.client_addr), ''),"
        " CASE WHEN a.state = 'active' THEN a.query ELSE '' END,"
        " CASE WHEN a.state = 'active' THEN extract(epoch FROM clock_timestamp() - a.query_start)"
        " END, extract(epoch FROM clock_timestamp() - a.backend_start), a.application_name"
        f" FROM (SELECT d.datname, {_KEY} AS key, l.pid {_LOCKS} AND {_KEY} IN ({wanted})) h"
        " JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid"
    )
    for database, own, key, pid, user, client, query, seconds, connected, name in rows:
        found = Holder(
            pid,
            user or "",
            client,
            _without_preparations(query or ""),
            None if seconds is None else float(seconds),
            None if connected is None else float(connected),
            owner_of(name or ""),
        )
        yield (database, key), found
        if database == own:
            yield ("", key), found


def _without_preparations(query: str) -> str:
    """A batch without what it begins with: the session's settings, its lock, and the guard of the
    version rows."""
    first, *rest = query.split("\n;\n")
    if not rest or not first.endswith("BEGIN"):
        return query
    return "; ".join(text for text in rest if not text.startswith("SELECT 1 / ("))


def _database(sought: Sought) -> str:
    if not sought.database:
        return "current_database()"
    return "E'" + sought.database.replace("\\", "\\\\").replace("'", "''") + "'"


def _mysql_numbers(session: Session, names: Sequence[str]) -> list[int | None]:
    """The connection that holds each lock."""
    found: list[int | None] = []
    for start in range(0, len(names), _TOGETHER):
        asked = ", ".join(f"IS_USED_LOCK('{name}')" for name in names[start : start + _TOGETHER])
        found += [
            None if number is None else int(number) for number in session.rows(f"SELECT {asked}")[0]
        ]
    return found


def _mysql(session: Session, numbers: Iterable[int]) -> Mapping[int, Holder]:
    """What the server tells of connections; without the right PROCESS only of the user's own."""
    wanted = ", ".join(map(str, numbers))
    if not wanted:
        return {}
    rows = session.rows(
        "SELECT id, user, host, COALESCE(info, ''), time FROM information_schema.processlist"
        f" WHERE id IN ({wanted})"
    )
    labels: dict[int, Any] = {}
    with suppress(SendError):
        # Connection attributes, where the performance schema is on (MariaDB: off by default).
        labels = dict(
            session.rows(
                "SELECT processlist_id, attr_value"
                " FROM performance_schema.session_account_connect_attrs"
                f" WHERE attr_name = 'program_name' AND processlist_id IN ({wanted})"
            )
        )
    return {
        int(number): Holder(
            int(number),
            user,
            client,
            info,
            float(seconds) if info else None,
            owner=owner_of(str(labels.get(number) or "")),
        )
        for number, user, client, info, seconds in rows
    }


def _journalled(session: Session, holder: Holder, journal: str) -> Holder:
    """The same, with the owner that the target's journal names, where nobody else names one."""
    if holder.owner is not None or not journal:
        return holder
    with suppress(SendError):
        # Rows that their writer has not committed yet count most.
        session.rows("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
        last = session.rows(f"SELECT owner FROM {journal} ORDER BY number DESC LIMIT 1")
        owner = owner_of(str(last[0][0])) if last else None
        return replace(holder, owner=owner, journalled=owner is not None)
    return holder
