"""Compiled steps on MySQL and MariaDB, where the server commits DDL at once.

Enters: a session, a step's segments, and the version rows that are expected.  Leaves: the step
done, or ReplayFailed or Moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from orchestrator.execution.replay.entering import failed, look_again
from orchestrator.execution.replay.types import CompiledStep, Footing
from orchestrator.fleet.sessions import MySQLSession, SendError
from orchestrator.planning.statements import (
    Place,
    create_version_table,
    literal,
    version_statements,
)

_SYNTAX_ERROR = 1064  # MySQL 8.4 error reference

# MySQL 8.4 manual, 15.3.3 "Statements That Cause an Implicit Commit".
_COMMITS_BY_ITSELF = re.compile(
    r"(?:\s+|/\*(?!!).*?\*/|(?:--\s|\#)[^\n]*(?:\n|\Z))*"
    r"(?:(?:CREATE|DROP)\s+(?!TEMPORARY\b)|(?:ALTER|RENAME|TRUNCATE|GRANT|REVOKE|ANALYZE|OPTIMIZE"
    r"|REPAIR|CHECK|FLUSH|LOCK|UNLOCK|BEGIN|START|COMMIT|INSTALL|UNINSTALL|SET\s+PASSWORD)\b)",
    re.IGNORECASE | re.DOTALL,
)


def replay_mysql(
    session: MySQLSession,
    footing: Footing,
    compiled: CompiledStep,
    expected: tuple[str, ...],
    *,
    last: bool,
) -> None:
    """One step. See `replay`."""
    place = footing.place
    step, segments = compiled
    rows = list(version_statements(place, step.changes))
    texts = [text for segment in segments for text in segment.statements]
    # A table that is there stays as it is; one that is not is made with the first step.
    create = [] if expected else [create_version_table(place)]
    first = [*create, _mysql_guard(place, expected), _BEGIN]
    leaving = [footing.lock.give_back] if last else []
    try:
        session.batch([*first, *texts, *_mysql_counted(rows), "COMMIT", _END, *leaving])
        session.standing = not last
    except SendError as error:
        kept = _committed(texts, error.done - len(first), error)
        if not session.lost:
            with suppress(SendError):
                session.batch(["ROLLBACK", _END])
            look_again(session, footing, expected, kept, error)
        raise failed(session, footing, error, error.statement, kept) from error


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
