"""What the things that a statement touches are like now, on MySQL and MariaDB.

Enters: Things, and a session that stands where the statement does.  Leaves: their definitions, as
the server writes them, and what a journal's row keeps of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.fleet.sessions import MySQLSession, SendError
from orchestrator.safety.definitions_mysql import Thing
from orchestrator.safety.journal import digest_of, text_literal

THERE = "there"
"""What is kept of a thing whose being there is all that was looked at."""

_SQL = "sql:"
"""How a digest begins that an SQL expression made: a script cannot digest SHOW CREATE TABLE."""

# MySQL 8.4 error reference: no such table, unknown database.
_ABSENT = (1146, 1049)
# It changes with the rows (MySQL 8.4 manual, 15.7.7.11 "SHOW CREATE TABLE").
_COUNTER = re.compile(r"^(\)[^'\n]*?) AUTO_INCREMENT=\d+", re.MULTILINE)


def definitions(
    session: MySQLSession, things: Sequence[Thing], first: Sequence[str] = ()
) -> dict[Thing, str]:
    """Their definitions, THERE where only that is looked at, and "" for what is not there.

    first: statements that are sent before, in the same round trip. Raises SendError, whose `done`
    counts those.
    """
    absent: set[Thing] = set()
    while True:
        asked = [one for one in things if one not in absent]
        try:
            found = session.fetch(first, [query(one) for one in asked])
        except SendError as error:
            place = error.done - len(first)
            if place < 0 or not error.error.args or error.error.args[0] not in _ABSENT:
                raise
            absent.add(asked[place])
            first = ()
            continue
        shown = {one: _shown(one, rows) for one, rows in zip(asked, found, strict=True)}
        return {one: shown.get(one, "") for one in things}


def kept(things: Mapping[Thing, str]) -> dict[str, str]:
    """What a row keeps of definitions, by the things' keys."""
    return {
        one.key: digest_of(text) if one.whole and text else text for one, text in things.items()
    }


def now_kept(
    session: MySQLSession, things: Sequence[Thing], before: Mapping[str, str]
) -> dict[str, str]:
    """What a row would keep of things now, in the way in which `before` was kept. Raises
    SendError."""
    if any(value.startswith(_SQL) for value in before.values()):
        found: dict[str, str] = json.loads(session.rows(f"SELECT {told_by_sql(things)}")[0][0])
        return found
    return kept(definitions(session, things))


def query(thing: Thing) -> str:
    """The query of a thing's definition, or of its being there."""
    if thing.whole:
        return f"SHOW CREATE TABLE {_quoted(thing)}"
    return f"SELECT {there_by_sql(thing)}"


def kept_by_server(things: Sequence[Thing]) -> str:
    """An SQL expression of what a row keeps of things whose being there tells; as JSON."""
    pairs: Iterator[str] = (
        f"{text_literal('mysql', one.key)}, {there_by_sql(one)}" for one in things
    )
    return f"JSON_OBJECT({', '.join(pairs)})"


def told_by_sql(things: Sequence[Thing]) -> str:
    """The same for all things, tables' definitions digested by SQL."""
    told = (definition_by_sql(*_place(one)) if one.whole else there_by_sql(one) for one in things)
    keys = (text_literal("mysql", one.key) for one in things)
    return f"JSON_OBJECT({', '.join(f'{key}, {one}' for key, one in zip(keys, told, strict=True))})"


def _place(thing: Thing) -> tuple[str, str]:
    """SQL expressions of a table's database and name."""
    database = text_literal("mysql", thing.database) if thing.database else "DATABASE()"
    return database, text_literal("mysql", thing.name)


def definition_by_sql(database: str, name: str) -> str:
    """An SQL expression of a table's definition, "" when there is none. database, name: SQL
    expressions."""
    sums = []
    for catalogue, schema, columns in _TABLE_CATALOGUES:
        row = f"CONCAT_WS(',', {', '.join(f'QUOTE({column})' for column in columns)})"
        # Summed up by XOR, because GROUP_CONCAT cuts what is long. (MySQL 9.6 has no MD5.)
        halves = ", '-', ".join(
            f"BIT_XOR(CAST(CONV(SUBSTRING(SHA2({row}, 256), {start}, 16), 16, 10) AS UNSIGNED))"
            for start in (1, 17)
        )
        sums.append(
            f"(SELECT CONCAT(COUNT(*), ':', {halves}) FROM information_schema.{catalogue}"
            f" WHERE {schema} = {database} AND table_name = {name})"
        )
    there = (
        "EXISTS(SELECT 1 FROM information_schema.tables"
        f" WHERE table_schema = {database} AND table_name = {name})"
    )
    return f"IF({there}, CONCAT('{_SQL}', SHA2(CONCAT_WS(';', {', '.join(sums)}), 256)), '')"


# What both servers tell, and ALTER TABLE changes; not what changes with the rows.
_TABLE_CATALOGUES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "tables",
        "table_schema",
        ("engine", "row_format", "table_collation", "create_options", "table_comment"),
    ),
    (
        "columns",
        "table_schema",
        (
            *("column_name", "ordinal_position", "column_type", "is_nullable", "column_default"),
            *("extra", "column_comment", "collation_name", "generation_expression"),
        ),
    ),
    (
        "statistics",
        "table_schema",
        (
            *("index_name", "seq_in_index", "column_name", "non_unique", "sub_part", "index_type"),
            *("collation", "index_comment", "comment"),
        ),
    ),
    ("table_constraints", "table_schema", ("constraint_name", "constraint_type")),
    (
        "key_column_usage",
        "table_schema",
        (
            *("constraint_name", "ordinal_position", "column_name", "referenced_table_schema"),
            *("referenced_table_name", "referenced_column_name"),
        ),
    ),
    (
        "referential_constraints",
        "constraint_schema",
        ("constraint_name", "update_rule", "delete_rule", "unique_constraint_name"),
    ),
    (
        "partitions",
        "table_schema",
        ("partition_name", "partition_method", "partition_expression", "partition_description"),
    ),
)


def _shown(thing: Thing, rows: Sequence[Sequence[object]]) -> str:
    if not thing.whole:
        return str(rows[0][0])
    return _COUNTER.sub(r"\1", str(rows[0][1]), count=1)


def _quoted(thing: Thing) -> str:
    parts = [part for part in (thing.database, thing.name) if part]
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def there_by_sql(thing: Thing) -> str:
    """An SQL expression of whether a thing is there: THERE, or ""."""
    where = " AND ".join(
        f"{column} = {text_literal('mysql', value) if value else 'DATABASE()'}"
        for column, value in _columns(thing)
    )
    catalogue = _CATALOGUES[thing.kind]
    return f"IF(EXISTS(SELECT 1 FROM information_schema.{catalogue} WHERE {where}), '{THERE}', '')"


_CATALOGUES = {
    "table": "tables",
    "index": "statistics",
    "trigger": "triggers",
    "procedure": "routines",
    "function": "routines",
    "event": "events",
    "database": "schemata",
}


def _columns(thing: Thing) -> Iterator[tuple[str, str]]:
    """The columns of the catalogue that find it; "" stands for the session's database."""
    if thing.kind == "database":
        yield "schema_name", thing.name
    elif thing.kind in ("procedure", "function"):
        yield "routine_schema", thing.database
        yield "routine_name", thing.name
        yield "routine_type", thing.kind.upper()
    elif thing.kind == "index":
        yield "table_schema", thing.database
        yield "table_name", thing.on
        yield "index_name", thing.name
    else:
        if thing.kind == "trigger":
            # By this column alone MariaDB looks into one database, and not into all of them, where
            # DDL of other sessions fails it with error 1684 (sql/sql_show.cc, schema_tables).
            yield "event_object_schema", thing.database
        yield f"{thing.kind}_schema", thing.database
        yield f"{thing.kind}_name", thing.name
