"""The state of targets, read in bulk: which exist, and what their version tables hold.

Enters: targets.  Leaves: a State for each, in the same order.  One connection a server (and a
database, where each tenant has one on PostgreSQL); one denied or broken target hides no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError

from orchestrator.fleet.engines import failed_state, first_line, make_engine, target_url
from orchestrator.fleet.types import State, Target

BATCH = 250
"""Version tables in one statement: each takes a lock, and thousands run a server out of them."""

THREADS = 8
"""Connections that read state at the same time."""

_NO_SUCH_TABLE = 1146  # MySQL 8.4 Error Message Reference: ER_NO_SUCH_TABLE


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one target's version table is looked for: a schema (None: the session's search_path)
    or a MySQL database, and the table's name."""

    index: int
    container: str | None
    table: str


_Session = tuple[URL, tuple[str, ...]]
"""A connection that reads many places: its URL, and the search_path of a bind without tenants."""


def read_states(targets: Sequence[Target]) -> tuple[State, ...]:
    """The state of each target, in the order given. Never raises for what a server says."""
    groups: dict[_Session, list[_Place]] = {}
    for index, target in enumerate(targets):
        url, container = _where(target)
        # Without a schema of its own, a target's version table is where its search_path leads.
        path = () if target.schema is not None else target.bind.search_path
        groups.setdefault((url, path), []).append(
            _Place(index, container, target.bind.version_table)
        )
    found: dict[int, State] = {}
    with ThreadPoolExecutor(max_workers=THREADS) as threads:
        for states in threads.map(lambda item: _read_group(*item), groups.items()):
            found.update(states)
    return tuple(found[index] for index in range(len(targets)))


def read_state(target: Target) -> State:
    """The state of one target."""
    return read_states([target])[0]


def _where(target: Target) -> tuple[URL, str | None]:
    """The connection that can read a target's version table, and the schema or database there.

    MySQL reads across databases, so one connection without a database serves a server; a database
    that is missing then does not stop the connection.
    """
    url = target_url(target)
    if url.get_backend_name() == "postgresql":
        return url, target.schema
    return url.set(database=""), target.database or url.database


def _read_group(session: _Session, places: Sequence[_Place]) -> dict[int, State]:
    url, search_path = session
    engine = make_engine(url, search_path)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            reader = _postgresql if url.get_backend_name() == "postgresql" else _mysql
            found: dict[int, State] = {}
            for first in range(0, len(places), BATCH):
                found.update(reader(connection, places[first : first + BATCH]))
            return found
    except DBAPIError as error:
        state = failed_state(error)
        return {place.index: state for place in places}
    finally:
        engine.dispose()


def _postgresql(connection: Connection, places: Sequence[_Place]) -> dict[int, State]:
    """Catalogue first: tables that may not be read would fail the whole batch."""
    found: dict[int, State] = {}
    readable = []
    catalogue = {
        (row.asked, row.relname): row
        for row in connection.exec_driver_sql(
            """
            SELECT asked, tables.relname, n.oid IS NOT NULL AS there,
                   coalesce(has_schema_privilege(n.oid, 'USAGE'), false) AS usable,
                   c.oid IS NOT NULL AS versioned, cn.nspname AS container,
                   coalesce(has_table_privilege(c.oid, 'SELECT'), false) AS selectable
            FROM unnest(%(containers)s::text[], %(tables)s::text[]) AS tables(asked, relname)
            LEFT JOIN pg_namespace n ON n.nspname = coalesce(asked, current_schema())
            LEFT JOIN pg_class c ON c.relname = tables.relname AND c.relkind IN ('r', 'p', 'v')
                AND CASE WHEN asked IS NULL THEN pg_table_is_visible(c.oid)
                         ELSE c.relnamespace = n.oid END
            LEFT JOIN pg_namespace cn ON cn.oid = c.relnamespace
            """,
            {
                "containers": [place.container for place in places],
                "tables": [place.table for place in places],
            },
        )
    }
    for place in places:
        row = catalogue[place.container, place.table]
        if not row.there:
            detail = f"no schema {place.container}" if place.container else "no schema to work in"
            found[place.index] = State("missing", detail=detail)
        elif not row.usable:
            found[place.index] = State("denied", detail=f"no USAGE on schema {place.container}")
        elif not row.versioned:
            found[place.index] = State("no-version-table")
        elif not row.selectable:
            found[place.index] = State("denied", detail=f"no SELECT on {place.table}")
        else:
            readable.append(_Place(place.index, row.container, place.table))
    found.update(_rows(connection, readable))
    return found


def _mysql(connection: Connection, places: Sequence[_Place]) -> dict[int, State]:
    """information_schema shows only what this user may see: a database that is not shown may be
    missing or denied, and USE tells which."""
    found: dict[int, State] = {}
    readable = []
    names = tuple({place.container or "" for place in places})
    there = set(
        connection.exec_driver_sql(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name IN %s", (names,)
        ).scalars()
    )
    versioned = {
        (row[0], row[1])
        for row in connection.exec_driver_sql(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema IN %s AND table_name IN %s",
            (names, tuple({place.table for place in places})),
        )
    }
    for place in places:
        if place.container not in there:
            found[place.index] = _unseen(connection, place)
        elif (place.container, place.table) not in versioned:
            found[place.index] = _unlisted(connection, place)
        else:
            readable.append(place)
    found.update(_rows(connection, readable))
    return found


def _unlisted(connection: Connection, place: _Place) -> State:
    """A table that this user may not read is not listed either: asking for it tells which."""
    try:
        connection.exec_driver_sql(f"SELECT version_num FROM {_name(connection, place)} LIMIT 0")
    except DBAPIError as error:
        if error.orig is not None and error.orig.args[:1] == (_NO_SUCH_TABLE,):
            return State("no-version-table")
        return State("denied", detail=first_line(error))
    return _rows(connection, [place])[place.index]  # Somebody made it in the meantime.


def _unseen(connection: Connection, place: _Place) -> State:
    try:
        connection.exec_driver_sql(f"USE {_quoted(connection, place.container or '')}", ())
    except DBAPIError as error:
        return failed_state(error)
    return State("no-version-table")


def _rows(connection: Connection, places: Sequence[_Place]) -> dict[int, State]:
    """The rows of these version tables in one statement; a failing batch is halved."""
    if not places:
        return {}
    selects = (
        f"SELECT {place.index} AS place, version_num FROM {_name(connection, place)}"
        for place in places
    )
    try:
        rows = connection.exec_driver_sql(" UNION ALL ".join(selects), ()).all()
    except DBAPIError as error:
        if len(places) == 1:
            return {places[0].index: State("denied", detail=first_line(error))}
        half = len(places) // 2
        return {**_rows(connection, places[:half]), **_rows(connection, places[half:])}
    revisions: dict[int, list[str]] = {place.index: [] for place in places}
    for place, revision in rows:
        revisions[place].append(revision)
    return {index: State("known", tuple(sorted(found))) for index, found in revisions.items()}


def _name(connection: Connection, place: _Place) -> str:
    return f"{_quoted(connection, place.container or '')}.{_quoted(connection, place.table)}"


def _quoted(connection: Connection, name: str) -> str:
    """An identifier for a statement that is sent with parameters (percent signs are doubled)."""
    return connection.dialect.identifier_preparer.quote_identifier(name)
