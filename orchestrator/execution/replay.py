"""Compiled steps on one target: exactly the recorded texts, by plain driver calls.

Enters: a Session that stands in the target, and a step with its recorded segments.
Leaves: the step done with its version rows, or ReplayFailed, or Moved.  On PostgreSQL a
transactional revision is one round trip, with its guard and version rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
from orchestrator.revisions.recording.transactions import Control, control
from orchestrator.revisions.types import Segment, Step

# MySQL 8.4 error reference.
_NO_SUCH_TABLE = 1146
_SYNTAX_ERROR = 1064

# MySQL 8.4 manual, 15.3.3 "Statements That Cause an Implicit Commit".
_COMMITS_BY_ITSELF = re.compile(
    r"(?:\s+|/\*(?!!).*?\*/|(?:--\s|\#)[^\n]*(?:\n|\Z))*"
    r"(?:(?:CREATE|DROP)\s+(?!TEMPORARY\b)|(?:ALTER|RENAME|TRUNCATE|GRANT|REVOKE|ANALYZE|OPTIMIZE"
    r"|REPAIR|CHECK|FLUSH|LOCK|UNLOCK|BEGIN|START|COMMIT|INSTALL|UNINSTALL|SET\s+PASSWORD)\b)",
    re.IGNORECASE | re.DOTALL,
)


CompiledStep = tuple[Step, Sequence[Segment]]
"""A step with its recorded segments."""


class ReplayFailed(Exception):
    """The server refused. statement: the one it refused, "" when it is not known. lost: the
    connection is gone. kept: statements of these steps that were committed and stay done (no
    transactional DDL, an autocommit block)."""

    def __init__(self, message: str, statement: str = "", *, lost: bool, kept: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.statement = statement
        self.lost = lost
        self.kept = kept


class Moved(Exception):
    """The version table does not hold what the plan expects: somebody else was here, and nothing
    of this step stays done."""

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
            for part in transactions(segments, [_counted(change) for change in changes])
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
    guard = [*create, _guard(place, expected)]
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
                _transaction(session, sent)
            kept += len(part.statements)
    except SendError as error:
        kept += error.done
        if not session.lost:
            session.rollback()
            session.enter(place.schema, place.search_path, place.database)
            _look_again(session, place, expected, kept, error)
            if getattr(error.error, "pgcode", None) not in _PASSING:
                error.statement = error.statement or _culprit(session, sent)
        raise _failed(session, error, error.statement, kept) from error


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


def _transaction(session: PostgreSQLSession, statements: Sequence[str]) -> None:
    session.batch(["BEGIN", *statements, "COMMIT"])


def _look_again(
    session: Session, place: Place, expected: tuple[str, ...], kept: int, error: SendError
) -> None:
    """After a refusal: raise Moved when the reason may be that somebody else took this step."""
    if kept:
        return  # Part of it was done here as well: that must be told.
    found = current_rows(session, place)
    if found != expected:
        raise Moved(found) from error


# PostgreSQL 18 manual, appendix A: query_canceled, lock_not_available, serialization_failure,
# deadlock_detected. What another try would meet says nothing of what this one met, and a statement
# that was cancelled must not start again.
_PASSING = {"57014", "55P03", "40001", "40P01"}


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
    first = [*create, _mysql_guard(place, expected), _BEGIN]
    try:
        session.batch([*first, *texts, *_mysql_counted(rows), "COMMIT", _END])
    except SendError as error:
        kept = _committed(texts, error.done - len(first), error)
        if not session.lost:
            with suppress(SendError):
                session.batch(["ROLLBACK", _END])
            _look_again(session, place, expected, kept, error)
        raise _failed(session, error, error.statement, kept) from error


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


def _committed(texts: Sequence[str], done: int, error: SendError) -> int:
    """How many statements were committed when one failed: all up to the last that commits by
    itself. That one commits what was before it even when it fails, once it could be read."""
    tried = max(min(done, len(texts)), 0)
    number = error.error.args[0] if error.error.args else None
    if tried < done or number != _SYNTAX_ERROR:
        following = texts[tried : tried + 1] if done >= 0 else ()
        if following and _COMMITS_BY_ITSELF.match(following[0]):
            return tried
    last = [place for place, text in enumerate(texts[:tried]) if _COMMITS_BY_ITSELF.match(text)]
    return last[-1] + 1 if last else 0


def _failed(session: Session, error: SendError, statement: str = "", kept: int = 0) -> ReplayFailed:
    return ReplayFailed(driver_message(error.error), statement, lost=session.lost, kept=kept)
