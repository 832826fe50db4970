"""Cursors that tell what a live step sends, and what it reads: PyMySQL's and psycopg2's.

Enters: a driver's connection and a Watcher.  Leaves: for as long as a block lasts, every cursor of
the connection asks the Watcher before it sends, and pretends where a statement is to be skipped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from orchestrator.execution.live_statements import is_read
from orchestrator.revisions.recording.unread import Unread, UnreadName, UnreadRows

T = TypeVar("T")


class Watcher(ABC):
    """Hears what passes through the cursors of a connection."""

    @abstractmethod
    def sent(self, text: str, send: Callable[[], T]) -> tuple[bool, T | None]:
        """Somebody wants to send a text. Gives whether it was sent, and what `send` gave."""

    @abstractmethod
    def fetched(self) -> None:
        """Somebody fetches rows that the server gave."""

    @abstractmethod
    def asked(self, what: str) -> NoReturn:
        """Somebody looks at what a statement would have given that was skipped."""


@contextmanager
def watched(driver: Any, name: str, watcher: Watcher) -> Iterator[None]:
    """Watch a driver's connection. name: the driver's (see WATCHED_DRIVERS)."""
    attribute, make = _KINDS[name]
    before = getattr(driver, attribute)
    setattr(driver, attribute, make(before, watcher))
    try:
        yield
    finally:
        setattr(driver, attribute, before)


def _column(watcher: Watcher, code: int) -> tuple[tuple[Any, ...], ...]:
    return ((UnreadName.of(watcher.asked, 0), code, *[None] * 5),)


def _mysql(base: Any, watcher: Watcher) -> Any:
    class WatchedCursor(base):  # type: ignore[misc]
        """All that PyMySQL sends goes through _query (pymysql/cursors.py)."""

        def _query(self, query: Any) -> Any:
            text = query if isinstance(query, str) else _text(bytes(query))
            sent, found = watcher.sent(text, lambda: super(WatchedCursor, self)._query(query))
            if sent:
                return found
            self.lastrowid = Unread(watcher.asked, "the key of the last row")
            self.rowcount = Unread(watcher.asked, "a row count")
            self.rownumber = 0
            self._result = None
            self._rows = UnreadRows(watcher.asked) if is_read(text) else None
            self.description = _column(watcher, 253) if is_read(text) else None
            return self.rowcount

        def fetchone(self) -> Any:
            self._told()
            return super().fetchone()

        def fetchmany(self, size: int | None = None) -> Any:
            self._told()
            return super().fetchmany(size)

        def fetchall(self) -> Any:
            self._told()
            return super().fetchall()

        def _told(self) -> None:
            if self.description is not None:
                watcher.fetched()

    return WatchedCursor


def _postgresql(base: Any, watcher: Watcher) -> Any:
    import psycopg2.extensions  # the driver of this connection only

    read = _read_of_postgresql(base or psycopg2.extensions.cursor, watcher)

    class WatchedCursor(read):  # type: ignore[misc,valid-type]
        """What SQLAlchemy calls of a cursor to send, and what sends besides."""

        def execute(self, query: Any, given: Any = None) -> Any:
            self._send(_shown(self, query, given), super().execute, query, given)

        def executemany(self, query: Any, given: Any) -> Any:
            rows = list(given)
            text = ";\n".join(_shown(self, query, one) for one in rows)
            self._send(text, super().executemany, query, rows)

        def callproc(self, name: Any, given: Any = ()) -> Any:
            self._send(f"CALL {name} {given!r}", super().callproc, name, given)

        def copy_expert(self, sql: Any, *given: Any, **named: Any) -> Any:
            # What it copies is not seen: nobody could tell later whether it was the same.
            watcher.fetched()
            self._send(str(sql), super().copy_expert, sql, *given, **named)

        def _send(self, text: str, method: Callable[..., Any], *given: Any, **named: Any) -> None:
            self._skipped = ""
            sent, _ = watcher.sent(text, lambda: method(*given, **named))
            if not sent:
                self._skipped = text

    return WatchedCursor


def _read_of_postgresql(base: Any, watcher: Watcher) -> Any:
    class ReadCursor(base):  # type: ignore[misc]
        """What SQLAlchemy asks of a cursor that has sent."""

        _skipped = ""

        @property
        def description(self) -> Any:
            if self._skipped:
                return _column(watcher, 23) if is_read(self._skipped) else None
            return super().description

        @property
        def rowcount(self) -> Any:
            return Unread(watcher.asked, "a row count") if self._skipped else super().rowcount

        def fetchone(self) -> Any:
            self._told()
            return super().fetchone()

        def fetchmany(self, size: int | None = None) -> Any:
            self._told()
            return super().fetchmany(self.arraysize if size is None else size)

        def fetchall(self) -> Any:
            self._told()
            return super().fetchall()

        def __next__(self) -> Any:
            self._told()
            return super().__next__()

        def _told(self) -> None:
            if self._skipped:
                watcher.asked("rows")
            watcher.fetched()

    return ReadCursor


def _shown(cursor: Any, query: Any, given: Any) -> str:
    return _text(cursor.mogrify(query, given))


def _text(sent: bytes) -> str:
    return sent.decode("utf8", "surrogateescape")


_KINDS: dict[str, tuple[str, Callable[[Any, Watcher], Any]]] = {
    "pymysql": ("cursorclass", _mysql),
    "psycopg2": ("cursor_factory", _postgresql),
}

WATCHED_DRIVERS = frozenset(_KINDS)
"""The drivers whose cursors can be watched."""
