"""A half-applied PostgreSQL step: what its journal says, and whether it can be continued.

Enters: a session in a target, and the step that comes next.  Leaves: how far it got, or Dirty.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import unified_diff

from orchestrator.execution.replay.types import CompiledStep, Dirty, Footing
from orchestrator.fleet.sessions import Session
from orchestrator.planning.statements import literal
from orchestrator.revisions.types import Step
from orchestrator.safety.alone import session_changes, temporary_names
from orchestrator.safety.journal import HalfApplied, half_applied, read_rows, shown, source_of


def journal_in(session: Session, footing: Footing) -> HalfApplied | None:
    """What the journal of a PostgreSQL target says; None when it is empty, or there is none. Raises
    SendError."""
    journal = footing.place.journal
    if not session.rows(f"SELECT to_regclass({literal(journal)}) IS NOT NULL")[0][0]:
        return None
    return half_applied(session.rows(read_rows(journal)))


def texts_of(compiled: CompiledStep) -> list[str]:
    """All statements of a step, in order."""
    return [text for segment in compiled[1] for text in segment.statements]


def check_half(half: HalfApplied, following: CompiledStep) -> None:
    """Raises Dirty where this step is not what was begun, or cannot go on in another session."""
    step, texts = following[0], texts_of(following)
    if (half.revision, half.direction) != (step.revision, step.direction.value):
        raise Dirty(
            half,
            f"{half.direction} of revision {half.revision} is half-applied, and the plan goes on"
            f" with {step.direction.value} of {step.revision}",
        )
    if half.live or not half.planned:
        raise Dirty(half, f"revision {half.revision} was begun live, and is compiled now")
    if half.source != source_of(texts):
        why = f"revision {half.revision} was edited since it was half-applied"
        raise Dirty(half, why, _difference(half, step, texts))
    later = "\n".join(texts[half.done :])
    for name in (name for text in texts[: half.done] for name in temporary_names(text)):
        if name in later:
            raise Dirty(half, f"{name}, which it made, was temporary and went with its session")


def lost_settings(half: HalfApplied, texts: Sequence[str]) -> list[str]:
    """The statements among those that are done which set up a session that is gone."""
    return [piece for text in texts[: half.done] for piece in session_changes(text)]


def _difference(half: HalfApplied, step: Step, texts: Sequence[str]) -> tuple[str, ...]:
    begun = [text for text, _digest in half.planned]
    lines = unified_diff(
        _lines(begun), _lines([shown(text) for text in texts]), "begun", str(step.file), lineterm=""
    )
    return tuple(lines)


def _lines(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in f"{text.rstrip()};".splitlines()]
