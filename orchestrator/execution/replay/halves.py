"""A half-applied PostgreSQL step: what its journal says, and whether it can be continued.

Enters: a session in a target, and the step that comes next.  Leaves: how far it got, or Dirty.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.execution.replay.begun import check_begun
from orchestrator.execution.replay.types import CompiledStep, Dirty, Footing
from orchestrator.fleet.sessions import Session
from orchestrator.planning.statements import literal
from orchestrator.safety.alone import session_changes, temporary_names
from orchestrator.safety.journal import HalfApplied, half_applied, read_rows


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
    check_begun(half, step.revision, step.direction.value, texts)
    later = "\n".join(texts[half.done :])
    for name in (name for text in texts[: half.done] for name in temporary_names(text)):
        if name in later:
            raise Dirty(half, f"{name}, which it made, was temporary and went with its session")


def lost_settings(half: HalfApplied, texts: Sequence[str]) -> list[str]:
    """The statements among those that are done which set up a session that is gone."""
    return [piece for text in texts[: half.done] for piece in session_changes(text)]
