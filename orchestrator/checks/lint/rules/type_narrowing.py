"""Columns whose values may not fit any more."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.column_types import narrows
from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.schema import kept_columns
from orchestrator.checks.lint.types import Hit, Subject


@rule("type-narrowing", "error", needs=("walk",))
def check(subject: Subject) -> Iterator[Hit]:
    """A column gets a type that does not hold every value of the one before.

    The first tenant that has such a value fails, or its values are cut and rounded: which of the
    two depends on the server and its sql_mode.

    Source: PostgreSQL 18 manual, chapter 8; MySQL 8.4 manual, chapter 13, and 7.1.11 "Server SQL
    Modes".
    """
    mysql = subject.flavour.family == "mysql"
    for column in kept_columns(subject):
        old, new = column.before.get("type", ""), column.after.get("type", "")
        why = narrows(old, new, mysql=mysql)
        if why:
            yield column.hit(
                f"column {column.name} of table {column.table} goes from {old} to {new}: {why}",
                "Look for such values in every target first, and allow this when there are none; "
                "or add a column of the new type.",
            )
