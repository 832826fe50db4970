"""What the things that a statement touches are like now, on MySQL and MariaDB.

Enters: Things, and a session that stands where the statement does.  Leaves: their definitions, as
the server writes them, and what a journal's row keeps of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.fleet.sessions import MySQLSession, SendError
from orchestrator.safety.definitions_mysql import Thing
from orchestrator.safety.journal import digest_of, text_literal

THERE = "there"
"""What is kept of a thing whose being there is all that was looked at."""

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


def query(thing: Thing) -> str:
    """The query of a thing's definition, or of its being there."""
    if thing.whole:
        return f"SHOW CREATE TABLE {_quoted(thing)}"
    return f"SELECT {_being_there(thing)}"


def kept_by_server(things: Sequence[Thing]) -> str:
    """An SQL expression of what a row keeps of things whose being there tells; as JSON."""
    pairs: Iterator[str] = (
        f"{text_literal('mysql', one.key)}, {_being_there(one)}" for one in things
    )
    return f"JSON_OBJECT({', '.join(pairs)})"


def _shown(thing: Thing, rows: Sequence[Sequence[object]]) -> str:
    if not thing.whole:
        return str(rows[0][0])
    return _COUNTER.sub(r"\1", str(rows[0][1]), count=1)


def _quoted(thing: Thing) -> str:
    parts = [part for part in (thing.database, thing.name) if part]
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def _being_there(thing: Thing) -> str:
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
        yield f"{thing.kind}_schema", thing.database
        yield f"{thing.kind}_name", thing.name
