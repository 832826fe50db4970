"""Targets that stopped inside a step: what a plan may do with them, and how they are told.

Enters: a State whose journal has rows, and the steps that a command would take from it.  Leaves:
words, and the Problem of a target that must not go this way.  No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.errors import Problem
from orchestrator.fleet.types import State, Target
from orchestrator.revisions.types import Step
from orchestrator.safety.journal import HalfApplied, half_applied


def half_of(state: State) -> HalfApplied | None:
    """The step inside which a target stopped, with its first and last rows; None when it is not
    half-way through one."""
    return half_applied(state.journal) if state.journal else None


def half_words(half: HalfApplied) -> str:
    """For people: "upgrade of 4f2a stopped in statement 3 of 5"."""
    return f"{half.direction} of {half.revision} stopped {stopped_at(half)}"


def stopped_at(half: HalfApplied) -> str:
    """ "in statement 3 of 5", "behind statement 2 of 5", "before its first statement"."""
    of = f" of {len(half.planned):,}" if half.planned else ""
    if half.in_doubt is not None:
        return f"in statement {half.in_doubt.number:,}{of}"
    if half.rows and half.rows[-1].kind == "refused":
        return f"at statement {half.rows[-1].number:,}{of}, which the server refused"
    return f"behind statement {half.done:,}{of}" if half.done else "before its first statement"


def obstacle(target: Target, state: State, steps: Sequence[Step]) -> Problem | None:
    """Why a target must not take these steps, of which the first is looked at, without a place: it
    is half-way through another, or nobody can tell. None for those that may, and for a target that
    is not half-way through anything."""
    half = half_of(state)
    if half is None:
        return _unreadable(target, state) if state.detail else None
    if steps and (steps[0].revision, steps[0].direction) == (half.revision, half.direction):
        return None
    return halted(target, half)


def halted(target: Target, half: HalfApplied) -> Problem:
    """A target that is half-way through a step that is not the next, without a place."""
    decide = f"`orchestrator repair {target.options}`"
    if half.direction == "upgrade":
        finish = f"`orchestrator upgrade {target.options} --to {half.revision}`"
        todo = f"Finish it with {finish}; {decide} shows what is known and takes a decision."
    else:
        resume = f"`orchestrator repair {target.options} --resume`"
        todo = f"Finish it with {resume}; {decide} shows what is known."
    return Problem(
        f"it is half-way through `{half.direction}` of {half.revision}: stopped {stopped_at(half)}",
        todo=todo,
    )


def _unreadable(target: Target, state: State) -> Problem | None:
    if state.kind not in ("known", "no-version-table"):
        return None
    return Problem(
        f"nobody can tell whether it is half-way through a step: {state.detail}",
        todo=f"Grant its user SELECT on {target.bind.journal_table}; when that is a table of "
        f"somebody else's, set binds.{target.bind.name}.journal_table to another name.",
    )
