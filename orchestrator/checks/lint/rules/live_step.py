"""Revisions that cannot be recorded as SQL."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.types import Hit, Subject


@rule("live-step", "notice")
def check(subject: Subject) -> Iterator[Hit]:
    """The revision's Python needs its connection, so that it is run anew on every target.

    A recorded revision is reviewed as SQL and replayed as fast as the server takes it; a live one
    costs each target a Python process's turn, and nobody can say before what it will send.

    Source: docs/reference/recording.md.
    """
    for reason in subject.reasons:
        line = reason.where.rpartition(":")[2]
        yield Hit(
            f"it is live ({reason.name}): {reason.detail}",
            "Write what it does as SQL, where that can be.",
            int(line) if line.isdigit() else 0,
        )
