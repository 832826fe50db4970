"""Many rows changed in one statement."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.data_statements import DataChange, data_changes
from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.schema import key_columns
from orchestrator.checks.lint.tables import created, hit, is_small, size_words
from orchestrator.checks.lint.types import Hit, Subject


@rule("data-migration-at-once", "warning")
def check(subject: Subject) -> Iterator[Hit]:
    """One statement changes, deletes or copies all rows of an existing table.

    Its locks stay until the transaction ends, with the schema change in it; replicas lag, and
    PostgreSQL keeps every old row. What has a LIMIT, or fixed values for a key, is left out, and so
    is a table that is known to have few rows, or that the same revision makes.

    Source: strong_migrations, "Backfilling data"; PostgreSQL 18 manual, 24.1.2 "Recovering Disk
    Space"; MySQL 8.4 manual, 10.5.5 "Bulk Data Loading for InnoDB Tables".
    """
    new = created(subject)
    for sent in subject.sent:
        for one in data_changes(sent.text, subject.flavour.family):
            if one.table in new or is_small(subject, one.table) or _bounded(subject, one):
                continue
            done = _DONE[one.verb].format(one.table or "a table")
            yield hit(
                sent,
                f"{done} in one statement{size_words(subject, one.table)}",
                "Change the rows in batches of a key's range, each in its own transaction, outside "
                "of the schema change.",
            )


_DONE = {
    "UPDATE": "rows of {} are changed",
    "DELETE": "rows of {} are deleted",
    "INSERT": "rows of {} are copied",
}


def _bounded(subject: Subject, change: DataChange) -> bool:
    return change.limited or any(
        change.bounded_by(column) for column in key_columns(subject.before, change.table)
    )
