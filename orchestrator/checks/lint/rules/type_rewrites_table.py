"""Changes of a column's type that write a whole table anew."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.column_types import keeps_rows
from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.schema import kept_columns
from orchestrator.checks.lint.tables import created, is_small, size_words
from orchestrator.checks.lint.types import Hit, Subject


@rule("type-rewrites-table", "warning", families=("postgresql",), needs=("walk",))
def check(subject: Subject) -> Iterator[Hit]:
    """A column's type changes in a way for which PostgreSQL writes the whole table anew.

    Nobody reads or writes the table until that is done, indexes included. Changes that leave the
    rows as they are (a longer varchar, varchar to text, more digits) are left out, and so is a
    table that is known to have few rows.

    Source: PostgreSQL 18 manual, ALTER TABLE, "Notes"; squawk, changing-column-type.
    """
    for column in kept_columns(subject):
        old, new = column.before.get("type", ""), column.after.get("type", "")
        table = column.table
        if old == new or keeps_rows(old, new) or is_small(subject, table):
            continue
        if table not in created(subject):
            yield column.hit(
                f"table {table}{size_words(subject, table)} is written anew, and locked until "
                f"then, because column {column.name} goes from {old} to {new}",
                "Add a column of the new type, fill it in batches, and move the programs over to "
                "it.",
            )
