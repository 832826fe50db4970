"""The stand-in for a psycopg2 connection: the driver writes the literals, nothing is sent.

Enters: a Tape and the folder of the handshake's socket.  Leaves: `connect`, which gives a real
psycopg2 connection whose cursors record the text that they would have sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import psycopg2
from psycopg2 import extensions

from orchestrator.revisions.recording.answers import Answers, Description
from orchestrator.revisions.recording.handshake import PORT
from orchestrator.revisions.recording.tape import Tape
from orchestrator.revisions.recording.unread import Unread

_NUMERIC = 1700  # pg_type.oid of numeric
_open = psycopg2.connect  # The guards replace psycopg2.connect; this one is our own.


class RecordingCursor(extensions.cursor):
    """A cursor that keeps the text of each statement, as psycopg2 would send it."""

    connection: RecordingConnection
    _description: Description | None = None
    _given: list[tuple[Unread, ...]] | None = None

    def execute(self, query: Any, vars: Any = None) -> None:
        """Record one statement (psycopg2's own text: mogrify is what its execute calls too)."""
        text = self.mogrify(query, vars)
        self._description, self._given = self.connection.answers.take()
        self.connection.answers.tape.statement(
            text.decode("utf-8", "surrogateescape"), autocommit=self.connection.autocommit
        )

    def executemany(self, query: Any, vars_list: Iterable[Any]) -> None:
        """Record a statement for each set of parameters, as psycopg2 sends them."""
        for one in vars_list:
            self.execute(query, one)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Hand out the row that SQLAlchemy asks for by itself; any other reading is told."""
        if self._given is None:
            self._asked()
        given, self._given = self._given, None
        return list(given)

    def _asked(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        self.connection.answers.told("it reads rows")

    fetchone = fetchmany = __iter__ = __next__ = scroll = nextset = _asked

    def _refused(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        self.connection.answers.tape.live("not-a-statement")

    copy_expert = copy_from = copy_to = callproc = _refused

    @property
    def description(self) -> Any:
        """The description for SQLAlchemy; a project's look at it is told."""
        self.connection.answers.look("the columns of a result")
        return self._description

    @property
    def rowcount(self) -> Any:
        """An unread count."""
        return self.connection.answers.count()

    @property
    def lastrowid(self) -> Any:
        """An unread key."""
        return self.connection.answers.key()

    @property
    def statusmessage(self) -> Any:
        """The server's command tag: an answer."""
        self.connection.answers.told("it reads the status of a statement")


class RecordingConnection(extensions.connection):
    """A psycopg2 connection that never sends anything after its greeting."""

    answers: Answers

    def cursor(  # type: ignore[override]  # one signature for all overloads of the stubs
        self, name: Any = None, cursor_factory: Any = None, **_options: Any
    ) -> Any:
        """A recording cursor. A cursor on the server, or of another class, is there to read."""
        if name is not None or cursor_factory is not None:
            self.answers.told("it opens a cursor to read rows")
        return super().cursor(cursor_factory=RecordingCursor)

    def commit(self) -> None:
        """Note the end of a transaction."""
        self.answers.tape.committed()

    def rollback(self) -> None:
        """Note a rollback."""
        self.answers.tape.rolled_back()

    def lobject(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Large objects are read and written outside of SQL."""
        self.answers.tape.live("not-a-statement")


def connect(tape: Tape, folder: Path) -> RecordingConnection:
    """A connection to the stand-in server in this folder, recording on this tape."""
    connection = _open(
        host=str(folder),
        port=PORT,
        user="orchestrator",
        dbname="orchestrator",
        sslmode="disable",
        gssencmode="disable",
        connection_factory=RecordingConnection,
    )
    connection.answers = Answers(tape, _NUMERIC)
    return connection
