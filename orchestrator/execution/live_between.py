"""Compiled steps that a worker takes on its way from one live step to the next.

Enters: a PostgreSQL connection that stands in the target with its lock, in the transaction that
Alembic has begun for a step.  Leaves: the session as fresh as for a first step, the target where it
is expected, the recorded statements sent; or why the server refused them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from orchestrator.errors import DatabaseError
from orchestrator.execution.live_types import LiveRevision, moved_problem
from orchestrator.execution.replay.entering import current_rows
from orchestrator.execution.replay.postgresql import CANCELLED, culprit_in, guard_of
from orchestrator.execution.replay.types import Footing
from orchestrator.execution.types import Failure
from orchestrator.fleet.borrowed import BorrowedPostgreSQL, borrowed
from orchestrator.fleet.engines import driver_message
from orchestrator.fleet.sessions import RESET_LOCKED, PostgreSQLSession, SendError, standing_in
from orchestrator.fleet.sqlstate import sqlstate
from orchestrator.fleet.types import Target
from orchestrator.safety.passing import limit_words, passing


class Between:
    """What comes behind the first step that a worker takes on one target."""

    def __init__(self, target: Target, footing: Footing) -> None:
        self._target = target
        self._footing = footing

    def begin(self, connection: Connection, expected: tuple[str, ...]) -> None:
        """Before a live step. Raises SendError when the version table holds something else."""
        self._session(connection).batch(self._first(expected))

    def send(
        self, connection: Connection, expected: tuple[str, ...], revision: LiveRevision
    ) -> None:
        """Send a compiled step's statements, in one round trip. Raises SendError."""
        self._session(connection).batch([*self._first(expected), *revision.statements])

    def _first(self, expected: tuple[str, ...]) -> list[str]:
        """What the step before has changed of the session is nothing that this one may find, as if
        another session took it; the target's lock alone stays."""
        place = self._footing.place
        standing = standing_in(place.schema, place.search_path)
        return [RESET_LOCKED, *standing, *self._footing.settings, guard_of(place, expected)]

    def refused(
        self,
        connection: Connection,
        expected: tuple[str, ...],
        revision: LiveRevision,
        error: SendError,
        file: str,
    ) -> Failure:
        """Why the server refused a step, whose transaction was rolled back. Raises DatabaseError
        when that is because somebody else has moved the target, ReplayFailed and Locked."""
        statement = ""
        with borrowed(connection) as session:
            assert isinstance(session, PostgreSQLSession)
            found = current_rows(session, self._footing)
            if found != expected:
                raise DatabaseError(moved_problem(self._target, found, expected)) from error
            # As for the steps that threads take: see replay.postgresql.
            again = sqlstate(error.error) != CANCELLED
            if again and passing(error.error) is None:
                statement = culprit_in(session, [*self._first(expected), *revision.statements])
        words = limit_words(error.error, self._target.bind.statement_timeout)
        return Failure(
            words + driver_message(error.error),
            revision.revision,
            _where(revision, statement, file),
            statement.strip(),
        )

    @staticmethod
    def _session(connection: Connection) -> PostgreSQLSession:
        driver: Any = connection.connection.dbapi_connection
        return BorrowedPostgreSQL(driver, connection.dialect.loaded_dbapi.Error)


def reads_as_recorded(connection: Connection) -> bool:
    """Whether recorded texts mean the same on this connection as on a session's."""
    driver: Any = connection.connection.dbapi_connection
    return bool(driver.encoding == "UTF8")


def _where(revision: LiveRevision, statement: str, file: str) -> str:
    """file:line of a statement; the file when that is not known."""
    wanted = statement.rstrip().rstrip(";")
    for text, line in zip(revision.statements, revision.lines, strict=False):
        if wanted and line and text.rstrip().rstrip(";") == wanted:
            return f"{file}:{line}"
    return file
