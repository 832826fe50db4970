"""One compiled step on PostgreSQL, with its journal where it is more than one transaction.

Enters: a step, what its journal says of an earlier attempt, and the passage that it is sent
through.  Leaves: all of it sent but its last transaction, which clears the journal together with
the change of the version rows, and waits in the passage for what follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.config.flavour import Family
from orchestrator.execution.replay.building import Building, Unclear, build, prepared
from orchestrator.execution.replay.halves import texts_of
from orchestrator.execution.replay.passage import Passage
from orchestrator.execution.replay.types import CompiledStep, Dirty, Footing, Waits
from orchestrator.fleet.sessions import PostgreSQLSession, SendError
from orchestrator.fleet.sqlstate import sqlstate
from orchestrator.planning.pieces import Piece, journalled, pieces_of
from orchestrator.planning.statements import version_statements
from orchestrator.revisions.recording.transactions import Control
from orchestrator.safety.alone import REFUSED_INSIDE, Alone, alone, plain_control, refused_inside
from orchestrator.safety.evidence import answers
from orchestrator.safety.journal import (
    Entry,
    HalfApplied,
    Kind,
    clear,
    create_journal,
    decide,
    header,
    insert_rows,
    row,
    source_of,
)

_FAMILY: Family = "postgresql"


def send_step(
    session: PostgreSQLSession,
    footing: Footing,
    waits: Waits,
    passage: Passage,
    compiled: CompiledStep,
    half: HalfApplied | None,
    *,
    joined: bool,
) -> None:
    """Send a step. half: what its journal says, when it was begun before. joined: transactions that
    follow one another are one.

    Raises SendError, Locked, and Dirty.
    """
    step, segments = compiled
    changes = [_counted(one) for one in version_statements(footing.place, step.changes)]
    pieces = pieces_of(segments)
    if half is None and not journalled(pieces, joined=joined):
        for piece in pieces:
            passage.add(piece.statements, counted=True)
        passage.add(changes)
        return
    table = footing.place.journal
    begun = _Begun(session, footing, waits, passage, compiled, half)
    begun.start()
    left = [one for piece in pieces if (one := piece.after(half.done if half else 0))]
    for number, piece in enumerate(left, start=1):
        begun.send(piece, ended=number == len(left), joined=joined)
    passage.add([*changes, clear(table)])


@dataclass(frozen=True)
class _Begun:
    """A step whose journal is kept."""

    session: PostgreSQLSession
    footing: Footing
    waits: Waits
    passage: Passage
    compiled: CompiledStep
    half: HalfApplied | None

    def start(self) -> None:
        """Write the header, or go on behind what is done."""
        table = self.footing.place.journal
        if self.half is None:
            self.passage.add(
                [create_journal(_FAMILY, table), insert_rows(_FAMILY, table, [self._header()])]
            )
        elif self.half.in_doubt is None:
            self.passage.add([f"DELETE FROM {table} WHERE number > {self.half.done}"])

    def send(self, piece: Piece, *, ended: bool, joined: bool) -> None:
        """ended: nothing but the version rows comes behind it."""
        if piece.way == "transaction":
            self.passage.add(piece.statements, counted=True)
            if not ended:
                self.passage.add([self._row(piece.end, "data", piece.statements[-1])])
                if not joined:
                    self.passage.commit()
        elif piece.way == "raw":
            self._raw(piece)
        else:
            self._single(piece.statements[0], piece.end)

    def _single(self, text: str, number: int) -> None:
        """A statement of an autocommit block: with its row where it may be in a transaction."""
        doubt = self._in_doubt(number)
        if doubt is not None:
            self._alone(text, number, alone(text) or refused_inside(text), doubt.before)
            return
        what = alone(text)
        if what is None:
            self.passage.commit()
            self.passage.add([self._row(number, "data", text)])
            self.passage.add([text], counted=True)
            try:
                self.passage.commit()
                return
            except SendError as error:
                code = sqlstate(error.error)
                if self.session.lost or code not in REFUSED_INSIDE:
                    error.statement = error.statement or text
                    raise
                self.session.rollback()
                self.passage.drop()
            what = refused_inside(text)
        self._alone(text, number, what, None)

    def _alone(self, text: str, number: int, what: Alone, before: Mapping[str, str] | None) -> None:
        """A statement that cannot be in a transaction. before: when its row is there already."""
        table = self.footing.place.journal
        if before is None:
            self.passage.add([self._row(number, "alone", text, answers(what))])
        undone = clear(table) if number == 1 else decide(table, number, done=False)
        building = Building(text, what, before, decide(table, number, done=True), undone)
        looked = self.passage.commit_and_ask(prepared(self.footing, what))
        try:
            build(self.session, self.footing, self.waits, building, looked)
        except Unclear as unclear:
            raise self._dirty(str(unclear)) from unclear
        self.passage.kept += 1

    def _raw(self, piece: Piece) -> None:
        """Texts that end transactions themselves. Where they stop, nothing tells what they did,
        unless it was before the first of those words."""
        if self._in_doubt(piece.first):
            raise self._dirty("it begins and ends transactions itself: nothing tells what it did")
        table = self.footing.place.journal
        self.passage.add([self._row(piece.first, "alone", piece.statements[0])])
        self.passage.commit()
        done = 0
        try:
            for text in [*["BEGIN"] * piece.opened, *piece.statements]:
                self.session.single(text)
                done += 1
            if piece.opened:
                self.session.single("COMMIT")
            self.session.single(
                f"UPDATE {table} SET kind = 'data', number = {piece.end}"
                f" WHERE number = {piece.first}"
            )
        except SendError:
            tried = piece.statements[: done + (not piece.opened)]
            whole = piece.opened and all(plain_control(one) is Control.NONE for one in tried)
            if whole and not self.session.lost:
                self.session.rollback()
                undone = decide(table, piece.first, done=False)
                self.session.single(clear(table) if piece.first == 1 else undone)
            raise
        self.passage.kept += len(piece.statements)

    def _in_doubt(self, number: int) -> Entry | None:
        doubt = self.half.in_doubt if self.half else None
        return doubt if doubt is not None and doubt.number == number else None

    def _dirty(self, why: str) -> Dirty:
        assert self.half is not None
        doubt = self.half.in_doubt
        return Dirty(self.half, f"statement {doubt.number if doubt else 0} is in doubt: {why}")

    def _header(self) -> Entry:
        step, texts = self.compiled[0], texts_of(self.compiled)
        label = self.footing.owner.label
        direction = step.direction.value
        return header(step.revision, direction, source_of(texts), texts, label, live=False)

    def _row(self, number: int, kind: Kind, text: str, definitions: str = "") -> str:
        entry = row(self._header(), number, kind, text, {})
        return insert_rows(_FAMILY, self.footing.place.journal, [entry], definitions)


def _counted(change: str) -> str:
    """A change of one version row that fails, with a division by zero, when there is no such row:
    somebody else has changed it since the guard."""
    if change.startswith("INSERT"):
        return change  # The primary key tells.
    return f"WITH changed AS ({change} RETURNING 1) SELECT 1 / count(*) FROM changed"
