"""Connections to targets and servers.

Enters: a Target, or a server's URL.  Leaves: SQLAlchemy connections whose session already stands in
the target's schema or database, and server errors translated into a State or a DatabaseError.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from orchestrator.config import Flavour
from orchestrator.errors import DatabaseError, Problem
from orchestrator.fleet.sqlstate import sqlstate
from orchestrator.fleet.types import State, Target

CONNECT_SECONDS = 10
"""How long a connection attempt may take, unless the URL says otherwise."""

SILENCE, BETWEEN, QUESTIONS = 30, 10, 3
"""How soon each end notices that the other is gone without a word: after so many seconds of silence
it asks, again after so many more, and gives up after so many questions without an answer."""

_KEEPALIVES = {"TCP_KEEPIDLE": SILENCE, "TCP_KEEPINTVL": BETWEEN, "TCP_KEEPCNT": QUESTIONS}
# That a connection cannot be cleaned up any more, because it is lost, is told by whoever used it;
# without any handler Python would print it, with a traceback.
logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())

_LIBPQ = ("psycopg2", "psycopg", "psycopg2cffi")

_UNANSWERED = SILENCE + BETWEEN * QUESTIONS
"""For so many seconds data may be on its way before the connection counts as lost."""

# MySQL 8.4 Reference Manual, "Server Error Message Reference".
_MYSQL_MISSING = {1049}
_MYSQL_DENIED = {1044, 1045, 1142, 1143, 1227, 1698, 3118}


def target_url(target: Target) -> URL:
    """The URL that a target's migrations connect with. The caller has called Config.require."""
    url = target.server.migration_url
    if url is None:
        raise DatabaseError(Problem("its server has no URL", where=f"target {target.id}"))
    return url if target.database is None else url.set(database=target.database)


def make_engine(url: URL, search_path: Sequence[str] = ()) -> Engine:
    """An engine that keeps no connection: each target gets one of its own.

    search_path: schemas that every connection's session starts with (PostgreSQL).  They are set and
    committed before SQLAlchemy sees the connection: a SET inside the transaction that Alembic finds
    open would make it leave the commit to somebody else.
    """
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=connect_arguments(url))
    except (NoSuchModuleError, ImportError) as error:
        raise DatabaseError(
            Problem(
                f"the driver {url.drivername} is not installed: {error}",
                todo="Install it, or write the URL without a driver for the one that ships.",
            )
        ) from error
    event.listen(engine, "connect", lambda connection, _record: greeted(connection, url))
    if search_path:
        # set_config takes a value, not SQL: no doubling of percent signs here.
        value = ", ".join('"' + name.replace('"', '""') + '"' for name in search_path)

        @event.listens_for(engine, "connect")
        def _set_search_path(connection: Any, _record: Any) -> None:
            before = connection.autocommit
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('search_path', %s, false)", (value,))
            connection.autocommit = before

    return engine


def connect_arguments(url: URL) -> dict[str, Any]:
    """The driver's arguments that every connection gets, where the URL does not say otherwise."""
    given: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS}
    if url.get_backend_name() == "postgresql":
        given["application_name"] = "orchestrator"
    if url.get_driver_name() in _LIBPQ:
        # PostgreSQL 18 manual, 32.1.2 "Parameter Key Words".
        given["keepalives_idle"] = SILENCE
        given["keepalives_interval"] = BETWEEN
        given["keepalives_count"] = QUESTIONS
        given["tcp_user_timeout"] = _UNANSWERED * 1000
    if url.get_driver_name() == "pymysql":
        # Its connect_timeout ends before the greeting, which something else may never send.
        given["read_timeout"] = CONNECT_SECONDS
    given = {name: value for name, value in given.items() if name not in url.query}
    if url.get_driver_name() == "pymysql" and url.password is not None:
        # PyMySQL would send it as Latin-1, where servers and their own clients mean UTF-8.
        given["password"] = str(url.password).encode()
    return given


def greeted(connection: Any, url: URL) -> None:
    """A connection stands: take back what `connect_arguments` gave it for the greeting alone, and
    have the kernel ask whether the server is still there.

    PyMySQL reads the attribute before each read; it has no public way to change it, nor to the
    socket, for which it has asked for keepalives after the system's two hours.
    """
    if url.get_driver_name() != "pymysql":
        return
    if "read_timeout" not in url.query:
        connection._read_timeout = None
    if connection._sock.family in (socket.AF_INET, socket.AF_INET6):
        for name, value in _KEEPALIVES.items():
            option = getattr(socket, name, None)  # Not every system has all.
            if option is not None:
                connection._sock.setsockopt(socket.IPPROTO_TCP, option, value)


@contextmanager
def autocommitted(engine: Engine) -> Iterator[Connection]:
    """A connection on which each statement commits by itself. Raises DBAPIError; a server that goes
    away behind the last statement is no error."""
    driver_error = engine.dialect.loaded_dbapi.Error
    connection = engine.connect()
    try:
        try:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        except driver_error as error:
            # SQLAlchemy asks the driver here without translating what it says.
            raise DBAPIError(None, None, error) from error
        yield connection
    finally:
        with suppress(DBAPIError, driver_error):  # It asks the server once or twice more.
            connection.close()


@contextmanager
def connect(target: Target) -> Iterator[Connection]:
    """A connection of its own for one target, in its schema or database, outside a transaction.

    Raises DatabaseError when the server cannot be reached or refuses, or when the target's schema
    is not there.
    """
    path = (target.schema, *target.bind.search_path) if target.schema else target.bind.search_path
    engine = make_engine(target_url(target), path)
    try:
        try:
            connection = engine.connect()
        except DBAPIError as error:
            raise DatabaseError(_refused(target, failed_state(error))) from error
        try:
            yield connection
        finally:
            connection.close()
    finally:
        engine.dispose()


def _refused(target: Target, state: State) -> Problem:
    words = {
        "missing": "does not exist",
        "denied": "refuses access",
        "unreachable": "is out of reach",
    }
    return Problem(
        f"the database {words.get(state.kind, state.kind)}: {state.detail}",
        where=f"target {target.id}",
        todo=missing_advice(target)
        if state.kind == "missing"
        else "Check its URL in databases.yaml.",
    )


def missing_advice(target: Target) -> str:
    """What to do about a target whose schema or database does not exist."""
    if target.tenant is None:
        return "Create the database on its server, or correct the URL."
    noun = "schema" if target.schema else "database"
    name = target.schema or target.database
    return (
        f"Create the {noun} {name}, or set `create: true` in "
        f"binds.{target.bind.name} to have it created."
    )


def failed_state(error: BaseException) -> State:
    """Read a connection failure, SQLAlchemy's or a driver's, as a state: missing, denied or
    unreachable.

    psycopg2 gives no SQLSTATE for a refused connection, only libpq's text.
    """
    original = error.orig if isinstance(error, DBAPIError) else error
    text = first_line(error) if isinstance(error, DBAPIError) else driver_message(error)
    number = original.args[0] if original is not None and original.args else None
    if isinstance(number, int):
        if number in _MYSQL_MISSING:
            return State("missing", detail=text)
        return State("denied" if number in _MYSQL_DENIED else "unreachable", detail=text)
    code = sqlstate(original)
    if code == "3D000" or re.search(r'database ".*" does not exist', text):
        return State("missing", detail=text)
    if code in ("28P01", "28000", "42501") or re.search(
        r"authentication failed|permission denied|no password supplied|no pg_hba.conf entry"
        r'|role ".*" does not exist|role ".*" is not permitted',
        text,
    ):
        return State("denied", detail=text)
    return State("unreachable", detail=text)


def first_line(error: DBAPIError) -> str:
    """The server's own message, on one line, without SQLAlchemy's wrapping."""
    return str(error).splitlines()[0] if error.orig is None else driver_message(error.orig)


def driver_message(original: BaseException) -> str:
    """The server's own message, on one line, out of a driver's exception."""
    if len(original.args) > 1 and isinstance(original.args[0], int):
        return f"{original.args[1]} ({original.args[0]})"
    diagnosis = getattr(original, "diag", None)
    if diagnosis is not None and diagnosis.message_primary:
        parts = [diagnosis.message_primary]
        parts += [f"detail: {diagnosis.message_detail}"] if diagnosis.message_detail else []
        parts += [f"hint: {diagnosis.message_hint}"] if diagnosis.message_hint else []
        code = sqlstate(original)
        return " ".join("; ".join(parts).split()) + (f" ({code})" if code else "")
    return " ".join(str(original).split())


def flavour_of(connection: Connection) -> Flavour:
    """The flavour and version of the server at the other end."""
    dialect = connection.dialect
    version = tuple(part for part in (dialect.server_version_info or ()) if isinstance(part, int))
    if dialect.name == "postgresql":
        return Flavour("postgresql", version)
    return Flavour("mariadb" if getattr(dialect, "is_mariadb", False) else "mysql", version)
