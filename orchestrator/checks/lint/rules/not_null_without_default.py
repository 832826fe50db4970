"""Columns that existing rows, and programs of the version before, cannot fill."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.tables import hit, on_others
from orchestrator.checks.lint.types import Hit, Subject


@rule("not-null-without-default", "error")
def check(subject: Subject) -> Iterator[Hit]:
    """A column that must not be NULL is added to an existing table without a default.

    PostgreSQL refuses it as soon as the table has a row, on the first tenant that does. MySQL and
    MariaDB give the rows there are an empty value that nobody chose. On all of them, programs of
    the version before can insert no row any more.

    Source: PostgreSQL 18 manual, ALTER TABLE; MySQL 8.4 manual, 13.6 "Data Type Default Values";
    squawk, adding-required-field.
    """
    for sent, one in on_others(subject, "add column"):
        if one.not_null and not one.default:
            yield hit(
                sent,
                f"column {one.name} is added to table {one.table} as NOT NULL, without a default",
                "Give it a server_default, or add it nullable, fill it, and set NOT NULL later.",
            )
