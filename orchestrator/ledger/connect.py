"""The engine that reaches the ledger: every wait in it has an end.

Enters: the URL of `ledger:` in databases.yaml.  Leaves: a SQLAlchemy engine, and words for what its
connections refuse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from orchestrator.config.urls import FAMILIES
from orchestrator.errors import LedgerError, Problem
from orchestrator.fleet.engines import connect_arguments, first_line

WAIT_SECONDS = 15
"""How long one statement on the ledger, or a lock in it, may take."""

READS = {"ledger_reads": True}
"""Execution options of connections that write nothing."""


def ledger_file(text: str) -> Path | None:
    """The file of a SQLite ledger; None for other databases, and for one in memory."""
    url = make_url(text)
    if url.get_backend_name() != "sqlite" or not url.database or ":memory:" in url.database:
        return None
    # sqlite3_open, "URI filenames": file:path?parameters
    name = url.database.removeprefix("file:").partition("?")[0]
    return None if url.query.get("mode") == "memory" else Path(name)


def place_of(text: str) -> str:
    """Where the ledger is, for messages: a file, or a URL without its password and options."""
    url = make_url(text)
    return str(ledger_file(text) or url.set(query={}).render_as_string(hide_password=True))


def ledger_engine(text: str) -> Engine:
    """An engine for the ledger's URL. Raises LedgerError for a database that no ledger can be kept
    in, a driver that is not installed, and a folder that cannot be made."""
    url = make_url(text)
    dialect = url.get_backend_name()
    if dialect not in ("sqlite", *FAMILIES):
        raise _no_driver(f"the ledger cannot be kept in {dialect}")
    try:
        return _file_engine(url, ledger_file(text)) if dialect == "sqlite" else _server_engine(url)
    except (NoSuchModuleError, ImportError) as error:
        raise _no_driver(f"the driver {url.drivername} is not installed: {error}") from error
    except OSError as error:
        raise unusable(text, error) from error


def _no_driver(what: str) -> LedgerError:
    todo = "Keep it in SQLite, PostgreSQL, MySQL or MariaDB, with a driver that is installed."
    return LedgerError(Problem(what, key="ledger", todo=todo))


def _file_engine(url: URL, file: Path | None) -> Engine:
    """file: None for a ledger in memory, which is one connection. Raises OSError."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        poolclass=NullPool if file is not None else StaticPool,
        connect_args={"timeout": WAIT_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _open_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _server_engine(url: URL) -> Engine:
    # Its connection is kept from batch to batch, and tried before each: firewalls cut idle ones.
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=1, pool_pre_ping=True, connect_args=_arguments(url)
    )
    if url.get_backend_name() == "postgresql":
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def unusable(text: str, error: Exception) -> LedgerError:
    """The error of a ledger that a command cannot do without."""
    return LedgerError(
        Problem(
            f"the ledger cannot be used: {reason(error)}",
            where=place_of(text),
            key="ledger",
            todo="Make it writable, or set `ledger:` in databases.yaml to another database.",
        )
    )


def reason(error: Exception) -> str:
    """What the server, or the system, said; on one line."""
    if isinstance(error, DBAPIError):
        return first_line(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    text = str(error) or type(error).__name__
    return text.splitlines()[0] if isinstance(error, SQLAlchemyError) else text


def _arguments(url: URL) -> dict[str, Any]:
    given = connect_arguments(url)
    if url.get_driver_name() == "pymysql":
        given |= {
            name: WAIT_SECONDS
            for name in ("read_timeout", "write_timeout")
            if name not in url.query
        }
    if url.get_driver_name() == "psycopg2" and "tcp_user_timeout" not in url.query:
        # Milliseconds; libpq 12, and ignored over a Unix socket (PostgreSQL manual, 32.1.2).
        given["tcp_user_timeout"] = WAIT_SECONDS * 1_000
    return given


def _begin_postgresql(connection: Connection) -> None:
    """For this transaction alone: behind a pooler, the session is somebody else's next."""
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{WAIT_SECONDS}s'")


def _open_sqlite(connection: Any, _record: Any) -> None:
    """A rollback journal, not WAL: project folders stand on network and container mounts, where
    WAL's shared memory does not work (sqlite.org/wal.html); commits are one a second."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a reader that turns writer is refused without any wait
    (sqlite.org/lang_transaction.html)."""
    reads = connection.get_execution_options().get("ledger_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
