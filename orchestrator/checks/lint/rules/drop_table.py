"""Tables that are dropped."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.tables import hit, on_others
from orchestrator.checks.lint.types import Hit, Subject


@rule("drop-table", "error")
def check(subject: Subject) -> Iterator[Hit]:
    """A table is dropped.

    Its data is gone, and programs of the version before still read it.

    Source: squawk, ban-drop-table.
    """
    for sent, one in on_others(subject, "drop table"):
        yield hit(
            sent,
            f"table {one.table} is dropped, with its data",
            "Release a version that does not use it first, then drop it, and allow this here.",
        )
