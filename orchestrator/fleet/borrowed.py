"""The driver's connection under a SQLAlchemy connection, for what SQLAlchemy must not see.

Enters: a Connection outside any transaction.  Leaves: a Session on the same driver connection, for
as long as a block lasts.  A statement that SQLAlchemy had sent would have begun a transaction, and
Alembic leaves the commit of one that it finds open to somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.engine import Connection

from orchestrator.fleet.sessions import MySQLSession, PostgreSQLSession, SendError, Session


class BorrowedPostgreSQL(PostgreSQLSession):
    """A connection of any driver, outside a transaction."""

    def __init__(self, connection: Any, error: type[Exception]) -> None:
        super().__init__(connection)
        self._raises = error

    @property
    def lost(self) -> bool:
        return bool(getattr(self._connection, "closed", False))

    @property
    def _error(self) -> type[Exception]:
        return self._raises


class BorrowedMySQL(MySQLSession):
    """PyMySQL's connection as SQLAlchemy has made it: one statement in a round trip."""

    def __init__(self, connection: Any, error: type[Exception]) -> None:
        super().__init__(connection, lambda: None)
        self._raises = error

    def fetch(
        self, statements: Sequence[str], queries: Sequence[str]
    ) -> list[list[tuple[Any, ...]]]:
        found = []
        for done, statement in enumerate([*statements, *queries]):
            try:
                found.append(self.rows(statement))
            except SendError as error:
                raise SendError(error.error, statement, done) from error
        return found[len(statements) :]

    @property
    def lost(self) -> bool:
        return not getattr(self._connection, "open", True)

    @property
    def _error(self) -> type[Exception]:
        return self._raises


@contextmanager
def borrowed(connection: Connection) -> Iterator[Session]:
    """The driver's connection as a Session, with any driver. Only its `rows`, `single` and
    `plain_rows` serve; nothing that is read leaves a transaction open. Raises SendError when it is
    lost."""
    driver: Any = connection.connection.dbapi_connection
    error = connection.dialect.loaded_dbapi.Error
    if connection.dialect.name != "postgresql":
        try:
            yield BorrowedMySQL(driver, error)
        finally:
            with suppress(error):
                driver.rollback()
        return
    try:
        before, driver.autocommit = driver.autocommit, True
    except error as lost:
        raise SendError(lost) from lost
    try:
        yield BorrowedPostgreSQL(driver, error)
    finally:
        with suppress(error):
            driver.autocommit = before


def is_lost(connection: Connection) -> bool:
    """Whether the driver's connection is gone, whether or not SQLAlchemy has heard of it."""
    if connection.invalidated:
        return True
    driver: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "postgresql":
        return bool(getattr(driver, "closed", False))
    return not getattr(driver, "open", True)


def send(connection: Connection, statements: Sequence[str]) -> None:
    """Run statements outside any transaction. Raises SendError with the one that failed."""
    driver: Any = connection.connection.dbapi_connection
    error = connection.dialect.loaded_dbapi.Error
    with borrowed(connection):
        for done, statement in enumerate(statements):
            try:
                with driver.cursor() as cursor:
                    cursor.execute(statement)
                    if cursor.description:
                        cursor.fetchall()
            except error as refused:
                raise SendError(refused, statement, done) from refused
