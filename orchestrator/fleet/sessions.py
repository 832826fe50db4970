"""Driver sessions that are kept and used for one target after the other.

Enters: a server's URL.  Leaves: a Session that sends texts exactly as they are, several statements
in one round trip, and starts afresh for each target.  No SQLAlchemy between it and the driver.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy.engine import URL

from orchestrator.errors import DatabaseError, Problem
from orchestrator.fleet.engines import connect_arguments, greeted
from orchestrator.fleet.mysql_driver import connection_class
from orchestrator.fleet.rounds import rounds
from orchestrator.fleet.running import Running

REPLAYING_DRIVERS = {
    "psycopg2": "psycopg2",
    "psycopg": "psycopg2",
    "pymysql": "pymysql",
    "mysqldb": "pymysql",
}
"""The drivers of URLs that a session can serve, with the one that serves it: those whose literals
the recorder writes, and which send a text as it is. The others take the same arguments (libpq's;
SQLAlchemy reads both MySQL drivers' URLs with the same code)."""

RESET_LOCKED = (
    "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; "
    "DISCARD PLANS; DISCARD SEQUENCES; DISCARD TEMP"
)
"""What DISCARD ALL does (PostgreSQL 18 manual, "DISCARD"), which may not stand in a batch itself;
but the session's locks stay."""

_RESET_POSTGRESQL = f"{RESET_LOCKED}; SELECT pg_advisory_unlock_all()"
# MySQL client/server protocol, COM_RESET_CONNECTION (MySQL 5.7.3, MariaDB 10.2.4).
_COM_RESET_CONNECTION = 0x1F


class SendError(Exception):
    """A statement was refused, or the connection was lost.

    error: the driver's exception. statement: the text that failed, "" when it is not known.
    done: how many statements of the batch had run.
    """

    def __init__(self, error: Exception, statement: str = "", done: int = 0) -> None:
        super().__init__(str(error))
        self.error = error
        self.statement = statement
        self.done = done


class Session(ABC):
    """One connection. It belongs to one thread at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._used = False
        self.journal_seen = False
        """Whether the journal of the target that it stands in was found empty since `enter`."""
        self.standing = False
        """Whether it stands in a target, with that target's lock: from `enter` to `leave`, or to a
        batch that gave the lock back."""
        self.limit = 0.0
        """How long a statement may run, in seconds; 0: nobody minds."""

    @abstractmethod
    def enter(
        self,
        schema: str | None,
        search_path: Sequence[str],
        database: str | None,
        also: Sequence[str] = (),
    ) -> None:
        """Start afresh in a schema (PostgreSQL) or a database (MySQL). also: statements that come
        with it, such as the session's settings and the target's lock."""

    @abstractmethod
    def leave(self, give_back: str) -> None:
        """Send the statement that gives the lock back, where the session still has it. Raises
        SendError."""

    @abstractmethod
    def batch(self, statements: Sequence[str]) -> list[int]:
        """Send statements in as few round trips as there can be; gives their row counts where the
        driver tells. Raises SendError."""

    @abstractmethod
    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises SendError."""

    @abstractmethod
    def cancel(self) -> None:
        """Cancel the running statement; called from another thread."""

    @property
    @abstractmethod
    def lost(self) -> bool:
        """Whether the connection is gone."""

    def close(self) -> None:
        """End the session, in whatever state it is."""
        with suppress(Exception):
            self._connection.close()


class PostgreSQLSession(Session):
    """psycopg2 outside transactions of its own: the texts bring BEGIN and COMMIT."""

    _entering = ""

    def enter(
        self,
        schema: str | None,
        search_path: Sequence[str],
        database: str | None,
        also: Sequence[str] = (),
    ) -> None:
        """Nothing is sent yet: it goes before the first batch, in the same round trip."""
        parts = [_RESET_POSTGRESQL] if self._used else []
        parts += [*standing_in(schema, search_path), *also]
        self._entering = "; ".join(parts) + (";\n" if parts else "")
        self._used = self.standing = True
        self.journal_seen = False

    def leave(self, give_back: str) -> None:
        sent = self.standing and not self._entering
        self._entering, self.standing = "", False
        if sent:
            self.rollback()
            self.single(give_back)

    def batch(self, statements: Sequence[str]) -> list[int]:
        text = self._entering + "\n;\n".join(statements)
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(text)
        except self._error as error:
            # An aborted batch took the SET of its beginning back with it.
            raise SendError(error) from error
        self._entering = ""
        return []

    def single(self, statement: str) -> None:
        """Send one statement in a round trip of its own, as statements outside transactions need.
        Raises SendError."""
        if self._entering:
            self.batch(["SELECT 1"])
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement)
        except self._error as error:
            raise SendError(error, statement) from error

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(self._entering + query)
                found: list[tuple[Any, ...]] = cursor.fetchall()
        except self._error as error:
            raise SendError(error, query) from error
        self._entering = ""
        return found

    def plain_rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query that is sent without what `enter` has prepared. Raises SendError."""
        prepared, self._entering = self._entering, ""
        try:
            return self.rows(query)
        finally:
            self._entering = prepared

    @property
    def announced_process(self) -> int:
        """The server process as libpq heard of it when it connected; 0 when it did not."""
        return int(self._connection.info.backend_pid)

    def cancel(self) -> None:
        self._connection.cancel()

    def rollback(self) -> None:
        """End a transaction that failed, where the connection still lives."""
        with suppress(self._error), self._connection.cursor() as cursor:
            cursor.execute("ROLLBACK")

    @property
    def lost(self) -> bool:
        return bool(self._connection.closed)

    @property
    def _error(self) -> type[Exception]:
        import psycopg2  # the driver of this session only

        return psycopg2.Error


def standing_in(schema: str | None, search_path: Sequence[str]) -> list[str]:
    """The statement, if any, that puts a PostgreSQL session into a schema."""
    path = [schema, *search_path] if schema else list(search_path)
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in path if name)
    return [f"SET search_path = {quoted}"] if quoted else []


class MySQLSession(Session):
    """PyMySQL with several statements in a text."""

    def __init__(self, connection: Any, again: Callable[[], Any]) -> None:
        """again: opens a second connection like this one, for `cancel`."""
        super().__init__(connection)
        self.journal_missed = False
        """Whether a target before this one had no journal, so that this one may have none."""
        self.running = Running(connection, again, lambda: self.limit)
        self._fetched: list[list[tuple[Any, ...]]] | None = None

    def enter(
        self,
        schema: str | None,
        search_path: Sequence[str],
        database: str | None,
        also: Sequence[str] = (),
    ) -> None:
        del schema, search_path  # PostgreSQL's.
        texts = ["USE `" + database.replace("`", "``") + "`"] if database else []
        try:
            if self._used:
                self._connection._execute_command(_COM_RESET_CONNECTION, b"")
                self._connection._read_ok_packet()
                texts = [*self._beginning(), *texts]
            self._used = True
        except self._error as error:
            raise SendError(error) from error
        texts += also
        if texts:
            self._sent(texts, 0, texts)
        self.standing, self.journal_seen = True, False

    def leave(self, give_back: str) -> None:
        if self.standing:
            self.standing = False
            self._sent(["ROLLBACK", give_back], 0, ["ROLLBACK", give_back])

    def _beginning(self) -> list[str]:
        """What PyMySQL does after it has connected, and a reset undoes (pymysql/connections.py,
        `connect`): the URL may give the charset, sql_mode and init_command."""
        connection = self._connection
        names = f"SET NAMES {connection.charset}"
        names += f" COLLATE {connection.collation}" if connection.collation else ""
        names += ", autocommit = 1"
        if connection.sql_mode is not None:
            names += f", sql_mode = {connection.escape(connection.sql_mode)}"
        return [names] if connection.init_command is None else [names, connection.init_command]

    def batch(self, statements: Sequence[str]) -> list[int]:
        counts: list[int] = []
        for texts in rounds(statements):
            counts += self._sent(texts, len(counts), statements)
        return counts

    def _sent(self, texts: Sequence[str], before: int, statements: Sequence[str]) -> list[int]:
        """Send some of these statements. before: how many went before them."""
        done: list[int] = []
        try:
            self._send(texts, done)
            return done if len(texts) > 1 else done[:1]
        except self._error as error:
            # A CALL has as many results as its procedure likes; it is sent alone.
            place = before + min(len(done), len(texts) - 1)
            self.running.tell(error)
            raise SendError(error, statements[place], place) from error
        finally:
            self.running.ends()

    def _send(self, statements: Sequence[str], counts: list[int]) -> None:
        text = "\n;\n".join(statements)
        connection = self._connection
        connection.rows_wanted = self._fetched is not None
        try:
            self.running.begins()
            # PyMySQL's own encoding would refuse bytes that are no text (see Segment).
            counts.append(connection.query(text.encode(connection.encoding, "surrogateescape")))
            self._keep()
            # The server sends each result as soon as there is one, and goes on.
            self.running.begins()
            while connection._result.has_next:
                counts.append(connection.next_result())
                self._keep()
                self.running.begins()
        finally:
            connection.rows_wanted = True

    def _keep(self) -> None:
        if self._fetched is not None:
            self._fetched.append(list(self._connection._result.rows or ()))

    def fetch(
        self, statements: Sequence[str], queries: Sequence[str]
    ) -> list[list[tuple[Any, ...]]]:
        """Send statements as `batch` does, with queries behind them; gives the rows of each query.
        Raises SendError."""
        self._fetched = []
        try:
            self.batch([*statements, *queries])
            return self._fetched[len(self._fetched) - len(queries) :]
        finally:
            self._fetched = None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            try:
                self.running.begins()
                cursor.execute(query)
                return list(cursor.fetchall())
            except self._error as error:
                self.running.tell(error)
                raise SendError(error, query) from error
            finally:
                self.running.ends()

    def cancel(self) -> None:
        self.running.end()

    @property
    def lost(self) -> bool:
        return not self._connection.open

    @property
    def _error(self) -> type[Exception]:
        import pymysql  # the driver of this session only

        return pymysql.MySQLError


def open_session(url: URL, label: str = "") -> Session:
    """Connect with the driver that REPLAYING_DRIVERS names for the URL's.

    label: as what the session is known to others where the server cannot be told later (MySQL).
    Raises SendError, and DatabaseError for a driver that it does not name.
    """
    served = REPLAYING_DRIVERS.get(url.get_driver_name())
    if served is None:
        raise DatabaseError(
            Problem(
                f"the driver {url.drivername} cannot be used for this",
                todo="Write the URL without a driver, for the one that ships.",
            )
        )
    url = url.set(drivername=f"{url.get_backend_name()}+{served}")
    dialect = url.get_dialect()()
    driver = dialect.import_dbapi()
    arguments, named = dialect.create_connect_args(url)
    named = {**named, **connect_arguments(url)}
    try:
        if url.get_backend_name() == "postgresql":
            named.setdefault("client_encoding", "utf8")
            connection = driver.connect(*arguments, **named)
            connection.autocommit = True
            return PostgreSQLSession(connection)
        from pymysql.constants import CLIENT  # this family's driver only

        flag = int(named.pop("client_flag", 0)) | CLIENT.MULTI_STATEMENTS
        named.setdefault("charset", "utf8mb4")
        named.setdefault("program_name", label or "orchestrator")

        def again() -> Any:
            connection = connection_class()(*arguments, client_flag=flag, autocommit=True, **named)
            greeted(connection, url)
            return connection

        return MySQLSession(again(), again)
    except driver.Error as error:
        raise SendError(error) from error
