"""Histories at random: hypothesis strategies for the revision files of one bind.

Enters: a family.  Leaves: Revisions whose functions use Alembic's operations in any order that a
database accepts, with data that breaks careless quoting.  A downgrade undoes its upgrade, so every
history leads back to base; what differs between two runs (clocks, random keys) is never used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from orchestrator.config.flavour import Family
from tests.roads.author import Draw
from tests.roads.author_of_programs import ProgramAuthor
from tests.roads.author_of_rows import RowAuthor
from tests.roads.author_of_tables import TableAuthor
from tests.roads.history import Revision


class _Historian(TableAuthor, RowAuthor, ProgramAuthor):
    """Writes one history, one operation after the other."""

    def operate(self) -> None:
        """Add any operation."""
        if not self.tables:
            return self.create_table()
        choices = [
            *(self.create_table, self.add_column, self.drop_column, self.alter_column),
            *(self.rename_column, self.rename_table, self.create_index, self.check, self.unique),
            *(self.bulk_insert, self.bulk_insert, self.insert, self.update, self.raw_update),
            *(self.foreign_key, self.table_comment, self.driver_sql, self.view),
        ]
        if self.family == "postgresql":
            choices += [self.enum, self.script, self.concurrently, self.partial_index]
        else:
            choices += [self.trigger]
        operation: Callable[[], None] = self.draw(st.sampled_from(choices))
        return operation()


@st.composite
def histories(draw: Draw, family: Family) -> list[Revision]:
    """A history: a line of revisions, with branches that merge or stay, and depends_on."""
    author = _Historian(draw, family)
    prefix = "p" if family == "postgresql" else "m"
    found: list[Revision] = []
    head: str | None = None

    def revision(down: Any, operations: int, **more: Any) -> str:
        for _ in range(operations):
            author.operate()
        up, undo = author.body()
        found.append(Revision(f"{prefix}{len(found):03}", down, up, undo, **more))
        return found[-1].id

    for _ in range(draw(st.integers(2, 4))):
        head = revision(head, draw(st.integers(1, 6)))
    if draw(st.booleans()):
        # Two branches may run in either order, back as well: each has a table of its own.
        left, right = (_alone(author, revision, head) for _ in range(2))
        head = revision((left, right), draw(st.integers(0, 3)))
    if draw(st.booleans()):
        _alone(author, revision, None, depends_on=head, branch_labels=f"{prefix}_label")
    return found


def _alone(author: _Historian, revision: Callable[..., str], down: str | None, **more: Any) -> str:
    """A revision that touches nothing but a table that it makes."""
    others, author.tables = author.tables, []
    for operation in (author.create_table, author.bulk_insert, author.add_column):
        operation()
    made = revision(down, 0, **more)
    author.tables = others
    return made
