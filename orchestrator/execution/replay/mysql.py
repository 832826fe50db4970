"""Compiled steps on MySQL and MariaDB, where the server commits DDL at once.

Enters: a session, a step's segments, and the version rows that are expected.  Leaves: the step
done, or ReplayFailed, Moved or Dirty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from orchestrator.execution.replay.begun import continuing
from orchestrator.execution.replay.continuing_mysql import continued, journalled, tidied
from orchestrator.execution.replay.entering import failed, look_again
from orchestrator.execution.replay.journalled_mysql import Course, inside, journal_of, work_of
from orchestrator.execution.replay.types import CompiledStep, Footing, Waits
from orchestrator.fleet.rounds import Single
from orchestrator.fleet.sessions import MySQLSession, SendError
from orchestrator.planning.statements import (
    Place,
    create_version_table,
    literal,
    version_statements,
)
from orchestrator.safety.journal import clear, create_journal

_NO_SUCH_TABLE = 1146  # MySQL 8.4 error reference


def replay_mysql(
    session: MySQLSession,
    footing: Footing,
    compiled: CompiledStep,
    expected: tuple[str, ...],
    waits: Waits,
    *,
    last: bool,
) -> None:
    """One step, from its first statement, or from where its journal says that it stopped. See
    `replay`."""
    work = work_of(compiled)
    # A step that was taken has left the journal empty, and nobody else has the lock.
    seen, session.journal_seen = session.journal_seen, False
    guard = _mysql_guard(footing.place, expected, nothing_begun=not seen)
    made = [] if seen else _tables(session, footing.place, expected)
    course = Course(session, footing, work, [*made, guard, _BEGIN], begun=False)
    try:
        try:
            _take(course, compiled, last=last)
        except SendError as error:
            if session.lost:
                raise
            if session.journal_missed and made == [error.statement]:
                # Where there is one, its user need not be allowed to make it.
                session.journal_missed = False
                replay_mysql(session, footing, compiled, expected, waits, last=last)
                return
            if error.statement != guard:
                raise
            _behind_the_guard(course, compiled, expected, waits, error, last=last)
    except SendError as error:
        kept = 0
        if not session.lost:
            with suppress(SendError):
                session.batch(["ROLLBACK", "UNLOCK TABLES", _END, *_home(footing.place)])
                kept = tidied(session, footing, work, error.statement)
            look_again(session, footing, expected, kept, error)
        raise failed(session, footing, error, error.statement, kept) from error


def _take(
    course: Course, compiled: CompiledStep, *, last: bool, first: int = 1, instead: str = ""
) -> None:
    """Run the step's statements from one on, and take it. Raises SendError."""
    footing = course.footing
    course.run(first, instead)
    rows = version_statements(footing.place, compiled[0].changes)
    ending = [*_mysql_counted(list(rows))]
    ending += [clear(journal_of(footing.place))] * course.begun
    leaving = [footing.lock.give_back] if last else []
    course.session.batch([*course.pending, *ending, "COMMIT", _END, *leaving])
    course.session.standing, course.session.journal_seen = not last, True


def _behind_the_guard(
    course: Course,
    compiled: CompiledStep,
    expected: tuple[str, ...],
    waits: Waits,
    error: SendError,
    *,
    last: bool,
) -> None:
    """The guard let nothing through: make the journal and begin anew where it is missing, and
    continue the step where it was begun before. Raises Moved, Dirty and SendError."""
    session, footing, work = course.session, course.footing, course.work
    if _is_missing(error, footing.place.journal_table):
        session.journal_missed = True
        session.batch([create_journal("mysql", journal_of(footing.place))])
        guard = _mysql_guard(footing.place, expected, nothing_begun=True)
        fresh = Course(session, footing, work, [guard, _BEGIN], begun=False)
        try:
            _take(fresh, compiled, last=last)
            return
        except SendError as again:
            if again.statement != guard:
                raise
            error = again
    look_again(session, footing, expected, 0, error)
    half = journalled(session, footing)
    if half is None:
        raise error
    first, instead = continued(session, work, half)
    waits.told(continuing(work.revision, first - 1, len(work.texts)))
    left = f"DELETE FROM {journal_of(footing.place)} WHERE number >= {first}"
    guard = _mysql_guard(footing.place, expected, nothing_begun=False)
    again_course = Course(session, footing, work, [guard, _BEGIN, left], begun=True)
    _take(again_course, compiled, last=last, first=first, instead=instead)


def _tables(session: MySQLSession, place: Place, expected: tuple[str, ...]) -> list[str]:
    """Tables that come with the first step; those that are there stay as they are."""
    journal = create_journal("mysql", journal_of(place))
    if not expected:
        return [create_version_table(place), journal]
    return [journal] if session.journal_missed else []


def _home(place: Place) -> list[str]:
    """Back from where a step's USE went."""
    return [f"USE {place.quote(place.database)}"] if place.database else []


def _is_missing(error: SendError, table: str) -> bool:
    number, *message = error.error.args or (None,)
    return number == _NO_SUCH_TABLE and any(f".{table}'" in str(text) for text in message)


def _mysql_guard(place: Place, expected: tuple[str, ...], *, nothing_begun: bool) -> str:
    """Fails, with a subquery of two rows, unless the version table holds exactly these rows, and
    the journal none: a division by zero is no error in a SELECT there (MySQL 8.4 manual, 14.6.1
    "Arithmetic Operators"), and DO hides errors."""
    names = ", ".join(literal(revision) for revision in expected)
    held = f"count(*) = {len(expected)}"
    held += f" AND sum(version_num IN ({names})) = {len(expected)}" if expected else ""
    begun = f" OR EXISTS (SELECT 1 FROM {journal_of(place)})" if nothing_begun else ""
    return Single(
        "SELECT (SELECT 1 UNION ALL SELECT 2 FROM DUAL"
        f" WHERE (SELECT NOT ({held}) FROM {inside(place, place.versions)}){begun})"
    )


# Not START TRANSACTION, which the first DDL statement would end: the data and the version rows
# behind it belong together, as under the driver's own transactions.
_BEGIN = "SET autocommit = 0"
_END = "SET autocommit = 1"


def _mysql_counted(rows: Sequence[str]) -> Iterator[str]:
    """Version rows that fail, with a subquery of two rows, when one of them changes nothing."""
    for change in rows:
        yield change
        if not change.startswith("INSERT"):
            yield "SELECT (SELECT 1 UNION ALL SELECT 2 FROM DUAL WHERE ROW_COUNT() <> 1)"
