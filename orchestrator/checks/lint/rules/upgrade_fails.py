"""Upgrades that do not run."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.types import Hit, Subject


@rule("upgrade-fails", "error", needs=("run",))
def check(subject: Subject) -> Iterator[Hit]:
    """The upgrade does not run on a scratch database that its history was run on before.

    It would stop its first target, and with it the rollout.

    Source: tried on the scratch database.
    """
    if subject.failed:
        yield Hit(
            f"it does not run on a scratch database: {subject.failed}",
            "Correct the revision. Where it needs data that is not there, allow this and say so.",
            subject.failed_line,
        )
