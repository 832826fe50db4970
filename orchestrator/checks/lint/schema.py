"""What rules ask of the shapes before and after a revision.

Enters: Shapes, and the operations between them.  Leaves: columns, keys and indexes by name.  No
I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.checks.lint.tables import operations_of
from orchestrator.checks.lint.types import Hit, Sent, Subject
from orchestrator.checks.types import Item, ItemKind, Shape

Facts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a revision found and left: its facts before and after. sent: the statement that
    changes it, as far as it is known."""

    table: str
    name: str
    before: Facts
    after: Facts
    sent: Sent | None

    def hit(self, message: str, todo: str) -> Hit:
        """A hit at its statement, or at the revision as a whole."""
        if self.sent is None:
            return Hit(message, todo)
        return Hit(message, todo, self.sent.line, self.sent.text)


def kept_columns(subject: Subject) -> Iterator[Column]:
    """The columns of tables that were there before and still are, under whatever name."""
    if subject.before is None or subject.after is None:
        return
    tables, columns = _old_names(subject)
    known = {(one.table, one.name): dict(one.facts) for one in _all(subject.before, "column")}
    changing = {
        (one.table, one.name): sent
        for sent, one in operations_of(subject, "change type", "set not null")
    }
    for one in _all(subject.after, "column"):
        bare = _bare(one.table)
        table = tables.get(bare, bare)
        key = table, columns.get((table, one.name), one.name)
        before = next((known[name] for name in ((one.table, key[1]), key) if name in known), None)
        if before is not None:
            sent = changing.get((bare, one.name)) or changing.get((table, key[1]))
            yield Column(bare, one.name, before, dict(one.facts), sent)


def _old_names(
    subject: Subject,
) -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """The names before of tables, and of columns (by the table's name before)."""
    tables: dict[str, str] = {}
    columns: dict[tuple[str, str], str] = {}
    for _sent, one in operations_of(subject, "rename table", "rename column"):
        table = tables.get(one.table, one.table)
        if one.kind == "rename table":
            tables[one.new] = table
        else:
            columns[table, one.new] = columns.get((table, one.name), one.name)
    return tables, columns


def key_columns(shape: Shape | None, table: str) -> frozenset[str]:
    """The columns that begin a unique key of a table; the name that most primary keys have, where
    the schema is not known."""
    if shape is None:
        return frozenset(("id",))
    found: set[str] = set()
    for kind in ("primary key", "unique constraint", "index"):
        for one in _all(shape, kind):
            facts = dict(one.facts)
            if _bare(one.table) == table and (kind != "index" or facts.get("unique") == "yes"):
                found.update(_listed(facts)[:1])
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of a shape. supported: whether an index begins with its columns."""

    table: str
    name: str
    columns: tuple[str, ...]
    supported: bool


def foreign_keys(shape: Shape) -> Iterator[ForeignKey]:
    """All of a schema."""
    indexes: dict[str, list[tuple[str, ...]]] = {}
    for kind in ("index", "primary key", "unique constraint"):
        for one in _all(shape, kind):
            facts = dict(one.facts)
            if "where" not in facts and facts.get("valid") != "no":
                indexes.setdefault(one.table, []).append(_listed(facts))
    for one in _all(shape, "foreign key"):
        columns = tuple(dict(one.facts).get("columns", "").split(", "))
        supported = any(
            set(index[: len(columns)]) == set(columns) for index in indexes.get(one.table, ())
        )
        yield ForeignKey(_bare(one.table), one.name, columns, supported)


def checks(shape: Shape, table: str) -> Iterator[str]:
    """The conditions of a table's valid CHECK constraints."""
    for one in _all(shape, "check constraint"):
        facts = dict(one.facts)
        if _bare(one.table) == table and facts.get("valid") != "no":
            yield facts.get("definition", "")


def _all(shape: Shape, kind: ItemKind) -> Iterator[Item]:
    return (one for one in shape.items if one.kind == kind)


def _bare(table: str) -> str:
    """Without the schema, as operations name tables."""
    return table.rpartition(".")[2]


def _listed(facts: Facts) -> tuple[str, ...]:
    """The columns of an index, without what is said of their order."""
    columns = facts.get("columns", "")
    return tuple(one.split(" ")[0].split("(")[0] for one in columns.split(", ") if one)
