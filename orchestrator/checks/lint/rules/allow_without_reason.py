"""Comments that allow something and do not say why."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.types import Hit, Subject


@rule("allow-without-reason", "error")
def check(subject: Subject) -> Iterator[Hit]:
    """A comment `# orchestrator: allow` names no rule, or gives no reason.

    It allows nothing: whoever reads the revision later must learn why it was safe.

    Source: ours.
    """
    for one in subject.allows:
        if not one.rules or not one.because:
            missing = "reason" if one.rules else "rule"
            yield Hit(
                f"the comment gives no {missing}, and allows nothing",
                "Write `# orchestrator: allow RULE because REASON`.",
                one.line,
            )
