"""The statements of a step on MySQL and MariaDB, with the rows of the journal between them.

Enters: a session in a target, a step's statements, and the first of them to run.  Leaves: all sent,
in as few round trips as there can be; or the driver's SendError.

A row is written before a statement that commits by itself, whose implicit commit makes it durable,
together with all that came before.  What its things are like before it is looked at by the server,
inside the row's INSERT, where their being there tells; a definition is asked for at the end of the
round trip before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from orchestrator.execution.replay.types import CompiledStep, Footing
from orchestrator.fleet.rounds import Single
from orchestrator.fleet.sessions import MySQLSession
from orchestrator.planning.statements import Place
from orchestrator.safety.definitions_mysql import Reading, Thing, read
from orchestrator.safety.definitions_now import definitions, kept, kept_by_server
from orchestrator.safety.journal import Entry, Kind, header, inserted, row, source_of


@dataclass(frozen=True, eq=False)
class Work:
    """A step as it is journalled. texts: its statements. readings: what each of them is. source:
    their digest."""

    revision: str
    direction: str
    texts: tuple[str, ...]
    readings: tuple[Reading, ...]
    source: str


@lru_cache(64)
def header_of(work: Work, owner: str) -> Entry:
    """The journal's first row."""
    return header(work.revision, work.direction, work.source, work.texts, owner, live=False)


def work_of(compiled: CompiledStep) -> Work:
    """The work of a step."""
    step, segments = compiled
    texts = tuple(text for segment in segments for text in segment.statements)
    return _work(step.revision, step.direction.value, texts)


@lru_cache(64)
def _work(revision: str, direction: str, texts: tuple[str, ...]) -> Work:
    readings: list[Reading] = []
    database = ""
    for text in texts:
        readings.append(read(text, database))
        database = readings[-1].use or database
    return Work(revision, direction, texts, tuple(readings), source_of(texts))


def inside(place: Place, table: str) -> str:
    """A quoted table's name with its database, because a step may USE another one."""
    return f"{place.quote(place.database)}.{table}" if place.database else table


def journal_of(place: Place) -> str:
    """The journal's name with its database."""
    return inside(place, place.journal)


@dataclass
class Course:
    """One try of a step. pending: what goes with the next round trip. known: definitions as they
    will be when that has run. locked: between LOCK TABLES and UNLOCK TABLES, where the journal
    cannot be written."""

    session: MySQLSession
    footing: Footing
    work: Work
    pending: list[str]
    begun: bool
    known: dict[Thing, str] = field(default_factory=dict)
    locked: bool = False

    def run(self, first: int, instead: str = "") -> None:
        """Take the statements from number `first` on; the last ones stay pending. instead: what is
        sent for that first one. Raises SendError."""
        for number in range(first, len(self.work.texts) + 1):
            reading = self.work.readings[number - 1]
            if reading.kind == "ddl" and not self.locked:
                self._look(number)
                self._row(number)
            self.pending.append(instead or self.work.texts[number - 1])
            instead = ""
            self._forget(reading)
            if reading.locks:
                self.locked = True
            elif reading.unlocks and self.locked:
                self.locked = False
                self._unlocked(number)

    def _look(self, number: int) -> None:
        """Ask for the definitions that a row needs, and for those that the next ones will."""
        wanted = [one for one in self.work.readings[number - 1].things if one.whole]
        if all(one in self.known for one in wanted):
            return
        things = dict.fromkeys([*wanted, *self._later(number)])
        self.known |= definitions(self.session, list(things), self.pending)
        self.pending = []

    def _later(self, number: int) -> list[Thing]:
        """What following statements look at and nobody changes until then."""
        found: list[Thing] = []
        changed: set[Thing] = set()
        for reading in self.work.readings[number - 1 :]:
            if reading.kind == "session" or reading.spreads or reading.locks:
                break
            found += [one for one in reading.things if one.whole and one not in changed]
            changed.update(_changed(reading))
        return found

    def _forget(self, reading: Reading) -> None:
        if reading.kind == "session" or reading.spreads:
            self.known.clear()
        for one in _changed(reading):
            self.known.pop(one, None)

    def _row(self, number: int) -> None:
        things = self.work.readings[number - 1].things
        before = kept({one: self.known[one] for one in things if one.whole})
        self._write(number, "ddl", tuple(before.items()))

    def _unlocked(self, number: int) -> None:
        """What LOCK TABLES began has ended, and is committed: say so, or it stays in doubt."""
        self._write(number, "data", ())
        self.pending.append("COMMIT")

    def _write(self, number: int, kind: Kind, before: tuple[tuple[str, str], ...]) -> None:
        owner, journal = self.footing.owner.label, journal_of(self.footing.place)
        written = _written(self.work, owner, number, kind, before, first=not self.begun)
        self.begun = True
        self.pending.append(Single(f"INSERT INTO {journal} {written}"))


@lru_cache(256)
def _written(
    work: Work,
    owner: str,
    number: int,
    kind: Kind,
    before: tuple[tuple[str, str], ...],
    *,
    first: bool,
) -> str:
    """The row of a statement, as it is inserted; made once for all targets whose things are alike.
    first: the header comes with it."""
    start = header_of(work, owner)
    entry = row(start, number, kind, work.texts[number - 1], dict(before))
    things = work.readings[number - 1].things if kind == "ddl" else ()
    told = [one for one in things if not one.whole]
    definitions_now = kept_by_server(told) if told else ""
    return inserted("mysql", [start, entry] if first else [entry], definitions_now)


def _changed(reading: Reading) -> Sequence[Thing]:
    """The tables whose definitions a statement may change."""
    things = reading.things
    tables = [Thing("table", one.on, one.database) for one in things if one.kind == "index"]
    names = [one for one in things if one.kind == "table"] + tables
    return [Thing("table", one.name, one.database, whole=True) for one in names]
