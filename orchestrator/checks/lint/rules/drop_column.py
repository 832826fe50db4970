"""Columns that are dropped."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.tables import hit, on_others
from orchestrator.checks.lint.types import Hit, Subject


@rule("drop-column", "error")
def check(subject: Subject) -> Iterator[Hit]:
    """A column is dropped.

    Its data is gone, and programs of the version before, which run until the last of them is
    replaced, still name it: SQLAlchemy selects every column that a model has.

    Source: strong_migrations, "Removing a column"; squawk, ban-drop-column.
    """
    for sent, one in on_others(subject, "drop column"):
        yield hit(
            sent,
            f"column {one.name} of table {one.table} is dropped, with its data",
            "Release a version that does not use it first, then drop it, and allow this here.",
        )
