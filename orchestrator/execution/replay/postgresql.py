"""Compiled steps on PostgreSQL: a transactional revision is one round trip, with its guard, its
version rows and, before the first and after the last, the target's lock.

A step that is more than one transaction is journalled: each of its transactions together with a row
that says how far it got, each statement that cannot be in one behind a row of its own.

Enters: a session, steps as segments, and the version rows that are expected.  Leaves: the steps
done, or ReplayFailed, Moved, Locked or Dirty.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.execution.replay.begun import continuing
from orchestrator.execution.replay.entering import enter, failed, look_again
from orchestrator.execution.replay.halves import check_half, journal_in, lost_settings, texts_of
from orchestrator.execution.replay.journalled_postgresql import send_step
from orchestrator.execution.replay.passage import Passage
from orchestrator.execution.replay.types import CompiledStep, Footing, Waits
from orchestrator.fleet.sessions import PostgreSQLSession, SendError
from orchestrator.fleet.sqlstate import sqlstate
from orchestrator.planning.statements import Place, create_version_table, literal
from orchestrator.safety.journal import HalfApplied, text_literal
from orchestrator.safety.locks import is_held
from orchestrator.safety.passing import passing

# PostgreSQL 18 manual, appendix A.
CANCELLED = "57014"  # query_canceled
_DIVISION_BY_ZERO = "22012"


def replay_postgresql(
    session: PostgreSQLSession,
    footing: Footing,
    steps: Sequence[CompiledStep],
    expected: tuple[str, ...],
    waits: Waits,
    *,
    last: bool,
) -> None:
    """See `replay`."""
    half = _sent(session, footing, steps, expected, waits, None, last=last)
    if half is None:
        return
    check_half(half, steps[0])
    texts = texts_of(steps[0])
    waits.told(continuing(half.revision, half.done, len(texts)))
    settings = lost_settings(half, texts)
    try:
        if settings:
            session.batch(settings)
    except SendError as error:
        raise failed(session, footing, error, kept=half.done) from error
    _sent(session, footing, steps, expected, waits, half, last=last)


def _sent(
    session: PostgreSQLSession,
    footing: Footing,
    steps: Sequence[CompiledStep],
    expected: tuple[str, ...],
    waits: Waits,
    half: HalfApplied | None,
    *,
    last: bool,
) -> HalfApplied | None:
    """Run the steps, the first one from where it was left. Gives what the journal says instead when
    there is something in it that was not known: nothing was run then."""
    place = footing.place
    # A table that is there stays as it is; one that is not is made with the first step.
    unseen = half is None and not session.journal_seen
    guard = [*([] if expected else [create_version_table(place)]), guard_of(place, expected)]
    guard += [_nothing_half_applied(place)] if unseen else []
    passage = Passage(session, guard, half.done if half else 0)
    try:
        for number, step in enumerate(steps):
            send_step(
                session,
                footing,
                waits,
                passage,
                step,
                half if number == 0 else None,
                joined=len(steps) > 1,
            )
        passage.commit([footing.lock.give_back] if last else [])
        session.standing, session.journal_seen = not last, True
    except SendError as error:
        return _refused(session, footing, expected, passage, half, error)
    return None


def _refused(
    session: PostgreSQLSession,
    footing: Footing,
    expected: tuple[str, ...],
    passage: Passage,
    half: HalfApplied | None,
    error: SendError,
) -> HalfApplied | None:
    """Why the server refused: what the journal says, where the guard met it; raises the others."""
    if session.lost or is_held(error, footing.lock):
        raise failed(session, footing, error, error.statement, passage.kept) from error
    code = sqlstate(error.error)
    session.rollback()
    enter(session, footing)
    look_again(session, footing, expected, passage.kept, error)
    if half is None and not passage.kept and code == _DIVISION_BY_ZERO:
        try:
            found = journal_in(session, footing)
        except SendError as unread:
            raise failed(session, footing, unread, unread.statement) from unread
        if found is not None:
            return found
    # What another try would meet says nothing of what this one met, and a statement that was
    # cancelled must not start again.
    if passing(error.error) is None and code != CANCELLED:
        error.statement = error.statement or culprit_in(session, passage.sent)
    raise failed(session, footing, error, error.statement, passage.kept) from error


def guard_of(place: Place, expected: tuple[str, ...]) -> str:
    """Fails, with a division by zero, unless the version table holds exactly these rows."""
    names = ", ".join(literal(revision) for revision in expected)
    right = f"count(*) = {len(expected)}"
    right += f" AND bool_and(version_num IN ({names}))" if expected else ""
    return f"SELECT 1 / (SELECT ({right})::int FROM {place.versions})"


def _nothing_half_applied(place: Place) -> str:
    """Fails, with a division by zero, unless there is no journal, or an empty one. A query cannot
    name a table that may be missing; ts_stat runs one that is a text, so it may be missing there
    (PostgreSQL 18 manual, 12.4.4 "Gathering Document Statistics")."""
    row = f"SELECT 'x'::pg_catalog.tsvector FROM {place.journal} LIMIT 1"
    rows = f"SELECT count(*) FROM pg_catalog.ts_stat({text_literal('postgresql', row)})"
    return (
        f"SELECT 1 / CASE WHEN to_regclass({text_literal('postgresql', place.journal)}) IS NULL"
        f" THEN 1 ELSE (({rows}) = 0)::int END"
    )


def culprit_in(session: PostgreSQLSession, statements: Sequence[str]) -> str:
    """The statement that fails, found by running them one by one and rolling all back: psycopg2
    gives no position for most errors of a batch."""
    try:
        session.single("BEGIN")
        for statement in statements:
            session.single(statement)
    except SendError as error:
        return error.statement
    finally:
        if not session.lost:
            session.rollback()
    return ""
