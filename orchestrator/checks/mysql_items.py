"""The items of MySQL and MariaDB databases, from the rows that were read of them.

Enters: a text of `checks.shapes_mysql.read_batch`.  Leaves: a Whole.  No I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.checks.places import COLUMN_ORDER, Whole
from orchestrator.checks.types import Item, ItemKind

Row = Sequence[Any]
Facts = dict[str, str | None]

_TABLES = ("BASE TABLE", "SYSTEM VERSIONED")
_EXTRAS = re.compile(
    r"(?P<increments>auto_increment)|(?P<invisible>INVISIBLE)|(?P<kind>STORED|VIRTUAL|PERSISTENT)"
    r" GENERATED|DEFAULT_GENERATED|on update (?P<update>\w+(?:\(\d*\))?)|[ ,]+",
    re.IGNORECASE,
)
_ROW_FORMAT = re.compile(r"\brow_format=(\w+)", re.IGNORECASE)
# InnoDB treats both alike, and as the default (MySQL 8.4 manual, 15.1.20.5 "FOREIGN KEY
# Constraints"); MySQL calls the default NO ACTION, MariaDB RESTRICT.
_NO_ACTIONS = ("NO ACTION", "RESTRICT")


def whole_of(raw: str) -> Whole:
    """The items in a text of `read_batch`."""
    return Whole(tuple(_Items(json.loads(raw)).all()))


class _Items:
    """The rows of one database, by section."""

    def __init__(self, sections: Mapping[str, Sequence[Row]]) -> None:
        self._sections = sections
        self._collations = {row[0]: row[3] for row in self._of("tables") if row[1] in _TABLES}

    def all(self) -> Iterator[Item]:
        """All of them."""
        yield from self._tables()
        for row in self._of("columns"):
            if row[0] in self._collations:
                yield self._column(row)
        for (table, name), rows in self._by_name("indexes", 2).items():
            yield self._index(table, name, rows)
        yield from self._foreign_keys()
        for table, name, clause, enforced in self._of("checks"):
            facts: Facts = {"definition": clause, "enforced": "no" if enforced == "NO" else None}
            yield _item("check constraint", table, name, facts)
        for name, definition, checked, security in self._of("views"):
            facts = {
                "definition": definition,
                "check option": None if checked == "NONE" else checked.lower(),
                "security": _security(security),
            }
            yield _item("view", "", name, facts)
        for name, options in self._of("sequences"):
            yield _item("sequence", "", name, {"options": options})
        yield from self._programs()

    def _of(self, section: str) -> Sequence[Row]:
        return self._sections.get(section, ())

    def _by_name(self, section: str, place: int) -> dict[tuple[str, str], list[Row]]:
        """The rows of things that take several, by table and name, in the order of a number."""
        found: dict[tuple[str, str], list[Row]] = {}
        for row in sorted(self._of(section), key=lambda row: int(row[place])):
            found.setdefault((row[0], row[1]), []).append(row)
        return found

    def _tables(self) -> Iterator[Item]:
        columns: dict[str, list[str]] = {}
        for row in sorted(self._of("columns"), key=lambda row: int(row[1])):
            columns.setdefault(row[0], []).append(row[2])
        partitions: dict[str, list[Row]] = {}
        for row in sorted(self._of("partitions"), key=lambda row: (int(row[1]), int(row[2] or 0))):
            partitions.setdefault(row[0], []).append(row)
        for name, kind, engine, collation, options, comment in self._of("tables"):
            if kind not in _TABLES:
                continue
            row_format = _ROW_FORMAT.search(options or "")
            facts: Facts = {
                "engine": engine,
                "collation": collation,
                "row format": row_format[1].lower() if row_format else None,
                "options": _options(options or ""),
                "system versioned": "yes" if kind == "SYSTEM VERSIONED" else None,
                "partitions": _partitions(partitions[name]) if name in partitions else None,
                "comment": comment,
                COLUMN_ORDER: json.dumps(columns.get(name, [])),
            }
            yield _item("table", "", name, facts)

    def _column(self, row: Row) -> Item:
        table, _place, name, kind, nullable, default, collation, extra, generated = row[:9]
        comment, srid = row[9:]
        told = _Extra(extra or "")
        facts: Facts = {
            "type": kind,
            "nullable": nullable.lower(),
            "collation": collation if collation != self._collations[table] else None,
            "auto increment": told.fact("increments"),
            "invisible": told.fact("invisible"),
            "on update": told.words.get("update"),
            "extra": told.rest,
            "srid": None if srid is None else str(srid),
            "comment": comment,
        }
        if generated:
            facts["generated"] = f"{generated} {told.words.get('kind', '').lower()}".rstrip()
        else:
            facts["default"] = default
        return _item("column", table, name, facts)

    def _index(self, table: str, name: str, rows: Sequence[Row]) -> Item:
        first = rows[0]
        facts: Facts = {
            "columns": ", ".join(_part(row) for row in rows),
            "method": first[7].lower(),
            "comment": first[8],
            "visible": "no" if first[9] == "NO" else None,
        }
        if name == "PRIMARY":
            return _item("primary key", table, "", facts)
        facts["unique"] = "no" if int(first[3]) else "yes"
        return _item("index", table, name, facts)

    def _foreign_keys(self) -> Iterator[Item]:
        actions = {(row[0], row[1]): row[2:] for row in self._of("actions")}
        for (table, name), rows in self._by_name("references", 2).items():
            update, delete = actions.get((table, name), (None, None))
            schema, other = rows[0][4:6]
            whom = f"{_written(schema)}.{_written(other)}" if schema else _written(other)
            facts: Facts = {
                "columns": ", ".join(_written(row[3]) for row in rows),
                "references": f"{whom} ({', '.join(_written(row[6]) for row in rows)})",
                "on update": _action(update),
                "on delete": _action(delete),
            }
            yield _item("foreign key", table, name, facts)

    def _programs(self) -> Iterator[Item]:
        """Triggers, routines and events. Who defined one, and with which session settings, does
        not count; nor do the times of an event, which are those of its making."""
        for table, name, timing, event, order, statement in self._of("triggers"):
            facts: Facts = {
                "when": f"{timing} {event}".lower(),
                "order": str(order) if int(order or 1) > 1 else None,
                "body": statement,
            }
            yield _item("trigger", table, name, facts)
        arguments: dict[tuple[str, str], list[str]] = {}
        for kind, name, _place, mode, argument, of_type in sorted(
            self._of("parameters"), key=lambda row: int(row[2])
        ):
            mode = mode.lower() if kind == "PROCEDURE" and mode else ""
            words = [part for part in (mode, argument, of_type) if part]
            arguments.setdefault((kind, name), []).append(" ".join(words))
        for kind, name, returns, body, fixed, access, security, comment in self._of("routines"):
            facts = {
                "arguments": ", ".join(arguments.get((kind, name), ())),
                "returns": returns,
                "body": body,
                "deterministic": fixed.lower(),
                "data access": access.lower(),
                "security": _security(security),
                "comment": comment,
            }
            if kind in ("FUNCTION", "PROCEDURE"):
                yield _item("function" if kind == "FUNCTION" else "procedure", "", name, facts)
        for name, kind, number, unit, status, completion, comment, body in self._of("events"):
            facts = {
                "schedule": f"every {number} {unit.lower()}" if kind == "RECURRING" else "once",
                "enabled": "no" if status == "DISABLED" else "yes",
                "on completion": completion.lower(),
                "comment": comment,
                "body": body,
            }
            yield _item("event", "", name, facts)


class _Extra:
    """What information_schema.columns tells in `extra`. words: what is known of it. rest: what is
    not."""

    def __init__(self, extra: str) -> None:
        self.words: dict[str, str] = {}
        for found in _EXTRAS.finditer(extra):
            self.words |= {name: told for name, told in found.groupdict().items() if told}
        self.rest = _EXTRAS.sub("", extra) or None

    def fact(self, name: str) -> str | None:
        """ "yes" where it is there."""
        return "yes" if name in self.words else None


def _item(kind: ItemKind, table: str, name: str, facts: Facts) -> Item:
    return Item(kind, table, name, tuple(sorted((k, v) for k, v in facts.items() if v)))


def _options(told: str) -> str:
    """What else CREATE TABLE was given."""
    rest = _ROW_FORMAT.sub("", told).split()
    return " ".join(sorted(one for one in rest if one != "partitioned"))


def _partitions(rows: Iterable[Row]) -> str:
    """ "range (`y`) (p0: 10, p1: MAXVALUE), each by hash (`id`) (2)"."""
    rows = list(rows)
    method, expression = rows[0][5:7]
    sub_method, sub_expression = rows[0][8:10]
    parts: dict[str, str] = {row[3]: row[7] or "" for row in rows}
    listed = ", ".join(f"{name}: {told}".rstrip(": ") for name, told in parts.items())
    words = f"{method.lower()} ({expression or ''}) ({listed})"
    if not sub_method:
        return words
    names = ", ".join(row[4] for row in rows)
    return f"{words}, each by {sub_method.lower()} ({sub_expression or ''}) ({names})"


def _part(row: Row) -> str:
    """A column of an index: "name(10) desc"."""
    _table, _index, _place, _unique, column, direction, length, kind = row[:8]
    words = _written(column) if column else f"({row[10]})"
    # A spatial index says 32, whatever its column holds.
    words += f"({length})" if length and kind != "SPATIAL" else ""
    return words + (" desc" if direction == "D" else "")


def _action(rule: str | None) -> str | None:
    return None if rule is None or rule in _NO_ACTIONS else rule.lower()


def _security(told: str) -> str | None:
    return "invoker" if told == "INVOKER" else None


def _written(name: str) -> str:
    """A name in a list: quoted where it would not be told from what stands around it."""
    return name if re.fullmatch(r"[^\s,().`]+", name) else "`" + name.replace("`", "``") + "`"
