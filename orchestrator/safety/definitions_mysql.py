"""What a statement of MySQL or MariaDB does to a journalled step: whether it commits by itself, and
which things tell afterwards whether it ran.

Enters: a statement's text, as a driver sends it.  Leaves: its Reading.  No I/O.

| statement | it ran when |
|---|---|
| ALTER TABLE | SHOW CREATE TABLE of its table has changed |
| CREATE, DROP, RENAME of tables, views, sequences, indexes, triggers, routines, events, databases | what it names is there, or gone |
| IF [NOT] EXISTS, OR REPLACE, TRUNCATE, ANALYZE, GRANT, ALTER VIEW, COMMIT, ... | it may run again: it says how things end |
| CALL, EXECUTE, CREATE USER, EXCHANGE PARTITION, LOCK TABLES, anything unknown | nothing tells |
"""  # noqa: E501 - a table's row is one line

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, takewhile
from typing import Literal

from orchestrator.safety.definitions_words import Cursor, parts, words

ThingKind = Literal["table", "index", "trigger", "procedure", "function", "event", "database"]


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that a statement makes, changes or drops. table: also a view or a sequence, which
    share tables' names. database: "" for the one that the session stands in. on: an index's table.
    whole: its definition tells whether a statement ran, not only its being there."""

    kind: ThingKind
    name: str
    database: str = ""
    on: str = ""
    whole: bool = False

    @property
    def key(self) -> str:
        """How a journal's row calls it: "table orders", "index orders.ix_date"."""
        inside = ".".join(part for part in (self.database, self.on, self.name) if part)
        return f"{self.kind} {inside}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement is.

    kind: ddl (commits by itself, or may), data (is committed by what comes behind it), session
    (changes the session only). things: what tells whether it ran. again: it may run again without
    harm; a session statement is run again when its step is continued. partly: when the server
    refuses it, a part of it may be done. equal_tells: that its things are as before means that it
    did not run. spreads: it may change definitions of other things than those that it names.
    makes, ends: the temporary tables, user variables and prepared statements that the session has
    from it, or no more. locks, unlocks: LOCK TABLES, behind which the journal cannot be written.
    use: the database that USE names. drops: how a statement begins that drops the rest of its
    things.
    """

    kind: Literal["ddl", "data", "session"]
    things: tuple[Thing, ...] = ()
    again: bool = False
    partly: bool = False
    equal_tells: bool = True
    spreads: bool = False
    makes: frozenset[str] = frozenset()
    ends: frozenset[str] = frozenset()
    locks: bool = False
    unlocks: bool = False
    use: str = ""
    drops: str = ""


_UNKNOWN = Reading("ddl", partly=True, spreads=True)
_AGAIN = Reading("ddl", again=True, spreads=True)
_SESSION = Reading("session", again=True)

# Statements that begin so commit nothing; what is not known may (MySQL 8.4 manual, 15.3.3).
_DATA = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "VALUES", "TABLE", "DO", "LOAD"}
    | {"SAVEPOINT", "RELEASE", "ROLLBACK", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "HANDLER"}
    | {"SIGNAL", "(", "HELP"}
)
_REPEATED = frozenset(
    {"TRUNCATE", "ANALYZE", "OPTIMIZE", "REPAIR", "CHECK", "CHECKSUM", "CACHE", "RESET", "GRANT"}
    | {"START", "COMMIT"}
)
_NOW = ("CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "LOCALTIME", "LOCALTIMESTAMP")
_THINGS: dict[str, ThingKind] = {
    "TABLE": "table",
    "TABLES": "table",
    "VIEW": "table",
    "SEQUENCE": "table",
    "TRIGGER": "trigger",
    "PROCEDURE": "procedure",
    "FUNCTION": "function",
    "EVENT": "event",
    "DATABASE": "database",
    "SCHEMA": "database",
}
_OTHERS = ("INDEX", "USER", "ROLE", "SERVER", "TABLESPACE", "LOGFILE", "RESOURCE", "SPATIAL")


@lru_cache(4096)
def read(text: str, database: str = "") -> Reading:
    """database: the one that USE has named before, "" when none did."""
    first = next(words(text), None)
    if first is None:
        return Reading("data")
    head = first.text.upper() if first.kind in ("plain", "mark") else ""
    if head in _DATA and not (head == "LOAD" and _is_load_index(text)):
        return Reading("data", makes=_assigned(text) if "@" in text else frozenset())
    reader = _READERS.get(head)
    if reader is None:
        return _AGAIN if head in _REPEATED or head == "LOAD" else _UNKNOWN
    cursor = Cursor(list(words(text)))
    cursor.step()
    reading = reader(cursor, text)
    things = tuple(
        one if one.kind == "database" else replace(one, database=one.database or database)
        for one in reading.things
    )
    return replace(reading, things=things) if database else reading


def _is_load_index(text: str) -> bool:
    found = words(text)
    next(found)
    second = next(found, None)
    return second is not None and second.is_word("INDEX")


def _assigned(text: str) -> frozenset[str]:
    """The user variables that a query assigns: SELECT ... INTO @x, @y; @x := 1."""
    found = list(words(text))
    assigned = {one.text for one, mark in pairwise(found) if mark.is_word(":=")}
    for place, word in enumerate(found):
        if word.is_word("INTO"):
            behind = takewhile(
                lambda one: one.kind == "variable" or one.is_word(","), found[place + 1 :]
            )
            assigned |= {one.text for one in behind if one.kind == "variable"}
    return frozenset(assigned)


def _create(cursor: Cursor, _text: str) -> Reading:
    replaces = cursor.take("OR", "REPLACE")
    temporary = False
    while (word := cursor.here) is not None:
        if cursor.take("SQL", "SECURITY"):
            cursor.step()
        elif cursor.take("DEFINER"):
            _skip_account(cursor)
        elif what := cursor.take_any(*_THINGS, *_OTHERS):
            if what == "SPATIAL" and cursor.here and cursor.here.is_word("INDEX"):
                continue  # Of another kind: CREATE SPATIAL REFERENCE SYSTEM.
            break
        else:
            temporary = temporary or word.is_word("TEMPORARY")
            cursor.step()
    else:
        return _UNKNOWN
    again = cursor.take("IF", "NOT", "EXISTS") or replaces
    if temporary:
        name = cursor.name()
        return Reading("session", makes=frozenset({name[1]} if name else ()))
    if what == "INDEX":
        return _index(cursor, again=again, creates=True)
    loadable = what == "FUNCTION" and any(word.is_word("SONAME") for word in cursor.rest())
    if what not in _THINGS or loadable:
        return replace(_UNKNOWN, again=again)
    found = cursor.name()
    return Reading("ddl", _things(_THINGS[what], [found] if found else []), again=again)


def _skip_account(cursor: Cursor) -> None:
    """DEFINER = 'user'@'host', CURRENT_USER()."""
    cursor.take("=")
    cursor.step()
    word = cursor.here
    if (word is not None and word.kind == "variable") or cursor.take("@"):
        cursor.step()
    else:
        cursor.take("(", ")")


def _drop(cursor: Cursor, _text: str) -> Reading:
    if cursor.take("PREPARE"):
        return _deallocated(cursor)
    if cursor.take("TEMPORARY"):
        cursor.take_any("TABLE", "TABLES", "SEQUENCE")
        cursor.take("IF", "EXISTS")
        return Reading("session", ends=frozenset(name for _, name in _names(cursor)))
    cursor.take_any("ONLINE", "OFFLINE")
    what = cursor.take_any(*_THINGS, *_OTHERS)
    again = cursor.take("IF", "EXISTS")
    if what == "INDEX":
        return _index(cursor, again=again, creates=False)
    if what not in _THINGS:
        return replace(_UNKNOWN, again=again)
    things = _things(_THINGS[what], _names(cursor))
    some = f"DROP {what}" if len(things) > 1 else ""
    return Reading("ddl", things, again=again, partly=bool(some), spreads=True, drops=some)


def _index(cursor: Cursor, *, again: bool, creates: bool) -> Reading:
    name = cursor.name()
    if creates and cursor.take("USING"):
        cursor.step()
    table = cursor.name() if cursor.take("ON") else None
    if name is None or table is None:
        return _UNKNOWN
    return Reading("ddl", (Thing("index", name[1], table[0], table[1]),), again=again)


def _names(cursor: Cursor) -> Iterator[tuple[str, str]]:
    """The names of a list."""
    while (name := cursor.name()) is not None:
        yield name
        if not cursor.take(","):
            return


def _things(
    kind: ThingKind, names: Iterator[tuple[str, str]] | list[tuple[str, str]]
) -> tuple[Thing, ...]:
    return tuple(Thing(kind, name, database) for database, name in names)


def _alter(cursor: Cursor, _text: str) -> Reading:
    if cursor.take_any("DATABASE", "SCHEMA", "PROCEDURE", "FUNCTION", "SEQUENCE"):
        return _AGAIN
    kinds = [word.text.upper() for word in cursor.rest()[:12] if word.kind == "plain"]
    if "TABLE" not in kinds:
        renames = any(word.is_word("RENAME") for word in cursor.rest())
        known = "VIEW" in kinds or ("EVENT" in kinds and not renames)
        return _AGAIN if known else _UNKNOWN
    cursor.take_any("ONLINE", "OFFLINE")
    cursor.take("IGNORE")
    if not cursor.take("TABLE"):
        return _UNKNOWN
    cursor.take("IF", "EXISTS")
    name = cursor.name()
    return _UNKNOWN if name is None else _altered(name, cursor)


def _altered(name: tuple[str, str], cursor: Cursor) -> Reading:
    """ALTER TABLE: a table's new name tells, else its definition."""
    database, table = name
    cursor.take("NOWAIT")
    if cursor.take("WAIT"):
        cursor.step()
    moved = 0
    target: tuple[str, str] | None = None
    for part in parts(cursor.rest()):
        one = Cursor(part)
        verb = one.take_any("RENAME", "CHANGE", "EXCHANGE", "DISCARD", "IMPORT")
        if verb in ("EXCHANGE", "DISCARD", "IMPORT"):
            return _UNKNOWN
        column = verb == "RENAME" and one.take_any("COLUMN", "INDEX", "KEY", "CONSTRAINT")
        moved += verb == "CHANGE" or column == "COLUMN"
        if verb == "RENAME" and not column:
            one.take_any("TO", "AS", "=")
            target = one.name()
    if target is not None:
        there = Thing("table", target[1], target[0] or database)
        here = Thing("table", table, database)
        # Only upper and lower case differ: the server may take both for one.
        tells = here.name.casefold() != there.name.casefold() or here.database != there.database
        return Reading("ddl", (here, there) if tells else (), partly=not tells, spreads=True)
    thing = Thing("table", table, database, whole=True)
    # Two columns that change places can leave a definition as it was.
    return Reading("ddl", (thing,), equal_tells=moved < 2, spreads=moved > 0)


def _rename(cursor: Cursor, _text: str) -> Reading:
    """RENAME TABLE a TO b, c TO d: the names that are gone in the end, and those that are new."""
    if not cursor.take_any("TABLE", "TABLES"):
        return _UNKNOWN
    cursor.take("IF", "EXISTS")
    gone: dict[tuple[str, str], None] = {}
    new: dict[tuple[str, str], None] = {}
    for part in parts(cursor.rest()):
        one = Cursor(part)
        before = one.name()
        one.take("NOWAIT")
        if one.take("WAIT"):
            one.step()
        after = one.name() if one.take("TO") else None
        if before is None or after is None:
            return _UNKNOWN
        if before in new:
            del new[before]
        else:
            gone[before] = None
        if after in gone:
            return _UNKNOWN  # Tables change places.
        new[after] = None
    if {name.casefold() for _, name in gone} & {name.casefold() for _, name in new}:
        return _UNKNOWN
    things = _things("table", [*gone, *new])
    return Reading("ddl", things, partly=len(things) > 2, spreads=True)


def _set(cursor: Cursor, text: str) -> Reading:
    if cursor.take("STATEMENT"):  # MariaDB: SET STATEMENT max_statement_time=60 FOR ALTER ...
        for word in cursor.rest():
            if word.is_word("FOR"):
                return read(text[word.start + 3 :])
        return _UNKNOWN
    if cursor.take("PASSWORD") or cursor.take("DEFAULT", "ROLE"):
        return _AGAIN
    found = list(cursor.rest())
    variables = frozenset(word.text for word in found if word.kind == "variable")
    changing = any(word.is_word("(", *_NOW) for word in found)
    return Reading("session", again=not (variables and changing), makes=variables)


def _use(cursor: Cursor, _text: str) -> Reading:
    word = cursor.here
    return replace(_SESSION, use=word.name if word is not None else "")


def _prepare(cursor: Cursor, _text: str) -> Reading:
    name = cursor.name()
    return replace(_SESSION, makes=frozenset({name[1]} if name else ()))


def _deallocated(cursor: Cursor) -> Reading:
    cursor.take("PREPARE")
    name = cursor.name()
    return Reading("session", ends=frozenset({name[1]} if name else ()))


def _lock(cursor: Cursor, _text: str) -> Reading:
    if cursor.take_any("TABLE", "TABLES"):
        return replace(_UNKNOWN, locks=True)
    return _AGAIN if cursor.take("INSTANCE") else _UNKNOWN


def _begin(cursor: Cursor, _text: str) -> Reading:
    cursor.take("WORK")
    return _AGAIN if cursor.here is None or cursor.take(";") else _UNKNOWN  # BEGIN NOT ATOMIC


def _unlock(cursor: Cursor, _text: str) -> Reading:
    return replace(_AGAIN, unlocks=bool(cursor.take_any("TABLE", "TABLES")))


def _flush(cursor: Cursor, _text: str) -> Reading:
    held = any(word.is_word("READ", "EXPORT") for word in cursor.rest())
    return replace(_UNKNOWN, locks=True) if held else _AGAIN


_READERS: dict[str, Callable[[Cursor, str], Reading]] = {
    "CREATE": _create,
    "DROP": _drop,
    "ALTER": _alter,
    "RENAME": _rename,
    "SET": _set,
    "USE": _use,
    "PREPARE": _prepare,
    "DEALLOCATE": lambda cursor, _text: _deallocated(cursor),
    "LOCK": _lock,
    "UNLOCK": _unlock,
    "FLUSH": _flush,
    "BEGIN": _begin,
}
