"""Compiled steps on PostgreSQL: a transactional revision is one round trip, with its guard, its
version rows and, before the first and after the last, the target's lock.

Enters: a session, steps as segments, and the version rows that are expected.  Leaves: the steps
done, or ReplayFailed, Moved or Locked.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.execution.replay.entering import enter, failed, look_again
from orchestrator.execution.replay.types import CompiledStep, Footing
from orchestrator.fleet.sessions import PostgreSQLSession, SendError
from orchestrator.planning.statements import (
    Place,
    create_version_table,
    literal,
    transactions,
    version_statements,
)
from orchestrator.revisions.recording.transactions import Control, control
from orchestrator.revisions.types import Segment
from orchestrator.safety.locks import is_held
from orchestrator.safety.passing import passing


def replay_postgresql(
    session: PostgreSQLSession,
    footing: Footing,
    steps: Sequence[CompiledStep],
    expected: tuple[str, ...],
    *,
    last: bool,
) -> None:
    """See `replay`."""
    place = footing.place
    parts = [
        part
        for step, segments in steps
        for part in transactions(
            segments, [_counted(change) for change in version_statements(place, step.changes)]
        )
    ]
    parts = _joined(parts) if len(steps) > 1 else parts
    # A table that is there stays as it is; one that is not is made with the first step.
    guard = [*([] if expected else [create_version_table(place)]), _guard(place, expected)]
    sent: list[str] = guard
    kept = 0
    try:
        if not parts or _alone(parts[0]):
            _transaction(session, guard)
        for number, part in enumerate(parts):
            if _alone(part):
                _one_by_one(session, part)
            else:
                sent = [*guard, *part.statements] if number == 0 else list(part.statements)
                leaving = [footing.lock.give_back] if last and number == len(parts) - 1 else []
                _transaction(session, sent, leaving)
                session.standing = not leaving
            kept += len(part.statements)
    except SendError as error:
        kept += error.done
        if session.lost or is_held(error, footing.lock):
            raise failed(session, footing, error, error.statement, kept) from error
        session.rollback()
        enter(session, footing)
        look_again(session, footing, expected, kept, error)
        # What another try would meet says nothing of what this one met, and a statement that was
        # cancelled must not start again.
        if passing(error.error) is None and getattr(error.error, "pgcode", None) != _CANCELLED:
            error.statement = error.statement or _culprit(session, sent)
        raise failed(session, footing, error, error.statement, kept) from error


_CANCELLED = "57014"  # PostgreSQL 18 manual, appendix A: query_canceled


def _joined(parts: Sequence[Segment]) -> list[Segment]:
    """Transactions that follow one another, as one."""
    found: list[Segment] = []
    for part in parts:
        if found and found[-1].transactional and part.transactional:
            found[-1] = Segment((*found[-1].statements, *part.statements))
        else:
            found.append(part)
    return found


def _alone(part: Segment) -> bool:
    """Whether the statements are sent one by one, as the driver would: outside of transactions, or
    where a text begins or ends transactions itself (op.execute("COMMIT"))."""
    harmless = (Control.NONE, Control.SAVEPOINT, Control.RELEASE)
    return not part.transactional or any(
        control(text, "postgresql") not in harmless for text in part.statements
    )


def _guard(place: Place, expected: tuple[str, ...]) -> str:
    """Fails, with a division by zero, unless the version table holds exactly these rows."""
    names = ", ".join(literal(revision) for revision in expected)
    right = f"count(*) = {len(expected)}"
    right += f" AND bool_and(version_num IN ({names}))" if expected else ""
    return f"SELECT 1 / (SELECT ({right})::int FROM {place.versions})"


def _counted(change: str) -> str:
    """A change of one version row that fails, with a division by zero, when there is no such row:
    somebody else has changed it since the guard."""
    if change.startswith("INSERT"):
        return change  # The primary key tells.
    return f"WITH changed AS ({change} RETURNING 1) SELECT 1 / count(*) FROM changed"


def _transaction(
    session: PostgreSQLSession, statements: Sequence[str], leaving: Sequence[str] = ()
) -> None:
    """leaving: sent behind the COMMIT, in the same round trip."""
    session.batch(["BEGIN", *statements, "COMMIT", *leaving])


def _culprit(session: PostgreSQLSession, statements: Sequence[str]) -> str:
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


def _one_by_one(session: PostgreSQLSession, part: Segment) -> None:
    """Raises SendError, with the number of statements that stay done."""
    controls = part.transactional
    done = 0
    try:
        for text in ["BEGIN"] * controls + list(part.statements) + ["COMMIT"] * controls:
            session.single(text)
            done += 1
    except SendError as error:
        # Where the texts control transactions themselves, nobody can tell.
        raise SendError(error.error, error.statement, 0 if controls else done) from error
