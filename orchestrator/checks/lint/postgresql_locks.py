"""The locks that PostgreSQL statements take on tables, and whether they write or read all rows.

Enters: the text of a statement.  Leaves: TableLocks, in their order; nothing for what locks no
table.  No I/O.

Sources: PostgreSQL 18 manual, 13.3.1 "Table-Level Locks", and the pages of ALTER TABLE (with its
"Notes"), CREATE TABLE, CREATE INDEX, REINDEX, REFRESH MATERIALIZED VIEW.  Words are read, not a
whole grammar: an ALTER TABLE whose form is not known takes the strongest lock, as the manual says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

from orchestrator.checks.lint import postgresql_words
from orchestrator.checks.lint.postgresql_defaults import writes_rows
from orchestrator.safety.alone import statements_of
from orchestrator.safety.definitions_words import Cursor, Word, parts

Mode = Literal[
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
]
"""From the weakest to the strongest, as the manual lists them. ACCESS SHARE stops nobody but those
who want ACCESS EXCLUSIVE, and is left out."""

Work = Literal["", "reads all rows", "builds an index", "may rewrite", "rewrites"]


@dataclass(frozen=True, slots=True)
class TableLock:
    """One lock. table: without its schema; where an index is named instead, "index x". mode: None
    where only a body of code tells. work: what is done under it."""

    table: str
    mode: Mode | None
    work: Work = ""


_ALL: Mode = "ACCESS EXCLUSIVE"
_MAINTAIN: Mode = "SHARE UPDATE EXCLUSIVE"
_KEY: Mode = "SHARE ROW EXCLUSIVE"
_WRITE: Mode = "ROW EXCLUSIVE"


@lru_cache(4096)
def table_locks(text: str) -> tuple[TableLock, ...]:
    """The locks of a text, which may hold several statements; the strongest on each table."""
    found: dict[str, TableLock] = {}
    for statement in statements_of(text):
        for one in _locks(Cursor(list(postgresql_words.words(statement)))):
            found[one.table] = _stronger(found[one.table], one) if one.table in found else one
    return tuple(found.values())


def _stronger(one: TableLock, two: TableLock) -> TableLock:
    modes, works = get_args(Mode), get_args(Work)
    known = [lock.mode for lock in (one, two) if lock.mode is not None]
    mode = max(known, key=modes.index) if known else None
    return replace(one, mode=mode, work=max(one.work, two.work, key=works.index))


def _locks(cursor: Cursor) -> Iterator[TableLock]:
    first = cursor.step()
    reader = _READERS.get(first.text.upper()) if first is not None else None
    if reader is not None:
        yield from reader(cursor)


def _name(cursor: Cursor) -> str:
    """A name without its schema, past IF EXISTS and ONLY."""
    cursor.take("IF", "NOT", "EXISTS")
    cursor.take("IF", "EXISTS")
    cursor.take("ONLY")
    name = cursor.name()
    return name[1] if name else ""


def _names(cursor: Cursor) -> Iterator[str]:
    while name := _name(cursor):
        yield name
        cursor.take("*")
        if not cursor.take(","):
            return


def _past(cursor: Cursor, *words: str) -> bool:
    """Step behind the first of these words; False where none comes."""
    while cursor.here is not None:
        if cursor.take_any(*words):
            return True
        cursor.step()
    return False


def _create(cursor: Cursor) -> Iterator[TableLock]:
    replaces = cursor.take("OR", "REPLACE")
    cursor.take("CONSTRAINT")
    cursor.take_any("UNIQUE", "UNLOGGED", "RECURSIVE")
    if cursor.take("INDEX"):
        mode: Mode = _MAINTAIN if cursor.take("CONCURRENTLY") else "SHARE"
        if _past(cursor, "ON"):
            yield TableLock(_name(cursor), mode, "builds an index")
    elif cursor.take("TABLE"):
        yield from _create_table(cursor)
    elif cursor.take("TRIGGER"):
        if _past(cursor, "ON"):
            yield TableLock(_name(cursor), _KEY)
    elif cursor.take("POLICY"):
        if _past(cursor, "ON"):
            yield TableLock(_name(cursor), _ALL)
    elif cursor.take("RULE"):
        if _past(cursor, "TO"):
            yield TableLock(_name(cursor), _ALL)
    elif cursor.take("STATISTICS"):
        if _past(cursor, "FROM"):
            yield TableLock(_name(cursor), _MAINTAIN)
    elif replaces and cursor.take("VIEW"):
        yield TableLock(_name(cursor), _ALL)


def _create_table(cursor: Cursor) -> Iterator[TableLock]:
    _name(cursor)
    if cursor.take("PARTITION", "OF"):
        yield TableLock(_name(cursor), _ALL)
    while _past(cursor, "REFERENCES", "INHERITS"):
        if cursor.take("("):
            yield from (TableLock(name, _MAINTAIN) for name in _names(cursor))
        else:
            yield TableLock(_name(cursor), _KEY)


def _drop(cursor: Cursor) -> Iterator[TableLock]:
    cursor.take_any("FOREIGN", "MATERIALIZED")
    if cursor.take_any("TABLE", "VIEW"):
        yield from (TableLock(name, _ALL) for name in _names(cursor))
    elif cursor.take("INDEX"):
        mode: Mode = _MAINTAIN if cursor.take("CONCURRENTLY") else _ALL
        yield from (TableLock(f"index {name}", mode) for name in _names(cursor))
    elif cursor.take_any("TRIGGER", "POLICY", "RULE") and _past(cursor, "ON"):
        yield TableLock(_name(cursor), _ALL)


def _alter(cursor: Cursor) -> Iterator[TableLock]:
    cursor.take_any("FOREIGN", "MATERIALIZED")
    if cursor.take_any("TABLE", "VIEW"):
        table = _name(cursor)
        cursor.take("*")
        for part in parts(list(cursor.rest())):
            yield from _action(table, part)
    elif cursor.take("INDEX"):
        name = _name(cursor)
        copies = cursor.take("SET", "TABLESPACE")
        yield TableLock(f"index {name}", _ALL if copies else _MAINTAIN)
    elif cursor.take_any("TRIGGER", "POLICY", "RULE") and _past(cursor, "ON"):
        yield TableLock(_name(cursor), _ALL)


def _action(table: str, part: Sequence[Word]) -> Iterator[TableLock]:
    """One form of ALTER TABLE."""
    cursor = Cursor(part)
    verb = cursor.step()
    reader = _ACTIONS.get(verb.text.upper()) if verb is not None else None
    yield from reader(table, cursor) if reader is not None else [TableLock(table, _ALL)]


def _add(table: str, cursor: Cursor) -> Iterator[TableLock]:
    rest = cursor.rest()
    checked: Work = "" if _has(rest, "NOT", "VALID") else "reads all rows"
    if cursor.take("CONSTRAINT"):
        cursor.name()
    if cursor.take("FOREIGN", "KEY"):
        yield TableLock(table, _KEY, checked)
        if _past(cursor, "REFERENCES"):
            yield TableLock(_name(cursor), _KEY)
    elif cursor.take_any("CHECK", "NOT"):
        yield TableLock(table, _ALL, checked)
    elif cursor.take_any("UNIQUE", "PRIMARY", "EXCLUDE"):
        ready = _has(rest, "USING", "INDEX")
        yield TableLock(table, _ALL, "" if ready else "builds an index")
    else:
        cursor.take("COLUMN")
        yield from _add_column(table, cursor)


def _add_column(table: str, cursor: Cursor) -> Iterator[TableLock]:
    _name(cursor)
    rest = cursor.rest()
    written = writes_rows(rest)
    work: Work = {"yes": "rewrites", "maybe": "may rewrite", "no": ""}[written]  # type: ignore[assignment]
    if not work and any(word.is_word("UNIQUE", "PRIMARY") for word in rest):
        work = "builds an index"
    elif not work and any(word.is_word("CHECK") for word in rest):
        work = "reads all rows"
    yield TableLock(table, _ALL, work)
    if _past(cursor, "REFERENCES"):
        yield TableLock(_name(cursor), _KEY)


def _alter_column(table: str, cursor: Cursor) -> Iterator[TableLock]:
    if not cursor.take("CONSTRAINT"):
        cursor.take("COLUMN")
        cursor.name()
    if cursor.take("TYPE") or cursor.take("SET", "DATA", "TYPE"):
        yield TableLock(table, _ALL, "may rewrite")
    elif cursor.take("SET", "EXPRESSION"):
        yield TableLock(table, _ALL, "rewrites")
    elif cursor.take("SET", "NOT", "NULL"):
        yield TableLock(table, _ALL, "reads all rows")
    else:
        light = (("SET", "STATISTICS"), ("SET", "("), ("RESET", "("))
        mode: Mode = _MAINTAIN if any(cursor.take(*words) for words in light) else _ALL
        yield TableLock(table, mode)


_LIGHT_PARAMETERS = ("fillfactor", "parallel_workers", "autovacuum", "toast", "vacuum", "log")
"""How the storage parameters begin that take SHARE UPDATE EXCLUSIVE."""


def _set(table: str, cursor: Cursor) -> Iterator[TableLock]:
    if cursor.take("WITHOUT", "CLUSTER"):
        yield TableLock(table, _MAINTAIN)
    elif cursor.take("("):
        named = [part[0].name for part in parts(list(cursor.rest())) if part]
        light = all(name.startswith(_LIGHT_PARAMETERS) for name in named)
        yield TableLock(table, _MAINTAIN if light else _ALL)
    else:
        moved = cursor.take_any("LOGGED", "UNLOGGED", "TABLESPACE", "ACCESS")
        yield TableLock(table, _ALL, "rewrites" if moved else "")


def _enable(table: str, cursor: Cursor) -> Iterator[TableLock]:
    cursor.take_any("REPLICA", "ALWAYS")
    yield TableLock(table, _KEY if cursor.take("TRIGGER") else _ALL)


def _attach(table: str, cursor: Cursor) -> Iterator[TableLock]:
    cursor.take("PARTITION")
    yield TableLock(table, _MAINTAIN)
    yield TableLock(_name(cursor), _ALL, "reads all rows")


def _detach(table: str, cursor: Cursor) -> Iterator[TableLock]:
    cursor.take("PARTITION")
    name = _name(cursor)
    yield TableLock(table, _MAINTAIN if cursor.take_any("CONCURRENTLY", "FINALIZE") else _ALL)
    yield TableLock(name, _ALL)


def _has(found: Sequence[Word], *words: str) -> bool:
    """Whether these come one after the other."""
    last = len(found) - len(words)
    return any(Cursor(found[start:]).take(*words) for start in range(last + 1))


def _changes_rows(*behind: str) -> Callable[[Cursor], Iterator[TableLock]]:
    def read(cursor: Cursor) -> Iterator[TableLock]:
        cursor.take_any(*behind)
        yield TableLock(_name(cursor), _WRITE)

    return read


def _with(cursor: Cursor) -> Iterator[TableLock]:
    """Data statements inside and behind WITH."""
    while (word := cursor.step()) is not None:
        if word.is_word("INSERT", "UPDATE", "DELETE", "MERGE") and cursor.here is not None:
            yield from _READERS[word.text.upper()](cursor)


def _select(cursor: Cursor) -> Iterator[TableLock]:
    rest = cursor.rest()
    locks = _has(rest, "FOR", "UPDATE") or _has(rest, "FOR", "SHARE")
    if locks and _past(cursor, "FROM"):
        yield TableLock(_name(cursor), "ROW SHARE")


def _copy(cursor: Cursor) -> Iterator[TableLock]:
    name = _name(cursor)
    if name and _past(cursor, "FROM"):
        yield TableLock(name, _WRITE)


def _truncate(cursor: Cursor) -> Iterator[TableLock]:
    cursor.take("TABLE")
    yield from (TableLock(name, _ALL) for name in _names(cursor))


def _comment(cursor: Cursor) -> Iterator[TableLock]:
    cursor.take("ON")
    if cursor.take("TABLE"):
        yield TableLock(_name(cursor), _MAINTAIN)
    elif cursor.take("COLUMN"):
        names = [word.name for word in cursor.rest() if not word.is_word(".")]
        yield TableLock(names[names.index("is") - 2] if "is" in names[2:] else "", _MAINTAIN)


def _reindex(cursor: Cursor) -> Iterator[TableLock]:
    kind = cursor.take_any("TABLE", "INDEX", "SCHEMA", "DATABASE", "SYSTEM")
    mode: Mode = _MAINTAIN if cursor.take("CONCURRENTLY") else "SHARE"
    name = _name(cursor)
    place = name if kind == "TABLE" else f"{kind.lower() or 'index'} {name}"
    yield TableLock(place, mode, "builds an index")


def _refresh(cursor: Cursor) -> Iterator[TableLock]:
    cursor.take("MATERIALIZED", "VIEW")
    mode: Mode = "EXCLUSIVE" if cursor.take("CONCURRENTLY") else _ALL
    yield TableLock(_name(cursor), mode)


def _vacuum(cursor: Cursor) -> Iterator[TableLock]:
    full = _has(cursor.rest(), "FULL")
    while cursor.take_any("(", ")", ",", "FULL", "FREEZE", "VERBOSE", "ANALYZE"):
        pass
    lock = TableLock(_name(cursor), _MAINTAIN)
    yield replace(lock, mode=_ALL, work="rewrites") if full else lock


def _cluster(cursor: Cursor) -> Iterator[TableLock]:
    cursor.take("VERBOSE")
    yield TableLock(_name(cursor), _ALL, "rewrites")


def _lock(cursor: Cursor) -> Iterator[TableLock]:
    cursor.take("TABLE")
    names = list(_names(cursor))
    mode: Mode | None = _ALL
    if cursor.take("IN"):
        said = " ".join(word.text.upper() for word in cursor.rest())
        mode = next((one for one in get_args(Mode) if said.startswith(f"{one} MODE")), None)
    yield from (TableLock(name, mode) for name in names if mode is not None)


def _unknown(_cursor: Cursor) -> Iterator[TableLock]:
    yield TableLock("", None)


_READERS: dict[str, Callable[[Cursor], Iterator[TableLock]]] = {
    "CREATE": _create,
    "DROP": _drop,
    "ALTER": _alter,
    "TRUNCATE": _truncate,
    "COMMENT": _comment,
    "REINDEX": _reindex,
    "REFRESH": _refresh,
    "VACUUM": _vacuum,
    "ANALYZE": _vacuum,
    "CLUSTER": _cluster,
    "LOCK": _lock,
    "INSERT": _changes_rows("INTO"),
    "UPDATE": _changes_rows(),
    "DELETE": _changes_rows("FROM"),
    "MERGE": _changes_rows("INTO"),
    "COPY": _copy,
    "WITH": _with,
    "SELECT": _select,
    "DO": _unknown,
    "CALL": _unknown,
}


def _validate(table: str, _cursor: Cursor) -> Iterator[TableLock]:
    yield TableLock(table, _MAINTAIN, "reads all rows")


def _maintain(table: str, _cursor: Cursor) -> Iterator[TableLock]:
    yield TableLock(table, _MAINTAIN)


_ACTIONS: dict[str, Callable[[str, Cursor], Iterator[TableLock]]] = {
    "ADD": _add,
    "ALTER": _alter_column,
    "VALIDATE": _validate,
    "CLUSTER": _maintain,
    "SET": _set,
    "RESET": _set,
    "ENABLE": _enable,
    "DISABLE": _enable,
    "ATTACH": _attach,
    "DETACH": _detach,
}
