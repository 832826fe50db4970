"""Which rows a statement changes, and what bounds them.

Enters: the text of a statement, and the family of its server.  Leaves: DataChanges.  No I/O.

sqlglot reads them; what it cannot read is looked at by its words, and then counts as bounded by a
LIMIT alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from orchestrator.checks.lint import postgresql_words
from orchestrator.config import Family
from orchestrator.safety import definitions_words
from orchestrator.safety.alone import statements_of
from orchestrator.safety.definitions_words import Cursor, Word

Node = Any
"""An expression of sqlglot's, whose class has another name from release to release."""

Verb = Literal["UPDATE", "DELETE", "INSERT"]


@dataclass(frozen=True, slots=True)
class DataChange:
    """One statement that changes rows.

    table: whose rows decide how many they are: the one that is updated or deleted from, or that an
    INSERT ... SELECT reads. limited: by a LIMIT. keys: the columns that are compared with fixed
    values, so that they bound the rows where they are unique; ends: how many ends each range has
    (`id >= 1 AND id < 1000` has two, as `=`, IN and BETWEEN do).
    """

    verb: Verb
    table: str
    limited: bool = False
    keys: tuple[tuple[str, int], ...] = ()

    def bounded_by(self, column: str) -> bool:
        """Whether fixed values bound this column at both ends."""
        return sum(ends for name, ends in self.keys if name.lower() == column.lower()) >= 2


_CHANGES = re.compile(r"\b(?:UPDATE|DELETE|INSERT|REPLACE)\b", re.IGNORECASE)
_FIRST = re.compile(r"\s*(?:UPDATE|DELETE|WITH|INSERT|REPLACE)\b", re.IGNORECASE)
# An INSERT of values may be megabytes long, and reads nothing.
_OF_VALUES = re.compile(
    r"\s*(?:INSERT|REPLACE)\b[^;('\"]*(?:\"[^\"]*\"|`[^`]*`)?\s*(?:\([^()]*\))?\s*VALUES?\b",
    re.IGNORECASE,
)


@lru_cache(4096)
def data_changes(text: str, family: Family) -> tuple[DataChange, ...]:
    """The changes of rows in a text."""
    pieces = list(statements_of(text)) if family == "postgresql" else [text]
    return tuple(
        one
        for piece in pieces
        if _FIRST.match(piece) and _CHANGES.search(piece) and not _OF_VALUES.match(piece)
        for one in _changes(piece, family)
    )


def _changes(text: str, family: Family) -> tuple[DataChange, ...]:
    # Only lint reads data statements, and start-up is short of time.
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        parsed = sqlglot.parse(text, read="postgres" if family == "postgresql" else "mysql")
        return tuple(_parsed(parsed[0])) if parsed and parsed[0] is not None else ()
    except (SqlglotError, RecursionError):
        return _by_words(text, family)


def _parsed(statement: Node) -> Iterator[DataChange]:
    from sqlglot import exp  # as above

    made = {one.alias for one in statement.find_all(exp.CTE)}
    for node in statement.find_all(exp.Update, exp.Delete, exp.Insert):
        limited, keys = _limited(node), tuple(_keys(node))
        if isinstance(node, exp.Insert):
            read = node.expression
            sources = read.find_all(exp.Table) if isinstance(read, exp.Query) else ()
            source = next((one.name for one in sources if one.name not in made), "")
            if source:
                yield DataChange("INSERT", source, limited, keys)
            continue
        verb: Verb = "UPDATE" if isinstance(node, exp.Update) else "DELETE"
        yield DataChange(verb, _written(node), limited, keys)


def _written(node: Node) -> str:
    from sqlglot import exp  # as above

    table = node.this.find(exp.Table) if node.this is not None else None
    if table is None and node.args.get("tables"):
        table = node.args["tables"][0]
    return table.name if table is not None else ""


def _limited(node: Node) -> bool:
    """Whether a LIMIT bounds the rows; one in a value that is set does not."""
    from sqlglot import exp  # as above

    values = node.args.get("expressions") or ()
    inside = {id(one) for value in values for one in value.walk()}
    return any(id(one) not in inside for one in node.find_all(exp.Limit, exp.Fetch))


def _keys(node: Node) -> Iterator[tuple[str, int]]:
    """The columns that conditions of its WHERE compare with fixed values; all must hold."""
    from sqlglot import exp  # as above

    where = node.find(exp.Where)
    if where is None:
        return
    held = where.this.unnest()
    for one in held.flatten() if isinstance(held, exp.And) else [held]:
        condition = one.unnest()
        column = condition.this if isinstance(condition.this, exp.Column) else None
        if column is None:
            continue
        listed = isinstance(condition, exp.In) and not condition.args.get("query")
        if listed or isinstance(condition, exp.Between):
            yield column.name, 2
        elif isinstance(condition, exp.EQ | exp.LT | exp.LTE | exp.GT | exp.GTE) and not (
            condition.expression.find(exp.Column, exp.Query)
        ):
            yield column.name, 2 if isinstance(condition, exp.EQ) else 1


def _by_words(text: str, family: Family) -> tuple[DataChange, ...]:
    lexer = postgresql_words if family == "postgresql" else definitions_words
    found: list[Word] = list(lexer.words(text))
    cursor = Cursor(found)
    limited = any(word.is_word("LIMIT", "FETCH") for word in found)
    if cursor.take("UPDATE"):
        cursor.take_any("ONLY", "LOW_PRIORITY", "IGNORE")
        return (DataChange("UPDATE", _name(cursor), limited),)
    if cursor.take("DELETE"):
        while cursor.here is not None and not cursor.take("FROM"):
            cursor.step()
        cursor.take("ONLY")
        return (DataChange("DELETE", _name(cursor), limited),)
    while cursor.here is not None and not cursor.take("FROM"):
        cursor.step()
    table = _name(cursor)
    return (DataChange("INSERT", table, limited),) if table else ()


def _name(cursor: Cursor) -> str:
    name = cursor.name()
    return name[1] if name else ""
