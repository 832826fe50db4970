"""Indexes that block writes while they are built."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.tables import hit, is_small, on_others, size_words
from orchestrator.checks.lint.types import Hit, Subject


@rule("non-concurrent-index", "warning", families=("postgresql",))
def check(subject: Subject) -> Iterator[Hit]:
    """An index is built on an existing table without CONCURRENTLY.

    Until it is built, nobody writes to the table. A table that is known to have few rows is left
    out, and so is one that the same revision makes.

    Source: PostgreSQL 18 manual, CREATE INDEX, "Building Indexes Concurrently"; squawk,
    require-concurrent-index-creation.
    """
    for sent, one in on_others(subject, "create index"):
        if not one.concurrently and not is_small(subject, one.table):
            size = size_words(subject, one.table)
            yield hit(
                sent,
                f"index {one.name or '(unnamed)'} blocks writes to table {one.table}{size} while "
                "it is built",
                "Build it in `with op.get_context().autocommit_block():` with "
                "postgresql_concurrently=True.",
            )
