"""The ledger's tables: made where they are not there, brought up to date where they are older.

Enters: a connection inside a transaction.  Leaves: tables of this program's schema number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Insert,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    inspect,
    select,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateColumn

from orchestrator.config.ledger_tables import (
    LEDGER,
    OUTCOMES,
    ROLLOUT_BINDS,
    ROLLOUT_RUNS,
    ROLLOUT_TARGETS,
    ROLLOUT_WAVES,
    ROLLOUTS,
    RUN_BINDS,
    RUNS,
)
from orchestrator.errors import LedgerError, Problem
from orchestrator.ledger.columns import Commands, Packed

SCHEMA = 3
"""The schema number that this program writes."""

NAME_LENGTH = 255
"""Longest bind, server, tenant, schema or database name that is kept whole."""
TARGET_LENGTH = 3 * NAME_LENGTH
_AT_ONCE = 500
"""How many rows one statement writes."""

_ID_LENGTH = 32
# MySQL without it: seconds only.
_TIME = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
_NAMES = String(NAME_LENGTH)
# Binary, so that names which differ in case alone stay two.
_MYSQL: dict[str, Any] = {
    f"{dialect}_{name}": value
    for dialect in ("mysql", "mariadb")
    for name, value in {
        "engine": "InnoDB",
        "charset": "utf8mb4",
        "collate": "utf8mb4_bin",
    }.items()
}

metadata = MetaData()

ledger = Table(
    LEDGER,
    metadata,
    # One row: its key keeps two processes that start at once from writing two.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_number", Integer, nullable=False),
    **_MYSQL,
)

runs = Table(
    RUNS,
    metadata,
    Column("id", String(_ID_LENGTH), primary_key=True),
    Column("who", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("birth", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("verb", String(_ID_LENGTH), nullable=False),
    Column("command", Text, nullable=False),
    Column("started", _TIME, nullable=False),
    Column("seen", _TIME, nullable=False),
    Column("ended", _TIME),
    Column("result", String(_ID_LENGTH), nullable=False),
    Column("git_commit", Text, nullable=False),
    Column("plan_digest", Text, nullable=False),
    Column("error", Text, nullable=False),
    Index("orchestrator_runs_started", "started", "id"),
    **_MYSQL,
)

# Both in the order of their key, so that a run's rows lie together.
binds = Table(
    RUN_BINDS,
    metadata,
    Column("run", String(_ID_LENGTH), primary_key=True),
    Column("bind", _NAMES, primary_key=True),
    Column("planned", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("not_started", Integer, nullable=False),
    Index("orchestrator_run_binds_bind", "bind", "run"),
    sqlite_with_rowid=False,
    **_MYSQL,
)

outcomes = Table(
    OUTCOMES,
    metadata,
    Column("run", String(_ID_LENGTH), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("target", String(TARGET_LENGTH), nullable=False),
    Column("bind", _NAMES, nullable=False),
    Column("server", _NAMES, nullable=False),
    Column("tenant", _NAMES),
    Column("schema_name", _NAMES),
    Column("database_name", _NAMES),
    Column("result", String(_ID_LENGTH), nullable=False),
    Column("from_revisions", Text, nullable=False),
    Column("to_revisions", Text, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("statements", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("waited", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("error", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("where_at", Text, nullable=False),
    Column("statement", Text, nullable=False),
    Column("todo", Text, nullable=False),
    Column("cause", Text, nullable=False),
    sqlite_with_rowid=False,
    **_MYSQL,
)

rollouts = Table(
    ROLLOUTS,
    metadata,
    Column("id", String(_ID_LENGTH), primary_key=True),
    Column("verb", String(_ID_LENGTH), nullable=False),
    Column("who", Text, nullable=False),
    Column("created", _TIME, nullable=False),
    Column("changed", _TIME, nullable=False),
    Column("digest", Text, nullable=False),
    Column("plan", Packed, nullable=False),
    Column("verify", Boolean, nullable=False),
    Column("status", String(_ID_LENGTH), nullable=False),
    Column("reason", Text, nullable=False),
    Column("wave", Integer, nullable=False),
    Column("ask", String(_ID_LENGTH), nullable=False),
    Column("run", String(_ID_LENGTH), nullable=False),
    Column("reverts", String(_ID_LENGTH), nullable=False),
    Column("shapes", Packed, nullable=False),
    Index("orchestrator_rollouts_created", "created", "id"),
    **_MYSQL,
)

rollout_waves = Table(
    ROLLOUT_WAVES,
    metadata,
    Column("rollout", String(_ID_LENGTH), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("targets", Integer, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("max_failures", Integer, nullable=False),
    Column("soak", Float, nullable=False),
    Column("pause", Boolean, nullable=False),
    Column("checks", Commands, nullable=False),
    # By default what every check had before there was this column (CHANGES, number 3).
    Column("check_timeout", Float, nullable=False, server_default="600"),
    Column("state", String(_ID_LENGTH), nullable=False),
    Column("started", _TIME),
    Column("ended", _TIME),
    Column("soak_until", _TIME),
    **_MYSQL,
)

rollout_targets = Table(
    ROLLOUT_TARGETS,
    metadata,
    Column("rollout", String(_ID_LENGTH), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("wave", Integer, nullable=False),
    Column("target", String(TARGET_LENGTH), nullable=False),
    Column("bind", _NAMES, nullable=False),
    Column("server", _NAMES, nullable=False),
    Column("tenant", _NAMES),
    Column("from_revisions", Text, nullable=False),
    Column("to_revisions", Text, nullable=False),
    Column("state", String(_ID_LENGTH), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("run", String(_ID_LENGTH), nullable=False),
    Column("revision", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("cause", Text, nullable=False),
    # Holds all that the counts of a rollout need: they are asked for every second.
    Index("orchestrator_rollout_targets_state", "rollout", "wave", "state"),
    sqlite_with_rowid=False,
    **_MYSQL,
)

rollout_runs = Table(
    ROLLOUT_RUNS,
    metadata,
    Column("rollout", String(_ID_LENGTH), primary_key=True),
    Column("run", String(_ID_LENGTH), primary_key=True),
    Column("claimed", _TIME, nullable=False),
    Index("orchestrator_rollout_runs_run", "run"),
    **_MYSQL,
)

# One row for each bind of a rollout that is not over: the key lets no second one in.
rollout_binds = Table(
    ROLLOUT_BINDS,
    metadata,
    Column("bind", _NAMES, primary_key=True),
    Column("rollout", String(_ID_LENGTH), nullable=False),
    **_MYSQL,
)


def _with_rollouts(connection: Connection) -> None:
    """Number 2. On MySQL each table is there at once, whatever becomes of the next."""
    added = (rollouts, rollout_waves, rollout_targets, rollout_runs, rollout_binds)
    metadata.create_all(connection, tables=added)


def _with_check_timeout(connection: Connection) -> None:
    """Number 3."""
    column = rollout_waves.c.check_timeout
    if any(one["name"] == column.name for one in inspect(connection).get_columns(ROLLOUT_WAVES)):
        return  # _with_rollouts, or a process that ended here, has made it.
    made = CreateColumn(column).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {ROLLOUT_WAVES} ADD COLUMN {made}")


CHANGES: Mapping[int, Callable[[Connection], None]] = {2: _with_rollouts, 3: _with_check_timeout}
"""By schema number: what makes the tables of that number out of those of the number before. May
come twice, where a process ended between the change and its number."""


@lru_cache
def put(table: Table, dialect: str) -> Insert:
    """A statement that writes rows over those of the same key.

    Not by deleting them first: where there is none yet, InnoDB locks the gap, and two runs that
    write into it wait for each other (MySQL manual, "Locks Set by Different SQL Statements in
    InnoDB").
    """
    keys = [column.name for column in table.primary_key]
    others = [column.name for column in table.columns if column.name not in keys]
    if dialect in ("mysql", "mariadb"):
        my = mysql.insert(table)
        return my.on_duplicate_key_update({name: my.inserted[name] for name in others})
    if dialect == "postgresql":
        pg = postgresql.insert(table)
        return pg.on_conflict_do_update(
            index_elements=keys, set_={name: pg.excluded[name] for name in others}
        )
    lite = sqlite.insert(table)
    return lite.on_conflict_do_update(
        index_elements=keys, set_={name: lite.excluded[name] for name in others}
    )


def put_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows over those of the same key, so many at a time."""
    statement = put(table, connection.dialect.name)
    for start in range(0, len(rows), _AT_ONCE):
        connection.execute(statement, rows[start : start + _AT_ONCE])


def schema_number(connection: Connection) -> int | None:
    """The schema number of the tables that are there, None where there are none."""
    if not inspect(connection).has_table(ledger.name):
        return None
    return connection.execute(select(ledger.c.schema_number)).scalar()


def check_number(number: int, place: str) -> None:
    """Raise LedgerError for tables that a newer program has made. place: where the ledger is."""
    if number > SCHEMA:
        raise LedgerError(
            Problem(
                f"the ledger's tables have schema number {number}, and this orchestrator knows "
                f"{SCHEMA}: a newer one has written them",
                where=place,
                key="ledger",
                todo="Upgrade orchestrator (alembic-orchestrator on PyPI) here too.",
            )
        )


def make_current(connection: Connection, place: str) -> None:
    """Make the tables, or bring older ones up to date; nothing where they are current.

    Another process may do the same at the same time: then the server refuses one of the two, and
    the caller tries again. Raises LedgerError for newer tables, and DBAPIError.
    """
    number = schema_number(connection)
    if number is None:
        metadata.create_all(connection)
        # Last, because MySQL commits each table: without the number they are made again.
        connection.execute(ledger.insert().values(id=1, schema_number=SCHEMA))
        return
    check_number(number, place)
    for following in range(number + 1, SCHEMA + 1):
        CHANGES[following](connection)
        connection.execute(ledger.update().values(schema_number=following))
