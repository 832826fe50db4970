"""Tables that are renamed."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.tables import hit, on_others
from orchestrator.checks.lint.types import Hit, Subject


@rule("rename-table", "error")
def check(subject: Subject) -> Iterator[Hit]:
    """A table is renamed.

    From that moment, programs of the version before fail, and those of the new version fail until
    then.

    Source: strong_migrations, "Renaming a table"; squawk, renaming-table.
    """
    for sent, one in on_others(subject, "rename table"):
        yield hit(
            sent,
            f"table {one.table} is renamed to {one.new}",
            f'Keep the name in the database: __tablename__ = "{one.table}". Or leave a view of the '
            "old name for the version before.",
        )
