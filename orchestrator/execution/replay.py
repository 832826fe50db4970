"""Compiled steps on one target: exactly the recorded texts, by plain driver calls.

Enters: a Session that stands in the target, and a step with its recorded segments.
Leaves: the step done with its version rows, or ReplayFailed, or Moved.  On PostgreSQL a
transactional revision is one round trip, with its guard and version rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from orchestrator.fleet.engines import driver_message
from orchestrator.fleet.sessions import MySQLSession, PostgreSQLSession, SendError, Session
from orchestrator.planning.statements import (
    Place,
    create_version_table,
    literal,
    transactions,
    version_statements,
)
from orchestrator.revisions.types import Segment, Step

# PostgreSQL 18 manual, appendix A: what the guard raises when the rows are not the expected ones.
_DIVISION_BY_ZERO = "22012"
# MySQL 8.4 error reference.
_NO_SUCH_TABLE = 1146

_TRANSACTION_WORDS = re.compile(
    r"(?:^|;)\s*(?:begin|commit|end|rollback|abort|start\s+transaction)\b(?!\s+(?:atomic|to))",
    re.IGNORECASE,
)


CompiledStep = tuple[Step, Sequence[Segment]]
"""A step with its recorded segments."""


class ReplayFailed(Exception):
    """The server refused. statement: the one it refused, "" when it is not known. lost: the
    connection is gone. kept: statements of this step that stay done (no transactional DDL)."""

    def __init__(self, message: str, statement: str = "", *, lost: bool, kept: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.statement = statement
        self.lost = lost
        self.kept = kept


class Moved(Exception):
    """The version table does not hold what the plan expects: somebody else was here."""

    def __init__(self, rows: tuple[str, ...]) -> None:
        super().__init__(", ".join(rows) or "base")
        self.rows = rows


def current_rows(session: Session, place: Place) -> tuple[str, ...]:
    """The version table's rows, () when there is no table. Raises ReplayFailed."""
    try:
        if isinstance(session, PostgreSQLSession):
            there = session.rows(f"SELECT to_regclass({literal(place.versions)}) IS NOT NULL")
            if not there[0][0]:
                return ()
        return tuple(sorted(row[0] for row in session.rows(_rows_query(place))))
    except SendError as error:
        if error.error.args and error.error.args[0] == _NO_SUCH_TABLE:
            return ()
        raise _failed(session, error) from error


def _rows_query(place: Place) -> str:
    return f"SELECT version_num FROM {place.versions}"


def enter(session: Session, place: Place) -> None:
    """Start afresh in a target. Raises ReplayFailed."""
    try:
        session.enter(place.schema, place.search_path, place.database)
    except SendError as error:
        raise _failed(session, error) from error


def purge_rows(session: Session, place: Place) -> None:
    """Empty the version table, making it where it is missing. Raises ReplayFailed."""
    try:
        session.batch([create_version_table(place), f"DELETE FROM {place.versions}"])
    except SendError as error:
        raise _failed(session, error, error.statement) from error


def replay(
    session: Session, place: Place, steps: Sequence[CompiledStep], expected: tuple[str, ...]
) -> None:
    """Run steps where the version table holds `expected`: each revision in its own transaction,
    or, with several, all in one where the server's DDL is transactional.

    Raises Moved when it holds something else (nothing was run then), and ReplayFailed.
    """
    # A table that is there stays as it is; one that is not is made with the first step.
    create = [] if expected else [create_version_table(place)]
    rows = [list(version_statements(place, step.changes)) for step, _segments in steps]
    if isinstance(session, PostgreSQLSession):
        parts = [
            part
            for (_step, segments), changes in zip(steps, rows, strict=True)
            for part in transactions(segments, changes)
        ]
        _postgresql(session, place, _joined(parts) if len(steps) > 1 else parts, create, expected)
        return
    assert isinstance(session, MySQLSession)
    for (_step, segments), changes in zip(steps, rows, strict=True):
        _mysql(session, place, segments, changes, create, expected)


def _joined(parts: Sequence[Segment]) -> list[Segment]:
    """Transactions that follow one another, as one."""
    found: list[Segment] = []
    for part in parts:
        if found and found[-1].transactional and part.transactional:
            found[-1] = Segment((*found[-1].statements, *part.statements))
        else:
            found.append(part)
    return found


def _postgresql(
    session: PostgreSQLSession,
    place: Place,
    parts: Sequence[Segment],
    create: Sequence[str],
    expected: tuple[str, ...],
) -> None:
    first = [*create, _guard(place, expected)]
    if not parts or not parts[0].transactional or _controls(parts[0]):
        _transaction(session, place, first, expected)
        first = []
    for part in parts:
        if part.transactional and not _controls(part):
            _transaction(session, place, [*first, *part.statements], expected)
        else:
            _one_by_one(session, part)
        first = []


def _controls(part: Segment) -> bool:
    """Whether a text begins or ends transactions itself (op.execute("COMMIT")): then it is sent as
    the driver would, statement by statement."""
    return any(_TRANSACTION_WORDS.search(text) for text in part.statements)


def _guard(place: Place, expected: tuple[str, ...]) -> str:
    """Fails, with a division by zero, unless the version table holds exactly these rows."""
    names = ", ".join(literal(revision) for revision in expected)
    right = f"count(*) = {len(expected)}"
    right += f" AND bool_and(version_num IN ({names}))" if expected else ""
    return f"SELECT 1 / (SELECT ({right})::int FROM {place.versions})"


def _transaction(
    session: PostgreSQLSession, place: Place, statements: Sequence[str], expected: tuple[str, ...]
) -> None:
    try:
        session.batch(["BEGIN", *statements, "COMMIT"])
    except SendError as error:
        if session.lost:
            raise _failed(session, error) from error
        session.rollback()
        session.enter(place.schema, place.search_path, place.database)
        if getattr(error.error, "pgcode", None) == _DIVISION_BY_ZERO:
            found = current_rows(session, place)
            if found != expected:
                raise Moved(found) from error
        raise _failed(session, error, _culprit(session, statements)) from error


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
    controls = part.transactional
    try:
        for text in ["BEGIN"] * controls + list(part.statements) + ["COMMIT"] * controls:
            session.single(text)
    except SendError as error:
        if not session.lost:
            session.rollback()
        raise _failed(session, error, error.statement) from error


def _mysql_guard(place: Place, expected: tuple[str, ...]) -> str:
    """Fails, with a subquery of two rows, unless the version table holds exactly these rows: a
    division by zero is no error in a SELECT there (MySQL 8.4 manual, 14.6.1 "Arithmetic
    Operators"), and DO hides errors."""
    names = ", ".join(literal(revision) for revision in expected)
    held = f"count(*) = {len(expected)}"
    held += f" AND sum(version_num IN ({names})) = {len(expected)}" if expected else ""
    return (
        "SELECT (SELECT 1 UNION ALL SELECT 2 FROM DUAL"
        f" WHERE (SELECT NOT ({held}) FROM {place.versions}))"
    )


def _mysql(
    session: MySQLSession,
    place: Place,
    segments: Sequence[Segment],
    rows: Sequence[str],
    create: Sequence[str],
    expected: tuple[str, ...],
) -> None:
    texts = [text for segment in segments for text in segment.statements]
    guard = _mysql_guard(place, expected)
    statements = [*create, guard, "START TRANSACTION", *texts, *rows, "COMMIT"]
    try:
        counts = session.batch(statements)
    except SendError as error:
        if not session.lost:
            with suppress(SendError):
                session.batch(["ROLLBACK"])
            found = current_rows(session, place) if error.statement == guard else expected
            if found != expected:
                raise Moved(found) from error
        kept = max(error.done - len(create) - 2, 0)
        raise _failed(session, error, error.statement, kept=min(kept, len(texts))) from error
    changed = counts[len(statements) - 1 - len(rows) : -1]
    if any(count != 1 for count in changed):
        raise ReplayFailed(
            "its version table was changed by somebody else while the step ran", lost=False
        )


def _failed(session: Session, error: SendError, statement: str = "", kept: int = 0) -> ReplayFailed:
    return ReplayFailed(driver_message(error.error), statement, lost=session.lost, kept=kept)
