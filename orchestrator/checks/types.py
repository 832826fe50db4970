"""A schema as checks see it: a flat set of items with facts, the same for every flavour.

Enters: nothing.  Leaves: Item, Shape, Scope, Fingerprints and Difference.  No I/O.

No text in a shape names the schema or database that it was read from, so that equal schemas of two
tenants have equal shapes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

ItemKind = Literal[
    "table",
    "column",
    "index",
    "primary key",
    "unique constraint",
    "foreign key",
    "check constraint",
    "exclusion constraint",
    "enum",
    "domain",
    "type",
    "sequence",
    "view",
    "materialized view",
    "function",
    "procedure",
    "trigger",
    "event",
]


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One thing in a schema.

    table: the one it stands in, "" for what stands in none (and for a table itself). name: its own.
    facts: what is true of it, by name, sorted: ("type", "varchar(20)"), ("nullable", "no"),
    ("default", "0"), ("comment", "...").  A fact that does not apply is left out.
    """

    kind: ItemKind
    table: str
    name: str
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Shape:
    """All items of a target's schema, sorted."""

    items: tuple[Item, ...]

    @cached_property
    def digest(self) -> str:
        """The fingerprint: SHA-256 over all items, in hexadecimal."""
        whole = json.dumps(self.plain, ensure_ascii=True)
        return hashlib.sha256(whole.encode("ascii")).hexdigest()

    @property
    def plain(self) -> list[list[object]]:
        """The items as values that JSON keeps."""
        return [[one.kind, one.table, one.name, one.facts] for one in self.items]

    @classmethod
    def of(cls, plain: list[Any]) -> Shape:
        """The shape that gave `plain`, after JSON."""
        return cls(
            tuple(
                Item(kind, table, name, tuple((fact, value) for fact, value in facts))
                for kind, table, name, facts in plain
            )
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a target's schema counts.

    hidden: names of tables that never do (version tables, journals, the ledger's, those of other
    binds in the same place); "schema.table" outside of the session's default schema. ignore: globs
    of `drift.ignore`. column_order: whether the order of a table's columns counts. schemas: for a
    target without a schema of its own on PostgreSQL, those that belong to it besides the session's
    default schema.
    """

    hidden: frozenset[str] = frozenset()
    ignore: tuple[str, ...] = ()
    column_order: bool = True
    schemas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """The fingerprints of some targets.

    digests: in the order of the targets, "" for one that could not be read. problems: the server's
    words for those, by index. shapes: one shape of each digest.
    """

    digests: tuple[str, ...] = ()
    problems: Mapping[int, str] = field(default_factory=dict)
    shapes: Mapping[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a schema is not what was expected.

    what: "missing" (expected and not there), "extra" (there and not expected), "changed" (one fact
    of it). fact, expected, found: of a changed one; "" where the fact does not apply.
    """

    what: Literal["missing", "extra", "changed"]
    kind: ItemKind
    table: str
    name: str
    fact: str = ""
    expected: str = ""
    found: str = ""
