"""Instant changes that a real table has no room for any more."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.tables import answered, hit
from orchestrator.checks.lint.types import Hit, Subject


@rule("row-versions-used-up", "warning", families=("mysql",), needs=("answers",))
def check(subject: Subject) -> Iterator[Hit]:
    """A real table has had so many instant changes that the next one is not instant.

    Each ADD COLUMN or DROP COLUMN with ALGORITHM=INSTANT uses up a row version; a table that is
    rebuilt has all of them again. Only the real table knows how many it has had.

    Source: MySQL 8.4 manual, 15.1.9 "ALTER TABLE" (64 row versions); MySQL 9.1 release notes (255).
    """
    if subject.flavour.name != "mysql":
        return
    most = 255 if subject.flavour.version >= (9, 1) else 64
    for sent, table, answer in answered(subject):
        facts = subject.tables.get(table)
        used = facts.row_versions if facts is not None else None
        if answer.algorithm == "instant" and used is not None and used >= most:
            where = f" in {facts.target}" if facts is not None and facts.target else ""
            yield hit(
                sent,
                f"table {table} has used {used} of {most} row versions{where}: this change "
                "rebuilds it",
                "Rebuild it at a quiet hour before (ALTER TABLE ... FORCE).",
            )
