"""Comments that allow what is not there."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.types import Hit, Subject


@rule("allow-unused", "notice", needs=("others",))
def check(subject: Subject) -> Iterator[Hit]:
    """A comment allows what no rule finds at its place, or names no rule.

    It was left behind, stands at the wrong line, or its rule is misspelt.

    Source: ours.
    """
    for one in subject.unused or ():
        yield Hit(
            f"nothing needs that {', '.join(one.rules)} is allowed here",
            "Remove the comment, or correct its place or its rule (`orchestrator lint --rules`).",
            one.line,
        )
