"""What a stand-in connection gives back for a statement, before anybody has looked at it.

Enters: how many columns SQLAlchemy expects of the statement that it is about to send.
Leaves: `Answers`, from which both stand-ins make the cursor's description, rows and counts.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from orchestrator.revisions.recording.tape import Tape
from orchestrator.revisions.recording.unread import Unread, UnreadName, asked_by_library

Description = tuple[tuple[Any, ...], ...]


class Answers:
    """The unread answers on one connection.

    type_code: the driver's code for the type of every column; SQLAlchemy's numeric types want a
    numeric one on PostgreSQL.
    """

    def __init__(self, tape: Tape, type_code: int) -> None:
        self.tape = tape
        self._type_code = type_code
        self._columns: int | None = 1
        self._given = False

    def told(self, detail: str) -> NoReturn:
        """Somebody looked at an answer."""
        self.tape.live("reads-result", detail)

    def expect(self, columns: int | None, *, given: bool) -> None:
        """Prepare the next statement's answer: None for one without rows.

        given: one row of unread values may be fetched, because SQLAlchemy itself fetches it.
        """
        self._columns, self._given = columns, given

    def take(self) -> tuple[Description | None, list[tuple[Unread, ...]] | None]:
        """The description and the given row (None: whoever fetches is told on) of this statement.

        A text that SQLAlchemy has not compiled may return rows: one column stands for them all.
        """
        columns, given = self._columns, self._given
        self._columns, self._given = 1, False
        if columns is None:
            return None, None
        names = [UnreadName.of(self.told, number) for number in range(columns)]
        description = tuple((name, self._type_code, *[None] * 5) for name in names)
        row = tuple(Unread(self.told, "a key that the server gives") for _ in names)
        return description, [row] if given else None

    def count(self) -> Unread:
        """The number of rows that a statement touched."""
        return Unread(self.told, "a row count")

    def key(self) -> Unread:
        """The key of the row that was inserted last."""
        return Unread(self.told, "the key of the last row")

    def look(self, what: str) -> None:
        """Tell on the caller's caller, unless it belongs to SQLAlchemy and its kin."""
        if not asked_by_library(sys._getframe(2)):
            self.told(f"it reads {what}")
