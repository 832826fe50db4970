"""What of a schema counts: everything that stands in it, less what is hidden and what is ignored.

Enters: a Whole and a Scope.  Leaves: a Shape.  No I/O.

Hidden tables take all that stands in them along: columns, indexes, constraints, triggers, and the
sequences that their columns own; their partitions; and the enums and domains that columns of hidden
tables use and no other table's do.

An ignore glob (as in a shell; `*` matches dots too, and case counts) is held against

- a table, view, sequence, enum, domain, type, function or event: `name` and `schema.name`;
- what stands in a table: `table.name` and `schema.table.name`, and but for columns `name` and
  `schema.name` as well;
- a function or procedure: the same with its arguments, `name(integer, text)`, and without.

The schema of a tenant has no name here, since equal schemas have equal shapes: write `*.` for it.
The default schema of a target without one of its own has (`public.spatial_ref_sys`). What is
ignored takes along what stands in it, and its partitions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fnmatch import translate
from functools import lru_cache

from orchestrator.checks.places import COLUMN_ORDER, PARENT, Whole
from orchestrator.checks.types import Item, Scope, Shape

_HOLDERS = ("table", "view", "materialized view")
_USED = ("enum", "domain")


def shape_of(whole: Whole, scope: Scope) -> Shape:
    """The shape of what counts."""
    hidden = _with_partitions(_hidden(whole, scope), whole.items)
    ignored = _ignored(scope.ignore, whole.home)
    shown = [one for one in whole.items if not _stands_in(one, hidden)]
    unused = _only_used_by(hidden, whole.items)
    shown = [one for one in shown if not (one.kind in _USED and one.name in unused)]
    tables = _with_partitions(
        (one.name for one in shown if one.kind in _HOLDERS and ignored(one)), shown
    )
    counted = [one for one in shown if not _stands_in(one, tables) and not ignored(one)]
    return Shape(tuple(sorted(_in_order(counted, keep=scope.column_order))))


def is_ignored(globs: tuple[str, ...], one: Item, home: str = "") -> bool:
    """Whether globs of `drift.ignore` take an item, or the table that it stands in.

    home: the name of the session's default schema, where the place has no schema of its own.
    """
    ignored = _ignored(globs, home)
    return ignored(one) or bool(one.table and ignored(Item("table", "", one.table)))


def _hidden(whole: Whole, scope: Scope) -> Iterator[str]:
    for one in whole.items:
        if one.kind in _HOLDERS:
            full = f"{whole.home}.{one.name}" if whole.home else one.name
            if one.name in scope.hidden or full in scope.hidden:
                yield one.name


def _with_partitions(tables: Iterable[str], items: Iterable[Item]) -> set[str]:
    parents = {
        one.name: _unquoted(dict(one.facts)[PARENT])
        for one in items
        if one.kind == "table" and PARENT in dict(one.facts)
    }
    taken = set(tables)
    while more := {name for name, parent in parents.items() if parent in taken} - taken:
        taken |= more
    return taken


def _unquoted(name: str) -> str:
    """A name as it is, out of one that is quoted where SQL needs it."""
    if name.startswith('"') and name.endswith('"'):
        return name[1:-1].replace('""', '"')
    return name


def _stands_in(one: Item, tables: set[str]) -> bool:
    return (one.name if one.kind in _HOLDERS else one.table) in tables


def _only_used_by(hidden: set[str], items: Iterable[Item]) -> set[str]:
    """The types that columns of these tables use, and no other table's do."""
    ours: set[str] = set()
    others: set[str] = set()
    for one in items:
        if one.kind == "column":
            (ours if one.table in hidden else others).add(_type_name(one))
    return ours - others


def _type_name(column: Item) -> str:
    """The name of a column's type: of its elements when it is an array."""
    return _unquoted(dict(column.facts).get("type", "").removesuffix("[]"))


def _in_order(items: Iterable[Item], *, keep: bool) -> Iterator[Item]:
    """The same, with the order of those columns alone that count, or none."""
    items = list(items)
    columns = {(one.table, one.name) for one in items if one.kind == "column"}
    for one in items:
        order = dict(one.facts).get(COLUMN_ORDER)
        if order is None:
            yield one
            continue
        facts = {fact: told for fact, told in one.facts if fact != COLUMN_ORDER}
        if keep:
            names = [name for name in json.loads(order) if (one.name, name) in columns]
            facts[COLUMN_ORDER] = json.dumps(names)
        yield replace(one, facts=tuple(sorted(facts.items())))


def _ignored(globs: tuple[str, ...], home: str) -> Callable[[Item], bool]:
    matches = _matcher(globs)
    if matches is None:
        return lambda _item: False
    return lambda one: any(matches.match(name) for name in _names(one, home))


@lru_cache(maxsize=64)
def _matcher(globs: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile("|".join(translate(glob) for glob in globs)) if globs else None


def _names(one: Item, home: str) -> Iterator[str]:
    """All names that an item answers to."""
    names = [one.name]
    if one.kind in ("function", "procedure"):
        names.append(one.name.partition("(")[0])
    if one.table:
        inside = [f"{one.table}.{name}" for name in names]
        names = inside if one.kind == "column" else [*names, *inside]
    for name in names:
        yield name
        yield f"{home}.{name}"
