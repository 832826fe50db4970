"""Columns that are renamed."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.tables import hit, on_others
from orchestrator.checks.lint.types import Hit, Subject


@rule("rename-column", "error")
def check(subject: Subject) -> Iterator[Hit]:
    """A column is renamed.

    From that moment, programs of the version before fail, and those of the new version fail until
    then: there is no order of deploy and migration in which both work.

    Source: strong_migrations, "Renaming a column"; squawk, renaming-column.
    """
    for sent, one in on_others(subject, "rename column"):
        yield hit(
            sent,
            f"column {one.name} of table {one.table} is renamed to {one.new}",
            "Keep the name in the database, and give the attribute another: "
            f'mapped_column("{one.name}"). Or add a column, write both, move the data, drop the '
            "old one later.",
        )
