"""Targets whose schema is not that of their cohort, told as a person would.

Enters: Mismatches.  Leaves: lines, and JSON for programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from orchestrator.checks.differences import words
from orchestrator.cli.output import plural
from orchestrator.execution.types import Mismatch

_DIFFERENCES = 8


def mismatch_lines(mismatch: Mismatch) -> Iterator[str]:
    """A target, and what differs: "shop/acme: its schema differs from that of shop/globex"."""
    target = mismatch.target.id
    if mismatch.problem:
        yield f"{target}: {mismatch.problem}"
    elif mismatch.like == target:
        yield f"{target}: its schema was changed by somebody else since it was looked at"
    elif mismatch.when == "before":
        yield f"{target}: its schema is not like that of {mismatch.like}, at the same revision"
    else:
        yield (
            f"{target}: its schema is not like that of {mismatch.like}, which was equal before "
            "and took the same steps"
        )
    for one in mismatch.differences[:_DIFFERENCES]:
        yield f"    {words(one)}"
    more = len(mismatch.differences) - _DIFFERENCES
    if more > 0:
        yield f"    and {plural(more, 'other difference')}"


def mismatch_data(mismatch: Mismatch) -> dict[str, object]:
    """The same for machines."""
    return {
        "bind": mismatch.target.bind.name,
        "target": mismatch.target.id,
        "when": mismatch.when,
        "like": mismatch.like or None,
        "problem": mismatch.problem or None,
        "differences": [asdict(one) for one in mismatch.differences],
        "stops": mismatch.stops,
    }
