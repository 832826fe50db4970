"""Columns that must not be NULL any more."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.schema import checks, kept_columns
from orchestrator.checks.lint.types import Hit, Subject


@rule("set-not-null", "warning", needs=("walk",))
def check(subject: Subject) -> Iterator[Hit]:
    """An existing column is set to NOT NULL.

    Every row is looked at while nobody reads or writes the table, and the first tenant that has a
    NULL fails. On PostgreSQL a valid CHECK (column IS NOT NULL) spares the look, and is left out.

    Source: PostgreSQL 18 manual, ALTER TABLE, SET NOT NULL; MySQL 8.4 manual, 17.12.1 "Online DDL
    Operations" (rebuilds the table); squawk, adding-not-nullable-field.
    """
    for column in kept_columns(subject):
        if column.before.get("nullable") == "yes" and column.after.get("nullable") == "no":
            if _proven(subject, column.table, column.name):
                continue
            yield column.hit(
                f"column {column.name} of table {column.table} is set to NOT NULL",
                "Fill it first, in an earlier revision. On PostgreSQL, add a CHECK (... IS NOT "
                "NULL) NOT VALID there, and validate it, before this one.",
            )


def _proven(subject: Subject, table: str, column: str) -> bool:
    if subject.before is None or subject.flavour.family != "postgresql":
        return False
    condition = re.compile(rf'\(*"?{re.escape(column)}"? IS NOT NULL\)*')
    return any(condition.fullmatch(one) for one in checks(subject.before, table))
