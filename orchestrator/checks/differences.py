"""What differs between two schemas, and how a person would say it.

Enters: two Shapes.  Leaves: Differences, each told once: a table that is missing does not also list
its columns, and a column that is missing does not also disturb the order of the others.  No I/O.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest

from orchestrator.checks.places import COLUMN_ORDER
from orchestrator.checks.types import Difference, Item, ItemKind, Shape

_LONGEST = 72
"""A value longer than this is told as what stands around the first difference."""
_BEFORE = 16

_COLLATION = "collation"
_OF_TYPE = "its type's own"

_HOLDERS: tuple[ItemKind, ...] = ("table", "view", "materialized view")
"""What other items stand in."""

_KINDS: tuple[ItemKind, ...] = (
    "table",
    "column",
    "primary key",
    "unique constraint",
    "index",
    "foreign key",
    "check constraint",
    "exclusion constraint",
    "trigger",
    "view",
    "materialized view",
    "enum",
    "domain",
    "type",
    "sequence",
    "function",
    "procedure",
    "event",
)
"""The order in which they are told."""

_Key = tuple[ItemKind, str, str]


def differences(expected: Shape, found: Shape) -> tuple[Difference, ...]:
    """How `found` is not what was expected, table by table; () when the two are equal.

    What has another name only is missing under the one and extra under the other.
    """
    before, after = _grouped(expected.items), _grouped(found.items)
    # Those that only one of the two has.
    alone = {name for _kind, name in _holders(before) ^ _holders(after)}
    told: list[Difference] = []
    for key in {**before, **after}:
        if key[1] in alone:
            continue  # Said of what it stands in.
        usual = _usual(key, before), _usual(key, after)
        told += _compared(key, before.get(key, ()), after.get(key, ()), usual)
    return tuple(sorted(told, key=_order))


def _grouped(items: Iterable[Item]) -> dict[_Key, tuple[Item, ...]]:
    """Items by what names them. Few names are taken twice (overloaded functions)."""
    grouped: dict[_Key, tuple[Item, ...]] = {}
    for one in items:
        key = one.kind, one.table, one.name
        grouped[key] = (*grouped.get(key, ()), one)
    return grouped


def _holders(items: Iterable[_Key]) -> set[tuple[str, str]]:
    return {(kind, name) for kind, _table, name in items if kind in _HOLDERS}


def _usual(key: _Key, items: Mapping[_Key, tuple[Item, ...]]) -> str:
    """What the collation of a column, or a domain, is when its item says none."""
    kind, table, _name = key
    if kind == "domain":
        return _OF_TYPE
    if kind != "column":
        return ""
    # A table has one on MySQL and MariaDB only.
    own = [dict(one.facts).get(_COLLATION, "") for one in items.get(("table", "", table), ())]
    return f"{own[0]}, the table's own" if any(own) else _OF_TYPE


def _compared(
    key: _Key, expected: tuple[Item, ...], found: tuple[Item, ...], usual: tuple[str, str]
) -> Iterator[Difference]:
    """What became of the items of one name. usual: as `_usual` tells it of each side."""
    left = [one for one in expected if one not in found]
    right = [one for one in found if one not in expected]
    for before, after in zip_longest(left, right):
        if after is None:
            yield Difference("missing", *key)
        elif before is None:
            yield Difference("extra", *key)
        else:
            yield from _changed(key, dict(before.facts), dict(after.facts), usual)


def _changed(
    key: _Key, expected: dict[str, str], found: dict[str, str], usual: tuple[str, str]
) -> Iterator[Difference]:
    for fact in sorted({**expected, **found}):
        before, after = expected.get(fact, ""), found.get(fact, "")
        if fact == COLUMN_ORDER:
            before, after = _in_common(before, after)
        if before != after:
            if fact == _COLLATION:
                before, after = before or usual[0], after or usual[1]
            yield Difference("changed", *key, fact, before, after)


def _in_common(expected: str, found: str) -> tuple[str, str]:
    """The order of those columns that both have; "" for both where one says none."""
    if not expected or not found:
        return "", ""
    there, here = json.loads(expected), json.loads(found)
    both = set(there) & set(here)
    return (
        ", ".join(name for name in there if name in both),
        ", ".join(name for name in here if name in both),
    )


def _order(one: Difference) -> tuple[str, bool, int, str, str]:
    """Table by table: first what is said of it as a whole."""
    whole = one.kind in _HOLDERS
    return one.name if whole else one.table, not whole, _KINDS.index(one.kind), one.name, one.fact


def words(difference: Difference) -> str:
    """A difference as a person would say it: "table orders: column total is missing"."""
    subject = f"{difference.kind} {difference.name}".rstrip()
    if difference.table:
        subject = f"table {difference.table}: {subject}"
    if difference.what == "missing":
        return f"{subject} is missing"
    if difference.what == "extra":
        return f"{subject} is not expected"
    return f"{subject}: {_change(difference.fact, difference.expected, difference.found)}"


def _change(fact: str, expected: str, found: str) -> str:
    """What became of one fact."""
    if {expected, found} <= {"yes", "no", ""} and "yes" in (expected, found):
        is_now, should = ("", "not ") if found == "yes" else ("not ", "")
        return f"is {is_now}{fact}, expected {should}{fact}"
    if {expected, found} == {"no", ""}:
        # The server does not say what is usual.
        is_now, should = ("not ", "") if found == "no" else ("", "not ")
        return f"is {is_now}{fact}, expected {should}{fact}"
    if not found:
        return f"has no {fact}, expected {_around(expected, '')}"
    return f"{fact} is {_around(found, expected)}, expected {_around(expected, found) or 'none'}"


def _around(value: str, other: str) -> str:
    """A value on one line: a long one as what stands around the first place where they differ."""
    line, beside = " ".join(value.split()), " ".join(other.split())
    if line == beside and value != other:
        line, beside = repr(value), repr(other)  # White space alone differs.
    if len(line) <= _LONGEST:
        return line
    same = next(
        (n for n, pair in enumerate(zip(line, beside, strict=False)) if len(set(pair)) > 1),
        min(len(line), len(beside)),
    )
    first = max(0, min(same - _BEFORE, len(line) - _LONGEST)) if beside else 0
    cut = line[first : first + _LONGEST]
    return ("..." if first else "") + cut + ("..." if first + _LONGEST < len(line) else "")
