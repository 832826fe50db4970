"""The stand-in for a PyMySQL connection: the driver writes the text, nothing is sent.

Enters: a Tape.  Leaves: `connect`, which gives a PyMySQL connection that was never opened; its
cursors are PyMySQL's own, so that batching and escaping are too.
"""

from __future__ import annotations

from typing import Any, NoReturn

from pymysql.connections import Connection

from orchestrator.revisions.recording.answers import Answers
from orchestrator.revisions.recording.tape import Tape
from orchestrator.revisions.recording.unread import UnreadRows

_VAR_STRING = 253  # pymysql.constants.FIELD_TYPE.VAR_STRING
_AUTOCOMMIT = 2  # pymysql.constants.SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT


class _Result:
    """What PyMySQL's cursors read from a connection after a query."""

    def __init__(self, answers: Answers) -> None:
        self.description, given = answers.take()
        self.rows: Any = UnreadRows(answers.told) if given is None else given
        self.affected_rows = answers.count()
        self.insert_id = answers.key()
        self.warning_count = 0
        self.has_next = False
        self.unbuffered_active = False
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        self._answers.told("it reads rows")


class RecordingConnection(Connection):
    """A PyMySQL connection that sends nothing. `server_status` says what PyMySQL reads from each
    answer: backslashes escape (the servers' default), and whether autocommit is on."""

    def __init__(self, tape: Tape, version: str) -> None:
        super().__init__(defer_connect=True, charset="utf8mb4", ssl_disabled=True)
        self.answers = Answers(tape, _VAR_STRING)
        self.server_status = 0
        self.server_version = version
        self.protocol_version = 10
        self.host_info = "recorder"

    def query(self, sql: Any, unbuffered: bool = False) -> Any:
        """Record one statement: the whole road of PyMySQL's cursors to the server."""
        text = sql if isinstance(sql, str) else bytes(sql).decode("utf-8", "surrogateescape")
        self._result: Any = _Result(self.answers)
        self.answers.tape.statement(text, autocommit=self.get_autocommit())
        self._affected_rows: Any = self._result.affected_rows
        return self._affected_rows

    def autocommit(self, value: Any) -> None:
        """Switch the mode, as the server's answer to SET AUTOCOMMIT would."""
        self.autocommit_mode = bool(value)
        if self.autocommit_mode and not self.get_autocommit():
            # MySQL Reference Manual, "autocommit": turning it on commits an open transaction.
            self.answers.tape.committed()
        self.server_status = _AUTOCOMMIT if self.autocommit_mode else 0

    def commit(self) -> None:
        """Note the end of a transaction."""
        self.answers.tape.committed()

    def rollback(self) -> None:
        """Note a rollback."""
        self.answers.tape.rolled_back()

    def begin(self) -> None:
        """BEGIN, which PyMySQL sends as a text."""
        self.query("BEGIN")

    def ping(self, reconnect: Any = False) -> None:
        """The connection is always there."""

    @property
    def open(self) -> bool:
        """Whether the connection is open."""
        return True

    def close(self) -> None:
        """Nothing was opened."""

    def insert_id(self) -> Any:
        """An unread key."""
        return self.answers.key()

    def _told(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        self.answers.told("it reads what the server says")

    show_warnings = next_result = thread_id = _told

    def _refused(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        self.answers.tape.live("not-a-statement")

    select_db = set_charset = set_character_set = kill = _refused


def connect(tape: Tape, version: str) -> RecordingConnection:
    """A connection that records on this tape and claims this server version."""
    return RecordingConnection(tape, version)
