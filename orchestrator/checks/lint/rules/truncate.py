"""Tables that are emptied."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.tables import hit, on_others
from orchestrator.checks.lint.types import Hit, Subject


@rule("truncate", "error")
def check(subject: Subject) -> Iterator[Hit]:
    """A table is emptied by TRUNCATE.

    Every row is gone, for every tenant, and on MySQL and MariaDB no ROLLBACK brings it back. It
    waits for everybody who reads the table, and everybody waits for it.

    Source: PostgreSQL 18 manual, TRUNCATE (ACCESS EXCLUSIVE); MySQL 8.4 manual, 15.1.37.
    """
    for sent, one in on_others(subject, "truncate"):
        yield hit(
            sent,
            f"table {one.table} is emptied",
            "Delete what is meant, in batches, or allow this here.",
        )
