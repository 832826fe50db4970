"""Whoever writes a history at random: what its tables are by now, and the revision that is written.

Enters: hypothesis' draw, and a family.  Leaves: `Author`, with what every operation needs; the
operations are in author_of_*.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from orchestrator.config.flavour import Family
from tests.roads.values import KINDS, SHORT, Kind

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class Table:
    """A table as it stands after the operations so far. used: columns that something leans on."""

    name: str
    columns: dict[str, Kind] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)


@dataclass
class Author:
    """Writes one history, one operation after the other."""

    draw: Draw
    family: Family
    tables: list[Table] = field(default_factory=list)
    up: list[str] = field(default_factory=list)
    down: list[str] = field(default_factory=list)
    _names: int = 0
    # SQLAlchemy keeps a compiled INSERT for the next one of its shape, with the default that the
    # first one had: a column has one default for the whole history, or stock Alembic, which runs
    # all revisions over one engine, would write a stale value.
    defaults: dict[tuple[str, str], str] = field(default_factory=dict)

    def body(self) -> tuple[str, str]:
        """The functions of the revision that is written now; the next one starts empty."""
        written = "\n".join(self.up) or "pass", "\n".join(reversed(self.down)) or "pass"
        self.up, self.down = [], []
        return written

    def name(self, stem: str) -> str:
        """A name that nothing has yet; some need quotes."""
        self._names += 1
        shape = self.draw(
            st.sampled_from(["{}_{}", "{}_{}", "{} {}", "Upper{}{}", "{}%{}", "é{}{}"])
        )
        return str(shape).format(stem, self._names)

    def does(self, up: str, down: str = "") -> None:
        """Add one operation and what undoes it."""
        self.up.append(up)
        if down:
            self.down.append(down)

    def table(self) -> Table:
        return self.draw(st.sampled_from(self.tables))  # type: ignore[no-any-return]

    def column(self, table: Table, *, free: bool = False, indexed: bool = False) -> str | None:
        """One of a table's columns but its key, or None."""
        found = [
            name
            for name, kind in table.columns.items()
            if not (free and name in table.used) and not (indexed and not kind.indexed)
        ]
        return self.draw(st.sampled_from(found)) if found else None

    def new_column(self, *, nullable: bool = False) -> tuple[str, Kind, str]:
        """Name, kind, and the text of a column."""
        kind: Kind = self.draw(st.sampled_from(list(KINDS[self.family].values())))
        name = self.name("c")
        options = ""
        if kind.default and self.draw(st.booleans()):
            options += f", server_default={kind.default}"
            options += ", nullable=False" * (not nullable and self.draw(st.booleans()))
        if self.draw(st.integers(0, 3)) == 0:
            options += f", comment={self.draw(SHORT.filter(bool))!r}"
        return name, kind, f"sa.Column({name!r}, {kind.type}{options})"

    def quoted(self, name: str) -> str:
        """A name as an identifier in a text."""
        return f'"{name}"' if self.family == "postgresql" else f"`{name}`"
