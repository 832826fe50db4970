"""What only real tables know: how large they are, and how many instant changes they have had.

Enters: targets.  Leaves: of each table name the largest over all targets.  A few catalogue queries
a server, with the servers' own estimates; nothing is locked, and a server that does not answer says
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from sqlalchemy import text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError

from orchestrator.checks.lint.types import TableFacts
from orchestrator.errors import OrchestratorError
from orchestrator.fleet.engines import make_engine, target_url
from orchestrator.fleet.types import Target

_AT_ONCE = 500
"""Schemas or databases in one query."""

_DATABASES = 20
"""PostgreSQL databases of one server that are looked into, each on a connection of its own."""

_Row = tuple[str, str, int, int, int | None]
"""Schema or database, table, rows, bytes, row versions."""


def real_tables(targets: Sequence[Target]) -> Mapping[str, TableFacts]:
    """The largest table of each name over these targets. Never raises for what a server says."""
    servers: dict[tuple[str, str], list[Target]] = {}
    for target in targets:
        if target.server.migration_url is not None:
            servers.setdefault((target.bind.name, target.server.name), []).append(target)
    found: dict[str, TableFacts] = {}
    for mine in servers.values():
        with suppress(DBAPIError, OrchestratorError):
            for target, (_place, name, rows, size, versions) in _tables(mine):
                known = found.get(name)
                if known is None or (rows, size) > (known.rows, known.bytes):
                    most = _most(versions, known.row_versions if known else None)
                    found[name] = TableFacts(rows, size, target.id, most)
                elif versions is not None:
                    most = _most(versions, known.row_versions)
                    found[name] = TableFacts(known.rows, known.bytes, known.target, most)
    return found


def _most(one: int | None, other: int | None) -> int | None:
    told = [value for value in (one, other) if value is not None]
    return max(told) if told else None


def _tables(targets: Sequence[Target]) -> Iterator[tuple[Target, _Row]]:
    """The tables of one server's targets."""
    first = targets[0]
    if target_url(first).get_backend_name() != "postgresql":
        url = target_url(first)
        places = {target.database or url.database or "": target for target in targets}
        yield from _asked(url.set(database=""), places, _mysql)
    elif first.schema is not None:
        places = {target.schema or "": target for target in targets}
        yield from _asked(target_url(first), places, _postgresql)
    else:
        for target in targets[:_DATABASES]:
            yield from _asked(target_url(target), {"public": target}, _postgresql)


def _asked(
    url: URL,
    places: Mapping[str, Target],
    query: Callable[[Connection, Sequence[str]], list[_Row]],
) -> Iterator[tuple[Target, _Row]]:
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            names = list(places)
            for start in range(0, len(names), _AT_ONCE):
                for row in query(connection, names[start : start + _AT_ONCE]):
                    yield places[row[0]], row
    finally:
        engine.dispose()


def _postgresql(connection: Connection, schemas: Sequence[str]) -> list[_Row]:
    query = text(
        # reltuples is -1 until the table is analyzed for the first time (PostgreSQL 18 manual,
        # 52.11 "pg_class"); what was inserted is counted meanwhile.
        "SELECT n.nspname, c.relname,"
        " CASE WHEN c.reltuples >= 0 THEN c.reltuples"
        " ELSE pg_stat_get_live_tuples(c.oid) END::bigint,"
        " c.relpages::bigint * current_setting('block_size')::bigint, NULL"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind = 'r' AND n.nspname = ANY(CAST(:schemas AS text[]))"
    )
    rows = connection.execute(query, {"schemas": list(schemas)})
    return [(row[0], row[1], int(row[2]), int(row[3]), None) for row in rows]


def _mysql(connection: Connection, databases: Sequence[str]) -> list[_Row]:
    names = {f"d{number}": name for number, name in enumerate(databases)}
    among = ", ".join(f":{one}" for one in names)
    query = text(
        "SELECT table_schema, table_name, COALESCE(table_rows, 0),"
        " COALESCE(data_length, 0) + COALESCE(index_length, 0) FROM information_schema.tables"
        f" WHERE table_type = 'BASE TABLE' AND table_schema IN ({among})"
    )
    rows = connection.execute(query, names).all()
    versions = _row_versions(connection, names, among)
    return [
        (row[0], row[1], int(row[2]), int(row[3]), versions.get(f"{row[0]}/{row[1]}"))
        for row in rows
    ]


def _row_versions(
    connection: Connection, names: Mapping[str, str], among: str
) -> Mapping[str, int]:
    """Of tables that had instant changes: how many (MySQL 8.4 manual, 28.4.23 "INNODB_TABLES",
    TOTAL_ROW_VERSIONS). Nothing where the server does not tell, or the user may not ask."""
    query = text(
        "SELECT name, total_row_versions FROM information_schema.innodb_tables"
        f" WHERE total_row_versions > 0 AND SUBSTRING_INDEX(name, '/', 1) IN ({among})"
    )
    with suppress(DBAPIError):
        return {row[0]: int(row[1]) for row in connection.execute(query, names)}
    return {}
