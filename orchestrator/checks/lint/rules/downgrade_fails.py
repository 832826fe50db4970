"""Downgrades that do not run."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.types import Hit, Subject


@rule("downgrade-fails", "error", needs=("undone",))
def check(subject: Subject) -> Iterator[Hit]:
    """The downgrade does not run, right after the upgrade, on a scratch database.

    It would be found when somebody needs it: in the middle of an incident.

    Source: tried on the scratch database.
    """
    if subject.undo_failed:
        yield Hit(
            f"its downgrade does not run: {subject.undo_failed}",
            "Correct downgrade(); `orchestrator downgrade` cannot take it back as it is.",
            subject.downgrade_line,
        )
