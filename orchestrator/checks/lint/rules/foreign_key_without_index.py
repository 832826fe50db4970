"""Foreign keys that no index supports."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.schema import ForeignKey, foreign_keys
from orchestrator.checks.lint.tables import operations_of
from orchestrator.checks.lint.types import Hit, Sent, Subject


@rule("foreign-key-without-index", "warning", families=("postgresql",), needs=("walk",))
def check(subject: Subject) -> Iterator[Hit]:
    """After the revision, no index begins with the columns of a foreign key.

    Each DELETE and each change of a key in the table that it refers to then reads the whole table
    that refers. MySQL and MariaDB make such an index themselves; PostgreSQL does not.

    Source: PostgreSQL 18 manual, 5.5.5 "Foreign Keys".
    """
    if subject.before is None or subject.after is None:
        return
    known = {(key.table, key.name): key.supported for key in foreign_keys(subject.before)}
    for key in foreign_keys(subject.after):
        if key.supported or known.get((key.table, key.name)) is False:
            continue
        sent = _statement(subject, key)
        columns = ", ".join(key.columns)
        yield Hit(
            f"foreign key {key.name} of table {key.table} has no index on ({columns})",
            f"Add an index on ({columns}).",
            sent.line if sent else 0,
            sent.text if sent else "",
        )


def _statement(subject: Subject, key: ForeignKey) -> Sent | None:
    """The one that makes the key, else the one that drops an index."""
    for sent, one in operations_of(subject, "add foreign key"):
        if (one.table, one.columns) == (key.table, key.columns):
            return sent
    return next((sent for sent, _one in operations_of(subject, "drop index")), None)
