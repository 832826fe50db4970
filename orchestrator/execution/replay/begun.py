"""Whether the step at hand is the one that a target's journal says was begun, on any server.

Enters: what the journal says, and the step's statements.  Leaves: nothing, or Dirty.  No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import unified_diff

from orchestrator.execution.replay.types import Dirty
from orchestrator.safety.journal import HalfApplied, shown, source_of

_LINES = 60
"""How much of a difference is told."""


def check_begun(half: HalfApplied, revision: str, direction: str, texts: Sequence[str]) -> None:
    """texts: all statements of the step at hand. Raises Dirty where it is not what was begun."""
    if (half.revision, half.direction) != (revision, direction):
        finish = f": orchestrator upgrade --to {half.revision}" * (half.direction == "upgrade")
        raise Dirty(
            half,
            f"it is half-way through the {half.direction} of {half.revision}; finish that first"
            f"{finish}",
        )
    if half.live:
        raise Dirty(half, "the revision needed its connection when it was begun, and now does not")
    if half.source != source_of(texts):
        why = "the revision was edited after it was begun"
        raise Dirty(half, why, tuple(_difference(half, texts)))


def continuing(revision: str, done: int, total: int) -> str:
    """For people, when a step goes on. done: how many of its statements need not run."""
    if not done:
        return f"begins revision {revision} again: none of its {total} statements was done"
    return f"continues revision {revision} after statement {done} of {total}"


def _difference(half: HalfApplied, texts: Sequence[str]) -> Iterator[str]:
    begun = _lines([text for text, _digest in half.planned])
    now = _lines([shown(text) for text in texts])
    lines = list(unified_diff(begun, now, "as it was begun", "as it is now", lineterm=""))
    yield from lines[:_LINES] or ["the difference lies behind what the journal keeps"]
    if len(lines) > _LINES:
        yield f"... and {len(lines) - _LINES} more lines"


def _lines(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in f"{text.rstrip()};".splitlines()]
