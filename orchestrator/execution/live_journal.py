"""The journal of a live step: what its function sends is written down, and not sent twice.

Enters: a connection that stands in a target, a revision's function, and what a journal tells of an
earlier run of it.  Leaves: the function run to its end, with the journal cleared in the transaction
that takes the version rows along; or Dirty.

Data that commits together has one row, which is written just before that commit.  A statement that
commits by itself has its own, written just before it (kinds: safety/journal.py).  When the function
runs again, statements whose rows are there are skipped as long as they come in the same order, and
nobody looks at what they would have given.  A step that runs in one transaction writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import Connection

from orchestrator.execution.live_building import turn
from orchestrator.execution.live_cursors import WATCHED_DRIVERS, Watcher, watched
from orchestrator.execution.live_passing import same_connection
from orchestrator.execution.live_rows import Segment
from orchestrator.execution.live_settling import LiveSettling
from orchestrator.execution.live_statements import Manner, manner_of
from orchestrator.execution.replay.types import Dirty, Footing, Waits
from orchestrator.fleet.borrowed import BorrowedPostgreSQL
from orchestrator.fleet.sqlstate import sqlstate
from orchestrator.safety import journal
from orchestrator.safety.alone import REFUSED_INSIDE, alone, refused_inside
from orchestrator.safety.journal import Entry, HalfApplied, Kind
from orchestrator.safety.settle_live import why_not_again

T = TypeVar("T")


class StepJournal(Watcher):
    """The journal of one step while its function runs.

    step: the revision's id, the direction, and the SHA-256 of its file. half: what an earlier run
    of this step left. resumable: its author promises that it may run again from its start.
    """

    def __init__(
        self,
        connection: Connection,
        footing: Footing,
        step: tuple[str, str, str],
        half: HalfApplied | None,
        waits: Waits,
        *,
        resumable: bool,
    ) -> None:
        self._connection = connection
        self._driver: Any = connection.connection.dbapi_connection
        self._error = connection.dialect.loaded_dbapi.Error
        self._footing = footing
        self._waits = waits
        self._place = footing.place
        self._family = footing.place.flavour.family
        self._header = journal.header(*step, (), footing.owner.label, live=True)
        self._half = half
        self._resumable = resumable
        self._settling = LiveSettling(self._family, connection)
        self._rows: tuple[Entry, ...] = ()
        self._next = 0
        self._number = 0
        self._begun = half is not None
        self._unsure = False
        self._segment = Segment()
        self._late = ""
        self._last = ""
        self._quiet = self._blind = False
        self._dirty: Dirty | None = None

    def run(self, function: Callable[[], object]) -> None:
        """Run the revision's function. Raises Dirty, ReplayFailed when its connection was replaced,
        and whatever it raises."""
        same_connection(self._connection, self._driver)
        self._begin()
        try:
            with self._listening():
                function()
        except Exception as error:
            if self._dirty is not None:
                raise self._dirty from error
            raise
        if self._dirty is None and self._next < len(self._rows):
            missing = self._rows[self._next].statement
            self._told(f"its function ended without a statement that it ran before: {missing}")
        if self._dirty is not None:
            raise self._dirty
        same_connection(self._connection, self._driver)
        self._end()

    def _begin(self) -> None:
        half = self._half
        if half is not None:
            self._examine(half)
            self._number = half.rows[-1].number if half.rows else 0
            if self._resumable:
                self._number = 0
                self._send(f"DELETE FROM {self._place.journal} WHERE number > 0")
            else:
                self._rows = half.rows
        elif self._family == "mysql":
            self._send(journal.create_journal(self._family, self._place.journal))
        self._blind = self._connection.dialect.driver not in WATCHED_DRIVERS
        if self._blind and self._family == "mysql" and not self._begun:
            self._hidden()
            self._send("COMMIT")

    def _examine(self, half: HalfApplied) -> None:
        why = why_not_again(half, self._header.digest, resumable=self._resumable)
        if why:
            raise Dirty(half, why)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        with ExitStack() as stack:
            for name, hear in (("commit", self._committing), ("rollback", self._rolled_back)):
                event.listen(self._connection, name, hear)
                stack.callback(event.remove, self._connection, name, hear)
            if not self._blind:
                driver = self._connection.dialect.driver
                stack.enter_context(watched(self._driver, driver, self))
            yield

    def _end(self) -> None:
        """Clear the journal in the transaction that is to change the version rows."""
        if self._begun or self._unsure:
            if self._outside():
                self._send("BEGIN")
            self._send(journal.clear(self._place.journal))

    # What the cursors tell.

    def sent(self, text: str, send: Callable[[], T]) -> tuple[bool, T | None]:
        if self._quiet or self._blind:
            return True, send()
        if self._dirty is not None:
            raise self._dirty
        manner = manner_of(self._family, text)
        self._last = "" if manner == "session" else text
        if manner == "session":
            self._settling.entered(text)
            return True, send()
        if self._next < len(self._rows):
            return self._again(text, manner, send)
        return True, self._record(text, manner, send)

    def fetched(self) -> None:
        if self._quiet or not self._last:
            return
        if self._segment.count:
            self._segment.read = True
        else:
            self._late = self._last

    def asked(self, what: str) -> NoReturn:
        self._told(f"it looks at what a statement gave that was done before ({what})")
        assert self._dirty is not None
        raise self._dirty

    def _told(self, why: str) -> None:
        assert self._half is not None
        if self._dirty is None:
            self._dirty = Dirty(self._half, why)

    # Statements for the first time.

    def _record(self, text: str, manner: Manner, send: Callable[[], T]) -> T:
        try:
            if manner == "ends":
                self._committing(self._connection)
                return send()
            if self._outside() and self._family == "postgresql":
                return self._outside_transactions(text, manner, send)
            if manner == "commits":
                return self._commits(text, send)
            if self._outside():
                return self._wrapped(text, manner, send)
            self._segment.add(text)
            self._segment.read |= manner == "gone"
            return send()
        except self._error:
            # Whoever catches this has read an answer of the server's.
            self._late = text
            raise

    def _commits(self, text: str, send: Callable[[], T]) -> T:
        """MySQL: a statement that may commit by itself."""
        with self._quietly():
            before = self._settling.before(text)
        self._write([*self._closed(), self._row("ddl", text, before)])
        self._unsure = True  # Whether it commits what came before, when it fails.
        found = send()
        self._unsure = False
        return found

    def _wrapped(self, text: str, manner: Manner, send: Callable[[], T]) -> T:
        """Where every statement commits: this one in a transaction with its row."""
        self._send("BEGIN")
        begun, number = self._begun, self._number
        try:
            self._write([self._row("read" if manner == "gone" else "data", text)])
            found = send()
        except self._error:
            self._begun, self._number = begun, number
            with suppress(self._error):  # The connection may be lost.
                self._send("ROLLBACK")
            raise
        self._send("COMMIT")
        return found

    def _outside_transactions(self, text: str, manner: Manner, send: Callable[[], T]) -> T:
        """PostgreSQL: a statement of an autocommit block."""
        by_itself = alone(text)
        if by_itself is None:
            try:
                return self._wrapped(text, manner, send)
            except self._error as error:
                if sqlstate(error) not in REFUSED_INSIDE:
                    raise
                by_itself = refused_inside(text)
        with self._quietly():
            before = self._settling.before_alone(by_itself)
        self._write([self._row("alone", text, before)])
        if not by_itself.concurrent:
            return send()
        session = BorrowedPostgreSQL(self._driver, self._error)
        with self._quietly(), turn(session, self._footing, self._waits):
            return send()

    def _committing(self, _connection: Connection) -> None:
        """SQLAlchemy is about to commit: SQLAlchemy 2.0, ConnectionEvents.commit."""
        if self._blind:
            if self._family == "postgresql" and not self._outside() and not self._begun:
                self._hidden()
            return
        if self._quiet or self._outside():
            return
        if self._next < len(self._rows):
            self._match_segment()
        elif self._segment.count:
            self._write(self._closed())

    def _rolled_back(self, _connection: Connection) -> None:
        self._unsure = self._unsure or (self._begun and self._half is None)

    # Statements that an earlier run may have done.

    def _again(self, text: str, manner: Manner, send: Callable[[], T]) -> tuple[bool, T | None]:
        if manner == "gone":
            self._told(f"what this made is gone with its session: {journal.shown(text)}")
        elif manner == "ends":
            self._match_segment()
            return True, send()
        elif manner == "plain" and not self._outside():
            self._segment.add(text)
            return False, None
        else:
            self._match_segment()
            if self._dirty is None and self._next == len(self._rows):
                return True, self._record(text, manner, send)
        if self._dirty is not None:
            raise self._dirty
        return self._one_again(text, manner, send)

    def _one_again(self, text: str, manner: Manner, send: Callable[[], T]) -> tuple[bool, T | None]:
        entry = self._rows[self._next]
        segment = Segment()
        segment.add(text)
        if entry.digest not in (journal.digest_of(text), segment.digest.hexdigest()):
            self._told(
                f"it sends another statement than before: {journal.shown(text)!r}, and it was"
                f" {entry.statement!r}"
            )
            assert self._dirty is not None
            raise self._dirty
        self._next += 1
        if self._next < len(self._rows):
            return False, None
        with self._quietly():
            verdict = self._settling.verdict(entry, text)
            if verdict.rest:
                self._send(verdict.rest)
        if verdict.ran in ("yes", "partly"):
            return False, None
        if verdict.ran == "unknown":
            self._told(f"whether this ran cannot be told ({verdict.why}): {journal.shown(text)}")
            assert self._dirty is not None
            raise self._dirty
        self._number = entry.number - 1
        self._send(f"DELETE FROM {self._place.journal} WHERE number = {entry.number}")
        return True, self._record(text, manner, send)

    def _match_segment(self) -> None:
        """What was skipped since the last commit must be what the next row is of."""
        segment, self._segment = self._segment, Segment()
        if not segment.count:
            return
        entry = self._rows[self._next]
        if entry.digest == segment.digest.hexdigest():
            self._next += 1
        else:
            self._told(
                f"it sends other statements than before: {segment.shown!r}, and it was"
                f" {entry.statement!r}"
            )

    # Rows.

    def _row(self, kind: Kind, text: str, before: dict[str, str] | None = None) -> Entry:
        return journal.row(self._header, 0, kind, text, before or {})

    def _closed(self) -> list[Entry]:
        """The row of the statements since the last commit, if there were any."""
        segment, self._segment = self._segment, Segment()
        if not segment.count:
            return []
        entry = self._row("read" if segment.read else "data", segment.shown)
        return [replace(entry, digest=segment.digest.hexdigest())]

    def _hidden(self) -> None:
        """A row for what a driver does not show: nobody can tell later how far it came."""
        what = f"(what the driver {self._connection.dialect.driver} sends is not seen)"
        self._write([self._row("read", what)])

    def _write(self, entries: list[Entry]) -> None:
        """Write rows, behind the header where there is none yet."""
        if self._unsure:
            self._look()
        if self._late:
            entries.insert(0, self._row("read", self._late))
            self._late = ""
        first = [] if self._begun else [self._header]
        numbered = [
            replace(entry, number=self._number + place) for place, entry in enumerate(entries, 1)
        ]
        texts = [journal.insert_rows(self._family, self._place.journal, [*first, *numbered])]
        if first and self._family == "postgresql":
            texts.insert(0, journal.create_journal(self._family, self._place.journal))
        self._send(";\n".join(texts))
        self._begun = True
        self._number += len(entries)

    def _look(self) -> None:
        """Find out what a rollback has left of the rows."""
        with self._quietly(), self._driver.cursor() as cursor:
            cursor.execute(f"SELECT max(number) FROM {self._place.journal}")
            found = cursor.fetchall()[0][0]
        self._begun, self._number = found is not None, int(found or 0)
        self._unsure = False

    def _send(self, text: str) -> None:
        with self._quietly(), self._driver.cursor() as cursor:
            cursor.execute(text)

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _outside(self) -> bool:
        """Whether each statement commits by itself now."""
        driver = self._driver
        if self._family == "mysql":
            asked = getattr(driver, "get_autocommit", None)
            return bool(asked()) if asked is not None else False
        if driver.autocommit:
            return True
        # A revision that sends COMMIT ends the transaction, and psycopg2 begins no other.
        info = getattr(driver, "info", None)
        status = getattr(info, "transaction_status", None)
        begun = getattr(driver, "status", 1) != 1  # psycopg2.extensions.STATUS_READY
        return status == 0 and begun  # libpq's PQTRANS_IDLE
