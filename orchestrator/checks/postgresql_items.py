"""The items of PostgreSQL schemas, from the rows that were read of them.

Enters: a text of `checks.shapes_postgresql.read_batch`.  Leaves: a Whole.  No I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.checks.places import COLUMN_ORDER, PARENT, Torn, Whole
from orchestrator.checks.types import Item, ItemKind

Row = Sequence[Any]
Facts = dict[str, str | None]

_ACTIONS = {"a": None, "r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}
_CONSTRAINTS: Mapping[str, ItemKind] = {
    "p": "primary key",
    "u": "unique constraint",
    "x": "exclusion constraint",
    "c": "check constraint",
    "f": "foreign key",
}
# Facts of the index behind a constraint: what a key implies, and what an exclusion constraint's
# definition says already. A comment is the constraint's own.
_IMPLIED = ("unique", "method", "comment")
_SAID = (*_IMPLIED, "columns", "include", "where")
_COMMANDS = {"r": "select", "a": "insert", "w": "update", "d": "delete"}
_PERSISTENCE = {"u": "yes"}
_WHILE = "something was dropped while it was read"
_DROPPED = re.compile(r"'\d+'::reg|^\?\?\?")
# Those that another type's default operator class serves (PostgreSQL manual, "Operator Classes and
# Operator Families": a type that is binary-coercible to the class's).
_SERVES = {
    "text": ("character varying",),
    "inet": ("cidr",),
}
# An expression's type is not known: these are told, so that those beside which they could stand for
# the same type (text, integer) need not be.
_DOUBTFUL = ("character", "oid")
_POLYMORPHIC = ("anyarray", "anyenum", "anyrange", "anymultirange", "record")


def whole_of(raw: str) -> Whole:
    """The items in a text of `read_batch`."""
    told = json.loads(raw)
    items = [
        item for prefix, sections in told["schemas"] for item in _Schema(prefix, sections).items()
    ]
    return Whole(tuple(items), told["home"])


class _Schema:
    """The rows of one schema. prefix: what names begin with."""

    def __init__(self, prefix: str, sections: Mapping[str, Sequence[Row]]) -> None:
        self._prefix = prefix
        self._rows = sections
        self._relations = [self._name(row[0]) for row in sections.get("relations", ())]
        self._kinds = [str(row[1]) for row in sections.get("relations", ())]
        self._columns: list[dict[int, Row]] = [{} for _ in self._relations]
        for row in self._of("columns"):
            self._columns[int(row[0]) - 1][int(row[1])] = row
        self._comments = {
            (int(at), int(number)): words for at, number, words in self._of("comments")
        }
        # Of NOT NULL constraints, only those that are not valid are read.
        self._unproven = {
            (int(row[0]), number)
            for row in self._of("constraints")
            if row[2] == "n"
            for number in json.loads(row[3])
        }

    def items(self) -> Iterator[Item]:
        """All of them."""
        yield from self._tables()
        for at, columns in enumerate(self._columns, 1):
            if self._kinds[at - 1] not in ("v", "m"):
                yield from (self._column(at, number, row) for number, row in columns.items())
        backing = {(row[0], row[1]): row for row in self._of("indexes")}
        for row in self._of("constraints"):
            if row[2] != "n":
                index = backing.pop((row[0], row[1]), None) if row[2] in "pux" else None
                yield self._constraint(row, index)
        yield from (self._index(row) for row in backing.values())
        yield from (self._sequence(row) for row in self._of("sequences"))
        yield from (self._trigger(row) for row in self._of("triggers"))
        yield from (self._type(row) for row in self._of("types"))
        for name, attributes in self._of("composites"):
            listed = ", ".join(json.loads(attributes))
            yield self._item("type", "", name, {"attributes": listed})
        yield from (self._function(row) for row in self._of("functions"))

    def _of(self, section: str) -> Sequence[Row]:
        return self._rows.get(section, ())

    def _name(self, name: str) -> str:
        return f"{self._prefix}.{name}" if self._prefix else name

    def _item(self, kind: ItemKind, table: str, name: str, facts: Facts) -> Item:
        """table: with the prefix already; name: without."""
        there = tuple(sorted((fact, told) for fact, told in facts.items() if told is not None))
        return Item(kind, table, name if table else self._name(name), there)

    def _tables(self) -> Iterator[Item]:
        views = {self._name(name): definition for name, definition in self._of("views")}
        more = self._table_facts()
        for at, row in enumerate(self._of("relations"), 1):
            name, kind, persistence, options, security, forced, identity = row
            facts: Facts = {
                "unlogged": _PERSISTENCE.get(persistence),
                "options": _options(options),
                "comment": self._comments.get((at, 0)),
                **more.get(at, {}),
            }
            if kind in ("v", "m"):
                facts["definition"] = _there(views.get(self._name(name)))
                for number, column in self._columns[at - 1].items():
                    words = self._comments.get((at, number))
                    facts[f"comment of column {column[2]}"] = words
                yield self._item("view" if kind == "v" else "materialized view", "", name, facts)
                continue
            facts[COLUMN_ORDER] = json.dumps([column[2] for column in self._in_order(at)])
            facts["row security"] = {"truefalse": "yes", "truetrue": "forced"}.get(
                security + forced, "off but forced" if forced == "true" else None
            )
            facts["replica identity"] = {"n": "nothing", "f": "full", "i": "index"}.get(identity)
            yield self._item("table", "", name, facts)

    def _in_order(self, at: int) -> list[Row]:
        return [row for _number, row in sorted(self._columns[at - 1].items())]

    def _table_facts(self) -> dict[int, Facts]:
        """Facts of tables that few have."""
        facts: dict[int, Facts] = {}
        for at, key in self._of("partitioned"):
            facts.setdefault(int(at), {})["partitioned by"] = key
        for at, parent, bound in self._of("parents"):
            mine = facts.setdefault(int(at), {})
            if bound is not None:
                mine |= {PARENT: parent, "partition bound": bound}
            else:
                mine["inherits"] = ", ".join(sorted([parent, *_split(mine.get("inherits"))]))
        for at, server, options in self._of("foreign"):
            facts.setdefault(int(at), {})["foreign"] = f"{server} {_options(options) or ''}".strip()
        for at, name, definition, enabled in self._of("rules"):
            words = _enabled(definition, enabled)
            facts.setdefault(int(at), {})[f"rule {name}"] = words
        for at, name, command, permissive, roles, using, check in self._of("policies"):
            words = " ".join(
                [
                    "permissive" if permissive == "true" else "restrictive",
                    {"r": "select", "a": "insert", "w": "update", "d": "delete"}.get(
                        command, "all"
                    ),
                    "to " + ", ".join(json.loads(roles)),
                    *([f"using {using}"] if using else []),
                    *([f"with check {check}"] if check else []),
                ]
            )
            facts.setdefault(int(at), {})[f"policy {name}"] = words
        return facts

    def _column(self, at: int, number: int, row: Row) -> Item:
        _at, _number, name, kind, required, default, identity, generated, collation = row
        unproven = (at, number) in self._unproven
        facts: Facts = {
            "type": _there(kind),
            "nullable": ("no, not valid" if unproven else "no") if required == "true" else "yes",
            "identity": {"a": "always", "d": "by default"}.get(identity),
            "collation": collation,
            "comment": self._comments.get((at, number)),
        }
        if generated:
            facts["generated"] = f"{_there(default)} {'stored' if generated == 's' else 'virtual'}"
        else:
            facts["default"] = _there(default) if default is not None else None
        return self._item("column", self._relations[at - 1], name, facts)

    def _constraint(self, row: Row, index: Row | None) -> Item:
        at, name, kind, keys, flags, definition, other, columns, actions, only, comment = row
        facts: Facts = {
            "deferrable": _deferrable(flags),
            "valid": "no" if "invalid" in flags.split() else None,
            "enforced": "no" if "unenforced" in flags.split() else None,
            "enforced by its triggers": "no" if "silent" in flags.split() else None,
            "inherited": "no" if kind == "c" and "noinherit" in flags.split() else None,
            "comment": comment,
        }
        if kind == "f":
            update, delete, match = actions
            if other.isdigit():
                raise Torn(_WHILE)
            set_columns = [_written(one) for one in json.loads(only or "[]")]
            deleted = _ACTIONS[delete]
            facts |= {
                "columns": self._listed(int(at), json.loads(keys)),
                "references": f"{other} ({', '.join(map(_written, json.loads(columns)))})",
                "on update": _ACTIONS[update],
                "on delete": f"{deleted} ({', '.join(set_columns)})" if set_columns else deleted,
                "match": {"f": "full", "p": "partial"}.get(match),
                "period": "yes" if "period" in flags.split() else None,
            }
        elif kind in ("c", "x"):
            facts["definition"] = _there(definition)
        elif kind in ("p", "u") and "period" in flags.split():
            facts["without overlaps"] = "yes"
        if index is not None:
            facts |= self._backing_facts(index, _SAID if kind == "x" else _IMPLIED)
        return self._item(_CONSTRAINTS[kind], self._relations[int(at) - 1], name, facts)

    def _backing_facts(self, index: Row, left_out: Collection[str]) -> Facts:
        """What the index behind a constraint adds to it."""
        return {
            fact: told
            for fact, told in self._index_facts(index).items()
            if told is not None and fact not in left_out
        }

    def _listed(self, at: int, numbers: Iterable[int]) -> str:
        return ", ".join(_written(self._columns[at - 1][number][2]) for number in numbers)

    def _index(self, row: Row) -> Item:
        return self._item("index", self._relations[int(row[0]) - 1], row[1], self._index_facts(row))

    def _index_facts(self, row: Row) -> Facts:
        (at, _name, method, flags, counted, keys, options, classes, collations) = row[:9]
        expressions, predicate, class_options, storage, comment = row[9:]
        numbers = [int(key) for key in keys.split()]
        written = iter(json.loads(expressions or "[]"))
        bits = [int(bit) for bit in options.split()]
        named = json.loads(classes)
        collated = json.loads(collations) if collations else [None] * len(numbers)
        special = dict(_class_option(one) for one in json.loads(class_options or "[]"))
        listed = []
        for place, number in enumerate(numbers):
            column = self._columns[int(at) - 1][number] if number > 0 else None
            words = [_written(column[2]) if column else _there(next(written))]
            if place < int(counted):
                words += _collation(collated[place], column)
                words += _operator_class(named[place], column)
                words += [special[place + 1]] if place + 1 in special else []
                words += _direction(bits[place])
            listed.append(" ".join(words))
        return {
            "method": method,
            "columns": ", ".join(listed[: int(counted)]),
            "include": ", ".join(listed[int(counted) :]) or None,
            "unique": "yes" if "unique" in flags.split() else "no",
            "nulls": "not distinct" if "nnd" in flags.split() else None,
            "valid": "no" if "invalid" in flags.split() else None,
            "replica identity": "yes" if "replident" in flags.split() else None,
            "where": _there(predicate) if "partial" in flags.split() else None,
            "options": _options(storage),
            "comment": comment,
        }

    def _sequence(self, row: Row) -> Item:
        name, persistence, kind, start, increment, low, high, cache, cycle, table, column = row[:11]
        facts: Facts = {
            "type": kind,
            "start": start,
            "increment": increment,
            "min": low,
            "max": high,
            "cache": cache if cache != "1" else None,
            "cycle": "yes" if cycle == "true" else "no",
            "owned by": f"{table}.{column}" if table else None,
            "unlogged": _PERSISTENCE.get(persistence),
            "comment": row[11],
        }
        return self._item("sequence", self._name(table) if table else "", name, facts)

    def _trigger(self, row: Row) -> Item:
        at, name, definition, enabled, comment = row
        facts: Facts = {"definition": _enabled(_there(definition), enabled), "comment": comment}
        return self._item("trigger", self._relations[int(at) - 1], name, facts)

    def _type(self, row: Row) -> Item:
        name, kind, told, base, required, default, collation, comment = row
        if kind == "e":
            labels = ", ".join(_label(label) for label in json.loads(told))
            return self._item("enum", "", name, {"labels": labels, "comment": comment})
        if kind == "r":
            return self._item("type", "", name, {"range of": told, "comment": comment})
        facts: Facts = {
            "type": base,
            "nullable": "no" if required == "true" else "yes",
            "default": default,
            "collation": collation,
            "comment": comment,
        }
        for check in json.loads(told):
            named, _, definition = check.partition(" ")
            facts[f"check {named}"] = definition
        return self._item("domain", "", name, facts)

    def _function(self, row: Row) -> Item:
        name, identity, kind, arguments, result, language, body, binary, flags, settings = row[:10]
        facts: Facts = {
            "kind": {"a": "aggregate", "w": "window"}.get(kind),
            "arguments": arguments,
            "returns": result,
            "language": language,
            "body": body,
            "library": binary,
            "properties": flags,
            "settings": _options(settings),
            "comment": row[10],
        }
        what: ItemKind = "procedure" if kind == "p" else "function"
        return self._item(what, "", f"{name}({identity})", facts)


def _there(told: str | None) -> str:
    """What was told of a thing that is there. Raises Torn for what PostgreSQL tells of one that has
    been dropped: nothing, its number, or question marks (ruleutils.c, regproc.c, format_type.c)."""
    if told is None or _DROPPED.search(told):
        raise Torn(_WHILE)
    return told


def _written(name: str) -> str:
    """A name in a list: quoted where it would not be told from what stands around it."""
    return name if re.fullmatch(r"[^\s,()\"]+", name) else '"' + name.replace('"', '""') + '"'


def _label(label: str) -> str:
    return "'" + label.replace("'", "''") + "'"


def _split(listed: str | None) -> list[str]:
    return listed.split(", ") if listed else []


def _options(told: str | None) -> str | None:
    """Storage options; how eagerly a table is vacuumed is how it is run, not what it is."""
    wanted = [one for one in json.loads(told or "[]") if "autovacuum_" not in one.split("=")[0]]
    return ", ".join(sorted(wanted)) or None


def _enabled(definition: str, enabled: str) -> str:
    words = {"D": " (disabled)", "R": " (replica only)", "A": " (always)"}
    return definition + words.get(enabled, "")


def _deferrable(flags: str) -> str | None:
    if "deferred" in flags.split():
        return "initially deferred"
    return "yes" if "deferrable" in flags.split() else None


def _collation(collation: str | None, column: Row | None) -> list[str]:
    """What an index's own collation is, where its column has another."""
    mine = collation if collation != '"default"' else None
    its = column[8] if column else None
    if mine == its:
        return []
    return [f"collate {mine or 'default'}"]


def _operator_class(told: str, column: Row | None) -> list[str]:
    """An operator class's name, where it is not the one that its column's type has anyway."""
    known, _, name = told.partition("/")
    default, _, kind = known.partition(" ")
    if default != "1":
        return [name]
    if column is None:
        return [name] if kind in _DOUBTFUL else []
    its = re.sub(r"\(\d[^)]*\)", "", column[3])
    usual = kind == its or its in _SERVES.get(kind, ()) or kind in _POLYMORPHIC
    return [] if usual else [name]


def _class_option(told: str) -> tuple[int, str]:
    number, _, options = told.partition(" ")
    return int(number), f"({', '.join(json.loads(options))})"


def _direction(bits: int) -> list[str]:
    """INDOPTION_DESC and INDOPTION_NULLS_FIRST in catalog/pg_index.h; DESC has nulls first."""
    descending, first = bool(bits & 1), bool(bits & 2)
    words = ["desc"] if descending else []
    return words if descending == first else [*words, "nulls first" if first else "nulls last"]
