"""The lock of a target: one holder at a time, whoever it is, for as long as its session lives.

Enters: where a target stands.  Leaves: a Lock, and the statements that take it and give it back.
They ride in other round trips, so taking it is a statement that fails when somebody else holds it:
nobody ever waits inside the server, where a waiting session would be a transaction that CREATE
INDEX CONCURRENTLY waits for.  No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from orchestrator.config.flavour import Family
from orchestrator.fleet.sessions import SendError

_MARK = "orchestrator"
_HELD = "orchestrator: the target is locked"
_TWO_ROWS = 1242  # MySQL 8.4 error reference: ER_SUBQUERY_NO_1_ROW


@dataclass(frozen=True, slots=True)
class Lock:
    """number: the key of a PostgreSQL advisory lock, which holds in one database. name: that of a
    MySQL user-level lock, which holds on one server node; hex digits, because MySQL and MariaDB
    have different rules of case."""

    family: Family
    number: int
    name: str

    @property
    def take(self) -> str:
        """A statement that takes the lock, or fails at once when another session holds it."""
        if self.family == "postgresql":
            return (
                f"SELECT (CASE WHEN pg_catalog.pg_try_advisory_lock({self.number})"
                f" THEN '1' ELSE '{_HELD}' END)::int"
            )
        return (
            "SELECT (SELECT 1 UNION ALL SELECT 2 FROM DUAL"
            f" WHERE COALESCE(GET_LOCK('{self.name}', 0), 0) <> 1)"
        )

    @property
    def give_back(self) -> str:
        """A statement that gives the lock back; it does not fail when the session has it not."""
        if self.family == "postgresql":
            return "SELECT pg_catalog.pg_advisory_unlock_all()"
        return f"DO RELEASE_LOCK('{self.name}')"


def lock_of(family: Family, database: str | None, schema: str | None, version_table: str) -> Lock:
    """The lock of the target that stands in this database and schema.

    PostgreSQL's advisory locks belong to a database already; MySQL's to a server, some of which
    fold names' case.
    """
    # lower(), not casefold(): a script computes the same in SQL (`number_in_sql`, `name_in_sql`).
    place = (schema or "") if family == "postgresql" else (database or "").lower()
    digest = sha256("\0".join((_MARK, place, version_table)).encode()).digest()
    return Lock(family, int.from_bytes(digest[:8], "big", signed=True), digest.hex()[:48])


def number_in_sql(schema: str, version_table: str) -> str:
    """A PostgreSQL expression of a lock's number. schema: an expression of the schema's name."""
    place = f"convert_to({schema}, 'UTF8')"
    whole = f"{_bytes(_MARK, end=True)} || {place} || {_bytes(version_table, start=True)}"
    first = f"encode(substring(sha256({whole}) FROM 1 FOR 8), 'hex')"
    return f"('x' || {first})::bit(64)::bigint"


def _bytes(text: str, *, start: bool = False, end: bool = False) -> str:
    """A text as PostgreSQL's bytea, with the zero byte that parts it from its neighbours."""
    return f"'\\x{'00' * start}{text.encode().hex()}{'00' * end}'::bytea"


def name_in_sql(version_table: str) -> str:
    """A MySQL expression of a lock's name, for the session's database."""
    place = "CONVERT(LOWER(CONVERT(DATABASE() USING utf8mb4)) USING binary)"
    before, behind = _MARK.encode().hex() + "00", "00" + version_table.encode().hex()
    return f"LEFT(SHA2(CONCAT(0x{before}, {place}, 0x{behind}), 256), 48)"


def builds_lock() -> Lock:
    """The lock of whoever runs a CONCURRENTLY statement in a PostgreSQL database: two of them wait
    for each other's transactions, and on one table for ever."""
    digest = sha256(b"orchestrator\0builds").digest()
    return Lock("postgresql", int.from_bytes(digest[:8], "big", signed=True), digest.hex()[:48])


def is_held(error: SendError, lock: Lock) -> bool:
    """Whether this is the failure of `Lock.take` because another session holds the lock."""
    if lock.family == "postgresql":
        return _HELD in str(error.error)
    number = error.error.args[0] if error.error.args else None
    return bool(number == _TWO_ROWS and error.statement == lock.take)
