"""Downgrades that leave another schema than was there."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.differences import differences, words
from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.types import Hit, Subject


@rule("downgrade-not-inverse", "warning", needs=("walk", "undone"))
def check(subject: Subject) -> Iterator[Hit]:
    """Upgrade and downgrade, one after the other, leave another schema than was there before.

    A target that was taken back is then like no other of its state: the next upgrade may fail on
    what was left (an enum type that exists already), and verify and drift tell it as different.
    The order of columns does not count.

    Source: tried on the scratch database.
    """
    if subject.before is None or subject.undone is None:
        return
    found = [words(one) for one in differences(subject.before, subject.undone)]
    if found:
        more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        yield Hit(
            f"after its downgrade the schema is not what it was: {'; '.join(found[:_SHOWN])}{more}",
            "Have downgrade() undo everything that upgrade() does.",
            subject.downgrade_line,
        )


_SHOWN = 5
"""Differences in one message, at most."""
