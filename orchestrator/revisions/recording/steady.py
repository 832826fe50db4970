"""One order for what SQLAlchemy keeps in sets of objects, which differs from process to process.

`Table.indexes` is a set, and an Index hashes by its address: Alembic creates the indexes of a new
table in whatever order that gives (alembic/ddl/impl.py, create_table).  Any order is right; a
recording takes the order in which they are written.  Enters and leaves: nothing; `install` is
called once in a process.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, Table, event
from sqlalchemy.util import OrderedSet


def install() -> None:
    """Keep the indexes of every table made from now on in the order they were added."""
    if not event.contains(Index, "after_parent_attach", _keep_order):
        event.listen(Index, "after_parent_attach", _keep_order)


def _keep_order(_index: Index, parent: Any) -> None:
    # Called after each index, so the plain set holds one at the most when it is replaced.
    if isinstance(parent, Table) and not isinstance(parent.indexes, OrderedSet):
        parent.indexes = OrderedSet(parent.indexes)
