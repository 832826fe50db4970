"""SQLAlchemy connections that a worker process keeps, and uses for one target after the other.

Enters: a target.  Leaves: a connection that stands in its schema or database, started afresh; the
connection, the dialect's first questions and the compiled statements are paid for once a server.
Only for a process with one thread: the dialect is told where each target stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine

from orchestrator.fleet.borrowed import is_lost, send
from orchestrator.fleet.engines import connect, connect_arguments, greeted, target_url
from orchestrator.fleet.sessions import SendError
from orchestrator.fleet.types import Target

KEPT_DRIVERS = ("psycopg2", "pymysql")
"""The drivers whose sessions can be started afresh here; others connect for each target."""

# MySQL client/server protocol, COM_RESET_CONNECTION (MySQL 5.7.3, MariaDB 10.2.4).
COM_RESET_CONNECTION = 0x1F


class KeptConnections:
    """One engine with one connection for each server (and database, on PostgreSQL)."""

    def __init__(self) -> None:
        self._engines: dict[URL, Engine] = {}

    @contextmanager
    def connect(self, target: Target, also: Sequence[str] = ()) -> Iterator[Connection]:
        """As `fleet.engines.connect`. also: statements that come first, outside any transaction,
        such as the session's settings and the target's lock. Raises DatabaseError, DBAPIError, and
        SendError with the statement that failed."""
        url = target_url(target)
        if url.get_driver_name() not in KEPT_DRIVERS:
            with connect(target) as connection:
                send(connection, also)
                yield connection
            return
        engine = self._engine(url)
        with engine.connect() as connection:
            try:
                _start_afresh(connection, target)
            except connection.dialect.loaded_dbapi.Error as error:
                connection.invalidate()
                raise SendError(error) from error
            try:
                send(connection, also)
            except SendError:
                if is_lost(connection):
                    connection.invalidate()
                raise
            yield connection

    def close(self) -> None:
        """Close the connections that stand idle."""
        for engine in self._engines.values():
            engine.dispose()

    def _engine(self, url: URL) -> Engine:
        served = url if url.get_backend_name() == "postgresql" else url.set(database="")
        if served not in self._engines:
            self._engines[served] = _engine(served)
        return self._engines[served]


def _engine(url: URL) -> Engine:
    engine = create_engine(
        url, pool_size=1, max_overflow=0, pool_pre_ping=True, connect_args=connect_arguments(url)
    )
    event.listen(engine, "connect", lambda connection, _record: greeted(connection, url))
    return engine


def _start_afresh(connection: Connection, target: Target) -> None:
    """Outside any transaction of SQLAlchemy's: a SET that Alembic found open would be taken for
    somebody else's transaction."""
    driver: Any = connection.connection.dbapi_connection
    dialect = connection.dialect
    if dialect.name == "postgresql":
        path = (
            (target.schema, *target.bind.search_path) if target.schema else target.bind.search_path
        )
        before, driver.autocommit = driver.autocommit, True
        with driver.cursor() as cursor:
            cursor.execute("DISCARD ALL")
            if path:
                quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in path)
                cursor.execute("SELECT set_config('search_path', %s, false)", (quoted,))
            cursor.execute("SELECT current_schema()")
            dialect.default_schema_name = cursor.fetchone()[0]
        driver.autocommit = before
        return
    driver._execute_command(COM_RESET_CONNECTION, b"")
    driver._read_ok_packet()
    driver.set_character_set(driver.charset)
    driver.autocommit(False)
    database = target.database or target_url(target).database
    driver.select_db(database)
    dialect.default_schema_name = database
