"""Version tables: which of them are there, and what is in them, many in a statement.

Enters: a connection to a server, and Places.  Leaves: a State for each place, by its index.  A
table that cannot be read hides no other: a batch that fails is halved until the culprit is alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from orchestrator.fleet.engines import failed_state, first_line
from orchestrator.fleet.types import State

BATCH = 250
"""Version tables in one statement: each takes a lock, and thousands run a server out of them."""

_ONE_COLLATION = "CONVERT(version_num USING utf8mb4) COLLATE utf8mb4_bin AS version_num"

_LOCK_SECONDS = 1
"""How long a batch waits for a table that somebody holds exclusively."""

_NO_SUCH_TABLE = 1146  # MySQL 8.4 Error Message Reference: ER_NO_SUCH_TABLE


@dataclass(frozen=True, slots=True)
class Place:
    """Where one target's version table is looked for: a schema (None: the session's search_path)
    or a MySQL database, and the table's name. index: the target's."""

    index: int
    container: str | None
    table: str


States = dict[int, State]


def prepare(connection: Connection) -> None:
    """Set a fresh connection up for reading."""
    if connection.dialect.name != "postgresql":
        connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")


def postgresql_catalogue(
    connection: Connection, places: Sequence[Place]
) -> tuple[States, list[Place]]:
    """The states that PostgreSQL's catalogue tells by itself, and the places that can be read.

    Tables that may not be read would fail a whole batch, so their rights are looked at first.
    """
    asked = {place.container for place in places if place.container is not None}
    found = _schemas(connection, sorted(asked), sorted({place.table for place in places}))
    states: States = {}
    readable = []
    for place in places:
        there = (
            found.get((place.container, place.table), found.get((place.container, None)))
            if place.container is not None
            else _visible(connection, place.table)
        )
        state = _told(place, there)
        if state is not None or there is None:
            states[place.index] = state or State("missing")
        else:
            readable.append(Place(place.index, there.schema, place.table))
    return states, readable


@dataclass(frozen=True, slots=True)
class _There:
    """What the catalogue says of a version table. schema: None when no schema is there."""

    schema: str | None
    usable: bool
    table: bool
    readable: bool


def _schemas(
    connection: Connection, schemas: list[str], tables: list[str]
) -> dict[tuple[str, str | None], _There]:
    """By schema and table; a schema without any of the tables stands there with None."""
    if not schemas:
        return {}
    rows = connection.execute(
        text(
            "SELECT n.nspname, c.relname, has_schema_privilege(n.oid, 'USAGE'),"
            " coalesce(has_table_privilege(c.oid, 'SELECT'), false)"
            " FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_class c"
            " ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v')"
            " AND c.relname = ANY(CAST(:tables AS text[]))"
            " WHERE n.nspname = ANY(CAST(:schemas AS text[]))"
        ),
        {"schemas": schemas, "tables": tables},
    )
    found: dict[tuple[str, str | None], _There] = {}
    for schema, table, usable, readable in rows:
        found[schema, table] = _There(schema, usable, table is not None, readable)
        found[schema, None] = _There(schema, usable, False, False)
    return found


def _visible(connection: Connection, table: str) -> _There:
    """The table that the session's search_path finds."""
    schema, usable, there, readable = connection.execute(
        text(
            "SELECT coalesce(n.nspname, current_schema()), true, c.oid IS NOT NULL,"
            " coalesce(has_table_privilege(c.oid, 'SELECT'), false)"
            " FROM (SELECT to_regclass(quote_ident(:name)) AS oid) AS named"
            " LEFT JOIN pg_catalog.pg_class c ON c.oid = named.oid"
            " AND c.relkind IN ('r', 'p', 'v')"
            " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        ),
        {"name": table},
    ).one()
    return _There(schema, usable, there, readable)


def _told(place: Place, there: _There | None) -> State | None:
    if there is None or there.schema is None:
        return State("missing", detail=f"no schema {place.container or 'to work in'}")
    if not there.usable:
        return State("denied", detail=f"no USAGE on schema {there.schema}")
    if not there.table:
        return State("no-version-table")
    if not there.readable:
        return State("denied", detail=f"no SELECT on {place.table}")
    return None


def mysql_catalogue(connection: Connection, places: Sequence[Place]) -> tuple[States, list[Place]]:
    """The states that information_schema tells, and the places that can be read.

    It shows only what this user may see: a database that is not shown may be missing or denied, and
    USE tells which.
    """
    names = sorted({place.container or "" for place in places})
    tables = sorted({place.table for place in places})
    # With lower_case_table_names, a server shows its names as it keeps them, or in lower case.
    folds = connection.exec_driver_sql("SELECT @@lower_case_table_names").scalar() != 0
    fold = str.lower if folds else str
    there = {
        fold(name)
        for name in connection.exec_driver_sql(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name IN %s",
            (tuple(names),),
        ).scalars()
    }
    versioned = {
        (fold(schema), fold(table))
        for schema, table in connection.exec_driver_sql(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema IN %s AND table_name IN %s",
            (tuple(names), tuple(tables)),
        )
    }
    states: States = {}
    readable = []
    for place in places:
        database = fold(place.container or "")
        if database not in there:
            states[place.index] = _unseen(connection, place)
        elif (database, fold(place.table)) not in versioned:
            states[place.index] = _unlisted(connection, place)
        else:
            readable.append(place)
    return states, readable


def _unlisted(connection: Connection, place: Place) -> State:
    """A table that this user may not read is not listed either: asking for it tells which."""
    try:
        connection.exec_driver_sql(f"SELECT version_num FROM {_name(connection, place)} LIMIT 0")
    except DBAPIError as error:
        if error.orig is not None and error.orig.args[:1] == (_NO_SUCH_TABLE,):
            return State("no-version-table")
        return State("denied", detail=first_line(error))
    return read_rows(connection, [place])[place.index]  # Somebody made it in the meantime.


def _unseen(connection: Connection, place: Place) -> State:
    try:
        connection.exec_driver_sql(f"USE {_quoted(connection, place.container or '')}", ())
    except DBAPIError as error:
        return failed_state(error)
    return State("no-version-table")


def read_rows(connection: Connection, places: Sequence[Place]) -> States:
    """What these version tables hold, in one statement; a failing batch is halved."""
    if not places:
        return {}
    # Databases of one MySQL server may have collations that do not mix in a UNION.
    postgresql = connection.dialect.name == "postgresql"
    value = "version_num" if postgresql else _ONE_COLLATION
    selects = " UNION ALL ".join(
        f"SELECT {place.index} AS place, {value} FROM {_name(connection, place)}"
        for place in places
    )
    # In one text with its SELECT it ends with it: a pooler may lend the session to others.
    patience = f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'; "
    before = patience if connection.dialect.driver == "psycopg2" else ""
    try:
        rows = connection.exec_driver_sql(before + selects, ()).all()
    except DBAPIError as error:
        if error.connection_invalidated:
            state = failed_state(error)
            return {place.index: state for place in places}
        if len(places) == 1:
            return {places[0].index: State("denied", detail=first_line(error))}
        half = len(places) // 2
        return {**read_rows(connection, places[:half]), **read_rows(connection, places[half:])}
    revisions: dict[int, tuple[str, ...]] = {}
    for place, revision in rows:
        if revision is not None:
            revisions[place] = (*revisions.get(place, ()), str(revision))
    return {place.index: _known(revisions.get(place.index, ())) for place in places}


@lru_cache(maxsize=1024)
def _known(revisions: tuple[str, ...]) -> State:
    """One State for all targets that hold the same: a fleet has few."""
    return State("known", tuple(sorted(revisions)))


def _name(connection: Connection, place: Place) -> str:
    return f"{_quoted(connection, place.container or '')}.{_quoted(connection, place.table)}"


def _quoted(connection: Connection, name: str) -> str:
    """An identifier for a statement that is sent with parameters (percent signs are doubled)."""
    return connection.dialect.identifier_preparer.quote_identifier(name)
