"""A SQLAlchemy Connection on a stand-in driver connection.

Enters: a Tape, the flavour, and the names of the target that is pretended.
Leaves: `recording_connection`, for as long as one step is recorded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy.engine import URL, Connection, CursorResult, Engine
from sqlalchemy.pool import NullPool

from orchestrator.config import Flavour
from orchestrator.revisions.recording import mysql, postgresql
from orchestrator.revisions.recording.dialects import recording_dialect, server_version
from orchestrator.revisions.recording.tape import Tape
from orchestrator.revisions.recording.unread import TargetName, asked_by_library


@dataclass(frozen=True, slots=True)
class StandIn:
    """What is pretended: the flavour, the dialect's name in URLs, and the target's name.

    socket: the folder of the handshake's socket; None for the MySQL family.
    """

    flavour: Flavour
    dialect: str
    target: str
    socket: Path | None


@contextmanager
def recording_connection(stand_in: StandIn, tape: Tape) -> Iterator[Connection]:
    """A connection whose statements land on the tape."""

    def tenant_asked(detail: str) -> NoReturn:
        tape.live("reads-tenant", detail)

    name = TargetName.of(tenant_asked, stand_in.target)
    dialect = recording_dialect(stand_in.flavour, stand_in.dialect, name)
    url = URL.create(
        f"{dialect.name}+{dialect.driver}",
        username=TargetName.of(tenant_asked, f"{stand_in.target}_user"),
        host=TargetName.of(tenant_asked, f"{stand_in.target}.invalid"),
        database=name,
    )
    # No reset: giving the connection back is no rollback of the revision's.
    pool = NullPool(_once(stand_in, tape), dialect=dialect, reset_on_return=None)
    connection = RecordingConnection(Engine(pool, dialect, url))
    try:
        _initialize(dialect, connection)
        yield connection
    finally:
        connection.close()


def _initialize(dialect: Any, connection: Connection) -> None:
    """What SQLAlchemy does on an engine's first connection (create_engine in engine/create.py)."""
    on_connect = dialect.on_connect() if dialect.name == "postgresql" else None
    if on_connect is not None:
        on_connect(connection.connection.dbapi_connection)
    dialect.initialize(connection)
    connection.rollback()


def _once(stand_in: StandIn, tape: Tape) -> Callable[[], Any]:
    """Make the one driver connection there is; a revision that wants another is live."""
    made = False

    def creator() -> Any:
        nonlocal made
        if made:
            tape.live("opens-connection", "it opens a second connection to its database")
        made = True
        if stand_in.socket is not None:
            return postgresql.connect(tape, stand_in.socket)
        return mysql.connect(tape, server_version(stand_in.flavour))

    return creator


class RecordedResult(CursorResult[Any]):
    """A result whose columns are not known: whoever asks for them reads the server's answer."""

    __slots__ = ()

    def keys(self) -> Any:
        """The names of the columns. SQLAlchemy's own look is let through."""
        _look(self)
        return super().keys()

    @property
    def returns_rows(self) -> bool:
        """Whether there are rows."""
        _look(self)
        return super().returns_rows


def _look(result: CursorResult[Any]) -> None:
    if not asked_by_library(sys._getframe(2)):
        driver: Any = result.connection.connection.dbapi_connection
        driver.answers.told("it reads the columns of a result")


class RecordingConnection(Connection):
    """A Connection that gives results of the class above."""

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """As Connection.execute."""
        return _guarded(super().execute(*args, **kwargs))

    def exec_driver_sql(self, *args: Any, **kwargs: Any) -> Any:
        """As Connection.exec_driver_sql."""
        return _guarded(super().exec_driver_sql(*args, **kwargs))


def _guarded(result: Any) -> Any:
    if type(result) is CursorResult:
        # Not wrapped: SQLAlchemy's ORM works on the very object that its context made.
        result.__class__ = RecordedResult
    return result
