"""Revisions that cannot be taken back."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.types import Hit, Subject
from orchestrator.revisions.types import Direction


@rule("missing-downgrade", "warning")
def check(subject: Subject) -> Iterator[Hit]:
    """The revision has no downgrade that does something.

    When a rollout goes wrong, `rollout revert` and `downgrade` cannot take its targets back. A
    revision without any statement is left out.

    Source: Alembic's tutorial, "Downgrading".
    """
    does = bool(subject.sent) or subject.live
    if does and subject.step.direction is Direction.UPGRADE and not subject.has_downgrade:
        yield Hit(
            "its downgrade does nothing",
            "Write downgrade(). Where there is no way back, allow this and say why.",
            subject.downgrade_line,
        )
