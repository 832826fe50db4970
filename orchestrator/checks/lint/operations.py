"""What the statements of a revision do to tables: operations, the same for every flavour.

Enters: the text of a statement, and the family of its server.  Leaves: Operations, in their order;
nothing for what is no such statement.  No I/O.

Words are read, not a whole grammar: what an operation is stands in its first words, and what is not
known is left out. (sqlglot, which reads the data statements, takes PostgreSQL's
`ALTER TABLE t RENAME a TO b`, as Alembic writes it, for the renaming of a table.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from orchestrator.checks.lint import postgresql_words
from orchestrator.config import Family
from orchestrator.safety import definitions_words
from orchestrator.safety.alone import statements_of
from orchestrator.safety.definitions_words import Cursor, Word, parts

Kind = Literal[
    "create table",
    "drop table",
    "rename table",
    "truncate",
    "add column",
    "drop column",
    "rename column",
    "change type",
    "set not null",
    "create index",
    "drop index",
    "add foreign key",
    "alter table",
]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on a table; "alter table" is any that has no kind of its own.

    name: of the column or index, as the server keeps it; "" when the server chooses it. new: what
    something is renamed to. columns: those of a foreign key. not_null, default: of a column that is
    added, where default is anything that gives its rows a value. concurrently: an index.
    """

    kind: Kind
    table: str
    name: str = ""
    new: str = ""
    columns: tuple[str, ...] = ()
    not_null: bool = False
    default: bool = False
    concurrently: bool = False


@lru_cache(4096)
def operations(text: str, family: Family) -> tuple[Operation, ...]:
    """The operations of a text; PostgreSQL takes several statements in one."""
    if family == "mysql":
        return tuple(_read(list(definitions_words.words(text))))
    return tuple(
        one
        for statement in statements_of(text)
        for one in _read(list(postgresql_words.words(statement)))
    )


def _read(found: Sequence[Word]) -> Iterator[Operation]:
    cursor = Cursor(found)
    first = cursor.step()
    reader = _READERS.get(first.text.upper()) if first is not None else None
    if reader is not None:
        yield from reader(cursor)


def _table(cursor: Cursor) -> str:
    """A table's name without its schema, past IF EXISTS and ONLY."""
    cursor.take("IF", "NOT", "EXISTS")
    cursor.take("IF", "EXISTS")
    cursor.take("ONLY")
    name = cursor.name()
    return name[1] if name else ""


def _create(cursor: Cursor) -> Iterator[Operation]:
    cursor.take("OR", "REPLACE")
    if cursor.take_any("TEMP", "TEMPORARY", "GLOBAL", "LOCAL"):
        return  # gone with its session
    unique = cursor.take_any("UNLOGGED", "UNIQUE", "FULLTEXT", "SPATIAL")
    if cursor.take("TABLE"):
        table = _table(cursor)
        yield Operation("create table", table)
        yield from _table_keys(table, cursor)
    elif unique != "UNLOGGED" and cursor.take("INDEX"):
        concurrently = cursor.take("CONCURRENTLY")
        cursor.take("IF", "NOT", "EXISTS")
        name = "" if cursor.take("ON") else _index_name(cursor)
        yield Operation("create index", _table(cursor), name, concurrently=concurrently)


def _index_name(cursor: Cursor) -> str:
    name = cursor.name()
    while cursor.here is not None and not cursor.take("ON"):
        cursor.step()  # MySQL's USING BTREE
    return name[1] if name else ""


def _table_keys(table: str, cursor: Cursor) -> Iterator[Operation]:
    """The foreign keys of a CREATE TABLE."""
    for part in _inside(cursor):
        inner = Cursor(part)
        if any(word.is_word("FOREIGN", "REFERENCES") for word in part):
            yield from _constraint(table, inner) or _inline_key(table, inner)


def _inside(cursor: Cursor) -> Iterator[list[Word]]:
    """The parts between commas inside of the parenthesis that comes next."""
    if not cursor.take("("):
        return
    depth, found = 1, list[Word]()
    while depth and (word := cursor.step()) is not None:
        depth += word.is_word("(") - word.is_word(")")
        if depth:
            found.append(word)
    yield from parts(found)


def _constraint(table: str, cursor: Cursor) -> list[Operation]:
    """FOREIGN KEY (...), with or without CONSTRAINT and a name."""
    if cursor.take("CONSTRAINT") and not cursor.take("FOREIGN", "KEY"):
        cursor.name()
        if not cursor.take("FOREIGN", "KEY"):
            return []
    elif not cursor.take("FOREIGN", "KEY"):
        return []
    if cursor.here is not None and not cursor.here.is_word("("):
        cursor.name()  # MySQL's name of the index
    columns = tuple(part[0].name for part in _inside(cursor) if part)
    return [Operation("add foreign key", table, columns=columns)]


def _inline_key(table: str, cursor: Cursor) -> list[Operation]:
    """REFERENCES in a column's definition."""
    name = cursor.name()
    inline = any(word.is_word("REFERENCES") for word in cursor.rest())
    return [Operation("add foreign key", table, columns=(name[1],))] if name and inline else []


def _drop(cursor: Cursor) -> Iterator[Operation]:
    cursor.take("FOREIGN")  # PostgreSQL's foreign tables
    if cursor.take("TABLE"):
        for table in _names(cursor):
            yield Operation("drop table", table)
    elif cursor.take("INDEX"):
        concurrently = cursor.take("CONCURRENTLY")
        for index in _names(cursor):
            yield Operation("drop index", "", index, concurrently=concurrently)


def _truncate(cursor: Cursor) -> Iterator[Operation]:
    cursor.take("TABLE")
    for table in _names(cursor):
        yield Operation("truncate", table)


def _names(cursor: Cursor) -> Iterator[str]:
    while name := _table(cursor):
        yield name
        cursor.take("*")
        if not cursor.take(","):
            return


def _rename(cursor: Cursor) -> Iterator[Operation]:
    """MySQL's RENAME TABLE."""
    if not (cursor.take("TABLE") or cursor.take("TABLES")):
        return
    while table := _table(cursor):
        if not cursor.take("TO"):
            return
        yield Operation("rename table", table, new=_table(cursor))
        if not cursor.take(","):
            return


def _alter(cursor: Cursor) -> Iterator[Operation]:
    cursor.take("FOREIGN")
    if not cursor.take("TABLE"):
        return
    table = _table(cursor)
    cursor.take("*")
    for part in parts(list(cursor.rest())):
        inner = Cursor(part)
        verb = inner.step()
        reader = _ACTIONS.get(verb.text.upper()) if verb is not None else None
        found = list(reader(table, inner)) if reader is not None else []
        yield from found or [Operation("alter table", table)]


_NO_COLUMN = (
    *("CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "EXCLUDE", "INDEX", "KEY"),
    *("FULLTEXT", "SPATIAL", "PARTITION", "PERIOD", "SYSTEM", "GENERATED"),
)


def _add(table: str, cursor: Cursor) -> Iterator[Operation]:
    said = cursor.take("COLUMN")
    if cursor.here is not None and cursor.here.is_word("("):
        for part in _inside(cursor):
            yield from _column(table, Cursor(part))
    elif said or not (cursor.here is not None and cursor.here.is_word(*_NO_COLUMN)):
        yield from _column(table, cursor)
    elif (kept := cursor.here) is not None and kept.is_word("CONSTRAINT", "FOREIGN"):
        yield from _constraint(table, cursor)
    elif kept is not None and kept.is_word("INDEX", "KEY", "FULLTEXT", "SPATIAL"):
        yield Operation("create index", table, "")


def _column(table: str, cursor: Cursor) -> Iterator[Operation]:
    cursor.take("IF", "NOT", "EXISTS")
    name = cursor.name()
    if name is None:
        return
    not_null, default = _definition(list(cursor.rest()))
    yield Operation("add column", table, name[1], not_null=not_null, default=default)
    if any(word.is_word("REFERENCES") for word in cursor.rest()):
        yield Operation("add foreign key", table, columns=(name[1],))


_GIVES_VALUES = ("DEFAULT", "GENERATED", "AUTO_INCREMENT", "AS", "IDENTITY")
_SERIAL = ("SERIAL", "BIGSERIAL", "SMALLSERIAL", "SERIAL4", "SERIAL8", "SERIAL2")


def _definition(found: Sequence[Word]) -> tuple[bool, bool]:
    """Of a column's definition: whether it is NOT NULL, and whether its rows get a value."""
    outer, depth = list[Word](), 0
    for word in found:
        depth += word.is_word("(") - word.is_word(")")
        if depth == 0:
            outer.append(word)
    pairs = [(one.text.upper(), two.text.upper()) for one, two in pairwise(outer)]
    primary = any(word.is_word("PRIMARY") for word in outer)
    given = any(word.is_word(*_GIVES_VALUES, *_SERIAL) for word in outer)
    # DEFAULT NULL gives them none.
    return ("NOT", "NULL") in pairs or primary, given and ("DEFAULT", "NULL") not in pairs


def _drop_part(table: str, cursor: Cursor) -> Iterator[Operation]:
    said = cursor.take("COLUMN")
    if cursor.here is None or (not said and cursor.here.is_word(*_NO_COLUMN)):
        if cursor.take("INDEX") or cursor.take("KEY"):
            yield Operation("drop index", table, _table(cursor))
        return
    yield Operation("drop column", table, _table(cursor))


def _alter_part(table: str, cursor: Cursor) -> Iterator[Operation]:
    if not cursor.take("COLUMN") and cursor.take_any("CONSTRAINT", "INDEX", "CHECK"):
        return
    name = _table(cursor)
    if cursor.take("SET", "NOT", "NULL"):
        yield Operation("set not null", table, name)
    elif cursor.take("TYPE") or cursor.take("SET", "DATA", "TYPE"):
        yield Operation("change type", table, name)


def _modify(table: str, cursor: Cursor) -> Iterator[Operation]:
    cursor.take("COLUMN")
    name = _table(cursor)
    yield Operation("change type", table, name)
    if _definition(list(cursor.rest()))[0]:
        yield Operation("set not null", table, name)


def _change(table: str, cursor: Cursor) -> Iterator[Operation]:
    cursor.take("COLUMN")
    old, new = _table(cursor), _table(cursor)
    # MySQL compares columns' names without regard to case (8.4 manual, 11.2.3).
    if old.lower() != new.lower():
        yield Operation("rename column", table, old, new)
    yield Operation("change type", table, new)
    if _definition(list(cursor.rest()))[0]:
        yield Operation("set not null", table, new)


def _rename_part(table: str, cursor: Cursor) -> Iterator[Operation]:
    if cursor.take_any("CONSTRAINT", "INDEX", "KEY"):
        return
    if cursor.take("TO") or cursor.take("AS"):
        yield Operation("rename table", table, new=_table(cursor))
        return
    column = cursor.take("COLUMN")
    old = _table(cursor)
    if cursor.take("TO"):
        yield Operation("rename column", table, old, _table(cursor))
    elif not column:  # MySQL: ALTER TABLE a RENAME b
        yield Operation("rename table", table, new=old)


_READERS: dict[str, Callable[[Cursor], Iterator[Operation]]] = {
    "CREATE": _create,
    "DROP": _drop,
    "TRUNCATE": _truncate,
    "RENAME": _rename,
    "ALTER": _alter,
}
_ACTIONS: dict[str, Callable[[str, Cursor], Iterator[Operation]]] = {
    "ADD": _add,
    "DROP": _drop_part,
    "ALTER": _alter_part,
    "MODIFY": _modify,
    "CHANGE": _change,
    "RENAME": _rename_part,
}
