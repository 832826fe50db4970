"""Version tables and journals: which of them are there, and what is in them, many in a statement.

Enters: a connection to a server, and Places.  Leaves: a State for each place, by its index.  A
table that cannot be read hides no other: a batch that fails is halved until the culprit is alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from orchestrator.fleet.engines import failed_state, first_line
from orchestrator.fleet.types import JOURNAL_COLUMNS, JournalRow, State

BATCH = 250
"""Version tables in one statement: each takes a lock, and thousands run a server out of them."""

# Databases of one MySQL server may have collations that do not mix in a UNION.
_ONE_COLLATION = "CONVERT({} USING utf8mb4) COLLATE utf8mb4_bin AS value"

_LOCK_SECONDS = 1
"""How long a batch waits for a table that somebody holds exclusively."""

_NO_SUCH_TABLE = 1146  # MySQL 8.4 Error Message Reference: ER_NO_SUCH_TABLE


@dataclass(frozen=True, slots=True)
class Place:
    """Where one target's version table is looked for: a schema (None: the session's search_path)
    or a MySQL database, and the names of the table and of its journal. index: the target's."""

    index: int
    container: str | None
    table: str
    journal: str


@dataclass(frozen=True, slots=True)
class Found:
    """What of a place can be read, each as schema or database and name: None for what is not there.
    detail: why a journal that is there cannot be read."""

    index: int
    versions: tuple[str, str] | None
    journal: tuple[str, str] | None = None
    detail: str = ""


States = dict[int, State]


def written(value: object) -> str:
    """What a row of a version table holds, as a revision's id. A table that somebody else made may
    hold a number, or nothing, and the latter is not what "base" means."""
    return "NULL" if value is None else str(value)


def prepare(connection: Connection) -> None:
    """Set a fresh connection up for reading."""
    if connection.dialect.name != "postgresql":
        connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")


def postgresql_catalogue(
    connection: Connection, places: Sequence[Place]
) -> tuple[States, list[Found]]:
    """The states that PostgreSQL's catalogue tells by itself, and what can be read.

    Tables that may not be read would fail a whole batch, so their rights are looked at first.
    """
    asked = {place.container for place in places if place.container is not None}
    names = {place.table for place in places} | {place.journal for place in places}
    found = _schemas(connection, sorted(asked), sorted(names))
    states: States = {}
    readable = []
    for place in places:
        there = found if place.container is not None else _visible(connection, place)
        empty = there.get((place.container, None))
        versions = there.get((place.container, place.table), empty)
        journal = there.get((place.container, place.journal), empty)
        state = _told(place, versions)
        # A journal without a version table: the very first step stopped half-way.
        if state is None or (state.kind == "no-version-table" and journal and journal.table):
            readable.append(_found(place, None if state else versions, journal))
        else:
            states[place.index] = state
    return states, readable


@dataclass(frozen=True, slots=True)
class _There:
    """What the catalogue says of a table. schema: None when no schema is there."""

    schema: str | None
    usable: bool
    table: bool
    readable: bool


_Catalogue = dict[tuple[str | None, str | None], _There]
"""By schema (None: the session's search_path) and table."""


def _found(place: Place, versions: _There | None, journal: _There | None) -> Found:
    there = journal is not None and journal.table
    may = journal is not None and journal.table and journal.readable
    return Found(
        place.index,
        (versions.schema or "", place.table) if versions is not None else None,
        (journal.schema or "", place.journal) if journal is not None and may else None,
        f"no SELECT on {place.journal}" if there and not may else "",
    )


def _schemas(connection: Connection, schemas: list[str], tables: list[str]) -> _Catalogue:
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
    found: _Catalogue = {}
    for schema, table, usable, readable in rows:
        found[schema, table] = _There(schema, usable, table is not None, readable)
        found[schema, None] = _There(schema, usable, False, False)
    return found


def _visible(connection: Connection, place: Place) -> _Catalogue:
    """The tables that the session's search_path finds, by None and their names."""
    rows = connection.execute(
        text(
            "SELECT name, coalesce(n.nspname, current_schema()), c.oid IS NOT NULL,"
            " coalesce(has_table_privilege(c.oid, 'SELECT'), false)"
            " FROM unnest(CAST(:names AS text[])) AS named (name)"
            " LEFT JOIN pg_catalog.pg_class c ON c.oid = to_regclass(quote_ident(name))"
            " AND c.relkind IN ('r', 'p', 'v')"
            " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        ),
        {"names": [place.table, place.journal]},
    )
    return {(None, name): _There(schema, True, there, may) for name, schema, there, may in rows}


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


def mysql_catalogue(connection: Connection, places: Sequence[Place]) -> tuple[States, list[Found]]:
    """The states that information_schema tells, and what can be read.

    It shows only what this user may see: a database that is not shown may be missing or denied, and
    USE tells which.
    """
    names = sorted({place.container or "" for place in places})
    tables = sorted({name for place in places for name in (place.table, place.journal)})
    # With lower_case_table_names, a server shows its names as it keeps them, or in lower case.
    folds = connection.exec_driver_sql("SELECT @@lower_case_table_names").scalar() != 0
    fold = str.lower if folds else str
    databases = {
        fold(name)
        for name in connection.exec_driver_sql(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name IN %s",
            (tuple(names),),
        ).scalars()
    }
    there = {
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
        container = place.container or ""
        if fold(container) not in databases:
            states[place.index] = _unseen(connection, place)
            continue
        versions, journal = (
            (container, name) if (fold(container), fold(name)) in there else None
            for name in (place.table, place.journal)
        )
        if versions is None and journal is None:
            states[place.index] = _unlisted(connection, place)
        else:
            readable.append(Found(place.index, versions, journal))
    return states, readable


def _unlisted(connection: Connection, place: Place) -> State:
    """A table that this user may not read is not listed either: asking for it tells which."""
    versions = (place.container or "", place.table)
    try:
        connection.exec_driver_sql(f"SELECT version_num FROM {_name(connection, versions)} LIMIT 0")
    except DBAPIError as error:
        if error.orig is not None and error.orig.args[:1] == (_NO_SUCH_TABLE,):
            return State("no-version-table")
        return State("denied", detail=first_line(error))
    # Somebody made it in the meantime.
    return read_rows(connection, [Found(place.index, versions)])[place.index]


def _unseen(connection: Connection, place: Place) -> State:
    try:
        connection.exec_driver_sql(f"USE {_quoted(connection, place.container or '')}", ())
    except DBAPIError as error:
        return failed_state(error)
    return State("no-version-table")


def read_rows(connection: Connection, found: Sequence[Found], *, whole: bool = False) -> States:
    """What these version tables and journals hold, in one statement; a failing batch is halved.

    whole: read what is in the journals. Most are empty: the few that are not are read together with
    their version tables once more, so that both are of the same moment.
    """
    selects = " UNION ALL ".join(
        query for one in found for query in _queries(connection, one, whole=whole)
    )
    if not selects:
        return {one.index: _state(one, {}, {}) for one in found}
    # In one text with its SELECT it ends with it: a pooler may lend the session to others.
    patience = f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'; "
    before = patience if connection.dialect.driver == "psycopg2" else ""
    try:
        rows = connection.exec_driver_sql(before + selects, ()).all()
    except DBAPIError as error:
        if error.connection_invalidated:
            state = failed_state(error)
            return {one.index: state for one in found}
        if len(found) == 1:
            return {found[0].index: _alone(connection, found[0], first_line(error))}
        half = len(found) // 2
        first, rest = found[:half], found[half:]
        return read_rows(connection, first, whole=whole) | read_rows(connection, rest, whole=whole)
    revisions: dict[int, tuple[str, ...]] = {}
    journals: dict[int, list[str]] = {}
    for place, value in rows:
        if place >= 0:
            revisions[place] = (*revisions.get(place, ()), written(value))
        elif value is not None:
            journals.setdefault(~place, []).append(value)
    states = {one.index: _state(one, revisions, journals if whole else {}) for one in found}
    begun = [one for one in found if one.index in journals and not whole]
    return states | (read_rows(connection, begun, whole=True) if begun else {})


def _queries(connection: Connection, one: Found, *, whole: bool) -> Iterator[str]:
    """The rows of a version table, under the target's index, and of its journal, under that
    number's complement. A journal may be as long as a step: its first row and its last tell all."""
    postgresql = connection.dialect.name == "postgresql"
    value = "{} AS value" if postgresql else _ONE_COLLATION
    if one.versions is not None:
        name = _name(connection, one.versions)
        yield f"SELECT {one.index} AS place, {value.format('version_num')} FROM {name}"
    if one.journal is not None:
        name = _name(connection, one.journal)
        columns = ", ".join(JOURNAL_COLUMNS)
        row = f"json_build_array({columns})::text" if postgresql else f"JSON_ARRAY({columns})"
        if whole:
            ends = f" WHERE number IN (0, (SELECT max(number) FROM {name}))"
            yield f"SELECT {~one.index} AS place, {value.format(row)} FROM {name}{ends}"
        else:
            yield f"SELECT {~one.index} AS place, {value.format('revision')} FROM {name}"


def _alone(connection: Connection, one: Found, fault: str) -> State:
    """The state of a place that cannot be read. A journal's fault hides no version table."""
    if one.journal is None:
        return State("denied", detail=fault)
    detail = f"the journal {one.journal[1]} cannot be read: {fault}"
    rest = replace(one, journal=None, detail=detail)
    if one.versions is None:
        return State("no-version-table", detail=detail)
    return read_rows(connection, [rest])[one.index]


def _state(
    one: Found,
    revisions: Mapping[int, tuple[str, ...]],
    journals: Mapping[int, Sequence[str]],
) -> State:
    known = _known(revisions.get(one.index, ()), versioned=one.versions is not None)
    rows: Iterator[JournalRow] = (tuple(json.loads(row)) for row in journals.get(one.index, ()))
    journal = sorted(rows, key=lambda row: row[2])
    if not journal and not one.detail:
        return known
    return replace(known, detail=one.detail, journal=tuple(journal))


@lru_cache(maxsize=1024)
def _known(revisions: tuple[str, ...], *, versioned: bool) -> State:
    """One State for all targets that hold the same: a fleet has few."""
    return State("known" if versioned else "no-version-table", tuple(sorted(revisions)))


def _name(connection: Connection, table: tuple[str, str]) -> str:
    return ".".join(_quoted(connection, name) for name in table)


def _quoted(connection: Connection, name: str) -> str:
    """An identifier for a statement that is sent with parameters (percent signs are doubled)."""
    return connection.dialect.identifier_preparer.quote_identifier(name)
