"""The ledger: runs and outcomes in a database, written and read.

Enters: Run and Batch to write; ids and limits to read.  Leaves: RunView and OutcomeRow.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import Update, func, insert, or_, select, text, update
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from orchestrator.errors import Problem, UsageError
from orchestrator.ledger import tables
from orchestrator.ledger.connect import (
    READS,
    ledger_engine,
    ledger_file,
    place_of,
    unusable,
)
from orchestrator.ledger.process import result_now
from orchestrator.ledger.types import UNFINISHED, Batch, BindCount, OutcomeRow, Run, RunView

_MAKING_TRIES = 5


@dataclass(frozen=True)
class Ledger:
    """One open ledger. url: as databases.yaml has it. clock: how far its server's clock is ahead
    of this machine's, so that heartbeats from several hosts can be compared."""

    url: str
    engine: Engine
    clock: timedelta

    @classmethod
    def open(cls, url: str) -> Ledger:
        """The ledger, its tables made or brought up to date. Raises LedgerError."""
        engine = ledger_engine(url)
        try:
            with engine.connect() as connection:
                number = tables.schema_number(connection)
                clock = _clock(connection)
            if number != tables.SCHEMA:
                _make_current(engine, place_of(url))
        except SQLAlchemyError as error:
            raise unusable(url, error) from error
        return cls(url, engine, clock)

    @classmethod
    def read(cls, url: str) -> Ledger | None:
        """The ledger for reading; None when nothing has been written yet. Raises LedgerError."""
        file = ledger_file(url)
        if file is not None and not file.exists():
            return None
        engine = ledger_engine(url)
        try:
            with engine.connect().execution_options(**READS) as connection:
                number = tables.schema_number(connection)
                clock = _clock(connection)
        except SQLAlchemyError as error:
            raise unusable(url, error) from error
        if number is None:
            return None
        tables.check_number(number, place_of(url))
        # Older tables are read by the program that brings them up to date.
        return cls(url, engine, clock) if number == tables.SCHEMA else cls.open(url)

    def now(self) -> datetime:
        """The time on the ledger's clock: UTC."""
        return datetime.now(UTC).replace(tzinfo=None) + self.clock

    # -- writing -----------------------------------------------------------------------------

    def begin(self, run: Run) -> bool:
        """Write a new run; False when its id is taken. Raises LedgerError."""
        try:
            with self.engine.begin() as connection:
                connection.execute(insert(tables.runs).values(**asdict(run)))
        except IntegrityError:
            return False
        except SQLAlchemyError as error:
            raise unusable(self.url, error) from error
        return True

    def write(self, connection: Connection, run: str, batch: Batch) -> None:
        """Write what is new of a run, in the connection's transaction. Raises SQLAlchemyError."""
        connection.execute(_news(run, batch))
        for table, rows in ((tables.binds, batch.counts), (tables.outcomes, batch.outcomes)):
            names = [column.name for column in table.columns if column.name != "run"]
            read = attrgetter(*names)
            values = [{"run": run, **dict(zip(names, read(row), strict=True))} for row in rows]
            # A target's outcome takes the place of the row that said it was planned, and a batch
            # may come twice (once from a spool).
            tables.put_rows(connection, table, values)

    def take_in(self, run: Run, batches: Iterable[Batch]) -> None:
        """Write a run from a spool, begun here or not. Raises SQLAlchemyError."""
        with self.engine.begin() as connection:
            known = select(tables.runs.c.id).where(tables.runs.c.id == run.id)
            if connection.execute(known).first() is None:
                connection.execute(insert(tables.runs).values(**asdict(run)))
            for batch in batches:
                self.write(connection, run.id, batch)

    # -- reading -----------------------------------------------------------------------------

    def runs(self, limit: int, bind: str | None = None) -> tuple[RunView, ...]:
        """The last runs, the newest first. Raises LedgerError."""
        own = tables.runs.c
        query = select(tables.runs).order_by(own.started.desc(), own.id.desc()).limit(limit)
        if bind is not None:
            counted = select(tables.binds.c.run).where(tables.binds.c.bind == bind)
            query = query.where(own.id.in_(counted))
        with self.reading() as connection:
            return self._views(connection, connection.execute(query).all())

    def run(self, name: str) -> RunView:
        """The run of this id, of the only one that starts so, or the "last". Raises UsageError
        for none and for several, and LedgerError."""
        if name == "last":
            found = self.runs(1)
        else:
            own = tables.runs.c
            query = select(tables.runs).where(own.id.startswith(name, autoescape=True))
            with self.reading() as connection:
                rows = connection.execute(query.order_by(own.id).limit(5)).all()
                exact = [row for row in rows if row.id == name]
                found = self._views(connection, exact or rows)
        if len(found) == 1:
            return found[0]
        raise _no_run(name, [one.run.id for one in found])

    def last_unfinished(self) -> RunView | None:
        """The last run that ended, or was interrupted, with targets that failed or were not
        brought to an end. Raises LedgerError."""
        own, count = tables.runs.c, tables.binds.c
        ended = count.done + count.unchanged
        left = select(count.run).where(or_(count.failed > 0, count.planned > ended))
        query = select(tables.runs).where(own.id.in_(left))
        query = query.order_by(own.started.desc(), own.id.desc())
        with self.reading() as connection:
            # As a rule the first one is it; live runs stand before it at most.
            for row in connection.execute(query).yield_per(20):
                (view,) = self._views(connection, [row])
                if view.result != "running":
                    return view
        return None

    def outcomes(self, view: RunView, *, unfinished: bool = False) -> tuple[OutcomeRow, ...]:
        """The outcomes of a run. unfinished: only what `--failed` takes up again. Raises
        LedgerError."""
        own = tables.outcomes.c
        query = select(tables.outcomes).where(own.run == view.run.id).order_by(own.number)
        if unfinished:
            results = UNFINISHED if view.result != "running" else ("failed", "not-started")
            query = query.where(own.result.in_(results))
        names = [field.name for field in fields(OutcomeRow)]
        with self.reading() as connection:
            rows = connection.execute(query).mappings()
            return tuple(OutcomeRow(**{name: row[name] for name in names}) for row in rows)

    def _views(self, connection: Connection, rows: Sequence[Row[Any]]) -> tuple[RunView, ...]:
        counts: dict[str, list[BindCount]] = {}
        own = tables.binds.c
        found = connection.execute(
            select(tables.binds).where(own.run.in_([row.id for row in rows])).order_by(own.bind)
        )
        for one in found.mappings():
            values = {name: value for name, value in one.items() if name != "run"}
            counts.setdefault(one["run"], []).append(BindCount(**values))
        runs = [Run(**row._mapping) for row in rows]
        now = self.now()
        return tuple(
            RunView(run, result_now(run, now), tuple(counts.get(run.id, ()))) for run in runs
        )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads. Raises LedgerError, for what is done with it too."""
        try:
            with self.engine.connect().execution_options(**READS) as connection:
                yield connection
        except SQLAlchemyError as error:
            raise unusable(self.url, error) from error


def _make_current(engine: Engine, place: str) -> None:
    """Raises LedgerError and SQLAlchemyError."""
    for left in reversed(range(_MAKING_TRIES)):
        try:
            with engine.begin() as connection:
                tables.make_current(connection, place)
            return
        except SQLAlchemyError:
            # Two processes that make the same tables at once: the other one has, by now.
            with suppress(SQLAlchemyError), engine.connect() as connection:
                if tables.schema_number(connection) == tables.SCHEMA:
                    return
            if not left:
                raise
            time.sleep(0.1)


def _clock(connection: Connection) -> timedelta:
    """How far the server's clock is ahead of this machine's; a file has this machine's."""
    name = connection.dialect.name
    if name == "postgresql":
        there = connection.execute(select(func.timezone("utc", func.clock_timestamp()))).scalar()
    elif name in ("mysql", "mariadb"):
        there = connection.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar()
    else:
        there = None
    if not isinstance(there, datetime):
        return timedelta()
    return there - datetime.now(UTC).replace(tzinfo=None)


def _news(run: str, batch: Batch) -> Update:
    given: dict[str, Any] = {"seen": batch.seen}
    for name in ("git_commit", "plan_digest", "ended", "result", "error"):
        value = getattr(batch, name)
        if value:
            given[name] = value
    return update(tables.runs).where(tables.runs.c.id == run).values(**given)


def _no_run(name: str, several: Sequence[str]) -> UsageError:
    if several:
        more = " and others" if len(several) > 4 else ""
        what = f"several runs start with {name!r}: {', '.join(several[:4])}{more}"
        return UsageError(Problem(what, todo="Write more of its id."))
    what = "the ledger has no run yet" if name == "last" else f"the ledger has no run {name!r}"
    return UsageError(Problem(what, todo="See `orchestrator runs`."))
