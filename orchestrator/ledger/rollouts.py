"""Rollouts in the ledger: what survives the process that drives one, and who may drive it.

Enters: RolloutRow, WaveRow and RolloutTarget to write; ids to read.  Leaves: the same, and
RolloutView.  Whoever drives a rollout has claimed it with the run that its row names; the run's
signs of life are the rollout's.  Every method raises LedgerError when the ledger fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, Table, delete, insert, select, text, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from orchestrator.errors import LedgerError, Problem, UsageError
from orchestrator.ledger import tables
from orchestrator.ledger.columns import kept_text, pack
from orchestrator.ledger.connect import place_of, unusable
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.process import result_now
from orchestrator.ledger.rollout_reading import (
    counts_of,
    ids_of,
    not_one,
    rollout_of,
    rows_query,
    status_now,
    waves_of,
)
from orchestrator.ledger.rollout_types import (
    OVER,
    Ask,
    RolloutRow,
    RolloutStatus,
    RolloutTarget,
    RolloutView,
    TargetState,
    WaveCount,
    WaveRow,
)
from orchestrator.ledger.taken import taken
from orchestrator.ledger.types import Run
from orchestrator.ledger.writer import AGAIN_SECONDS

_Result = TypeVar("_Result")

_REST_OF_PACKET = 65_536
"""Bytes of a statement that writes a plan, besides the plan."""


class Rollouts:
    """The rollouts of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def now(self) -> datetime:
        """The time on the ledger's clock: UTC."""
        return self._ledger.now()

    # -- writing -----------------------------------------------------------------------------

    def create(
        self, row: RolloutRow, waves: Sequence[WaveRow], targets: Sequence[RolloutTarget]
    ) -> None:
        """Write a new rollout, all or nothing. row.run: the run that drives it.

        Raises UsageError when one of its binds is in a rollout that is not over, and LedgerError,
        for a plan that the server takes in no packet too.
        """
        binds = {one.bind for one in targets}

        def work(connection: Connection) -> None:
            self._check_packet(connection, row.plan, row.shapes)
            _take(connection, row.id, binds)
            connection.execute(insert(tables.rollouts).values(**asdict(row)))
            if row.run:
                self._add_run(connection, row.id, row.run)
            _put(connection, tables.rollout_waves, row.id, waves)
            _put(connection, tables.rollout_targets, row.id, targets)

        self._taking(work, row.id, binds)

    def claim(self, rollout: str, run: str, expected_run: str) -> bool:
        """Take a rollout over: from now on `run` drives it, its status is running, and nothing is
        asked of it. False when it is not `expected_run` any more that drove it last.

        One that is over takes its binds again. Raises UsageError when another has them.
        """
        binds = self._binds_of(rollout)

        def work(connection: Connection) -> bool:
            own = tables.rollouts.c
            query = select(own.run, own.status).where(own.id == rollout).with_for_update()
            found = connection.execute(query).one_or_none()
            if found is None:
                return False
            if found.run != expected_run:
                # The same again, when only the answer to a commit was lost.
                return bool(found.run == run)
            if found.status in OVER:
                _take(connection, rollout, binds)
            self._change(connection, rollout, run=run, status="running", reason="", ask="")
            self._add_run(connection, rollout, run)
            return True

        return self._taking(work, rollout, binds)

    def ask(self, rollout: str, ask: Ask) -> None:
        """Ask something of the process that drives a rollout."""
        self._writing(lambda connection: self._change(connection, rollout, ask=ask))

    def settle(
        self, rollout: str, status: RolloutStatus, reason: str = "", *, run: str | None = None
    ) -> bool:
        """Write how a rollout stands from now on. One that is over gives its binds back.

        run: do so only as long as this is the run that drives it, or drove it last; False when it
        is not.
        """

        def work(connection: Connection) -> bool:
            own = tables.rollouts.c
            query = select(own.run).where(own.id == rollout).with_for_update()
            found = connection.execute(query).scalar()
            if found is None or (run is not None and found != run):
                return False
            self._change(connection, rollout, status=status, reason=kept_text(reason), ask="")
            if status in OVER:
                binds = tables.rollout_binds
                connection.execute(delete(binds).where(binds.c.rollout == rollout))
            return True

        return self._writing(work)

    def move(self, rollout: str, wave: WaveRow) -> None:
        """Write how one wave stands; it is the one that the rollout is in."""

        def work(connection: Connection) -> None:
            _put(connection, tables.rollout_waves, rollout, [wave])
            self._change(connection, rollout, wave=wave.number)

        self._writing(work)

    def put(self, rollout: str, targets: Sequence[RolloutTarget]) -> None:
        """Write how targets stand; those of the same numbers are written over."""
        if targets:
            self._writing(
                lambda connection: _put(connection, tables.rollout_targets, rollout, targets)
            )

    def extend(
        self, rollout: str, digest: str, plan: str, wave: WaveRow, targets: Sequence[RolloutTarget]
    ) -> None:
        """Add a wave of targets that came after the plan, all or nothing. plan, digest: the whole
        plan with them. Their binds must be binds of the rollout."""

        def work(connection: Connection) -> None:
            self._check_packet(connection, plan)
            _put(connection, tables.rollout_waves, rollout, [wave])
            _put(connection, tables.rollout_targets, rollout, targets)
            self._change(connection, rollout, digest=digest, plan=plan)

        self._writing(work)

    # -- reading -----------------------------------------------------------------------------

    def view(self, name: str | None, *, plan: bool = True) -> RolloutView:
        """The rollout of this id, of the only one that starts so, the "last", or for None the only
        one that is not over, else the last. plan: with its text; else that is "".

        Raises UsageError for none and for several.
        """
        with self._ledger.reading() as connection:
            ids = ids_of(connection, name)
            if len(ids) != 1:
                raise not_one(name, ids)
            (view,) = self._views(
                connection, rows_query(plan=plan).where(tables.rollouts.c.id == ids[0])
            )
        return view

    def views(self, limit: int) -> tuple[RolloutView, ...]:
        """The last rollouts, the newest first, without the texts of their plans."""
        own = tables.rollouts.c
        query = rows_query(plan=False).order_by(own.created.desc(), own.id.desc()).limit(limit)
        with self._ledger.reading() as connection:
            return self._views(connection, query)

    def asked(self, rollout: str) -> Ask:
        """What is asked of the process that drives a rollout."""
        query = select(tables.rollouts.c.ask).where(tables.rollouts.c.id == rollout)
        with self._ledger.reading() as connection:
            found: Ask | None = connection.execute(query).scalar()
        return found or ""

    def heard(self, rollout: str) -> tuple[Ask, str]:
        """What is asked of the process that drives a rollout, and the run that this is."""
        own = tables.rollouts.c
        query = select(own.ask, own.run).where(own.id == rollout)
        with self._ledger.reading() as connection:
            found = connection.execute(query).one_or_none()
        return (found.ask, found.run) if found is not None else ("", "")

    def targets(
        self, rollout: str, *, wave: int | None = None, states: Collection[TargetState] = ()
    ) -> tuple[RolloutTarget, ...]:
        """The targets of a rollout in their order. wave, states: only those."""
        own = tables.rollout_targets.c
        query = select(tables.rollout_targets).where(own.rollout == rollout).order_by(own.number)
        if wave is not None:
            query = query.where(own.wave == wave)
        if states:
            query = query.where(own.state.in_(states))
        names = [field.name for field in fields(RolloutTarget)]
        with self._ledger.reading() as connection:
            rows = connection.execute(query).mappings()
            return tuple(RolloutTarget(**{name: row[name] for name in names}) for row in rows)

    def runs(self, rollout: str) -> tuple[str, ...]:
        """The ids of the runs that drove a rollout, the first one first."""
        own = tables.rollout_runs.c
        query = select(own.run).where(own.rollout == rollout).order_by(own.claimed, own.run)
        with self._ledger.reading() as connection:
            return tuple(connection.execute(query).scalars())

    def of_run(self, run: str) -> str | None:
        """The id of the rollout that a run drove; None when it drove none."""
        own = tables.rollout_runs.c
        with self._ledger.reading() as connection:
            found: str | None = connection.execute(
                select(own.rollout).where(own.run == run)
            ).scalar()
        return found

    # -- inside ------------------------------------------------------------------------------

    def _views(self, connection: Connection, query: Select[Any]) -> tuple[RolloutView, ...]:
        rows = [rollout_of(one) for one in connection.execute(query)]
        ids = [row.id for row in rows]
        waves = waves_of(connection, ids)
        counts = counts_of(connection, ids)
        driven = self._driven(connection, [row.run for row in rows])
        return tuple(
            RolloutView(
                row,
                waves.get(row.id, ()),
                tuple(
                    counts.get((row.id, wave.number), WaveCount(wave.number))
                    for wave in waves.get(row.id, ())
                ),
                row.run in driven,
                status_now(row, row.run in driven),
            )
            for row in rows
        )

    def _driven(self, connection: Connection, runs: Sequence[str]) -> frozenset[str]:
        """Those runs whose process lives."""
        found = connection.execute(select(tables.runs).where(tables.runs.c.id.in_(runs)))
        now = self._ledger.now()
        return frozenset(
            run.id
            for run in (Run(**row._mapping) for row in found)
            if result_now(run, now) == "running"
        )

    def _binds_of(self, rollout: str) -> frozenset[str]:
        own = tables.rollout_targets.c
        query = select(own.bind).where(own.rollout == rollout).distinct()
        with self._ledger.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def _change(self, connection: Connection, rollout: str, **values: object) -> None:
        own = tables.rollouts
        given = {**values, "changed": self._ledger.now()}
        connection.execute(update(own).where(own.c.id == rollout).values(**given))

    def _add_run(self, connection: Connection, rollout: str, run: str) -> None:
        values = {"rollout": rollout, "run": run, "claimed": self._ledger.now()}
        connection.execute(tables.put(tables.rollout_runs, connection.dialect.name), values)

    def _check_packet(self, connection: Connection, *texts: str) -> None:
        """MySQL drops the connection over a longer one, and says nothing of the reason."""
        if connection.dialect.name not in ("mysql", "mariadb"):
            return
        most = int(connection.execute(text("SELECT @@max_allowed_packet")).scalar_one())
        needed = sum(len(pack(one)) for one in texts) + _REST_OF_PACKET
        if needed > most:
            raise LedgerError(
                Problem(
                    f"the plan takes a packet of {needed:,} bytes, and the ledger's server allows "
                    f"{most:,}",
                    where=place_of(self._ledger.url),
                    key="ledger",
                    todo="Set max_allowed_packet of that server higher, or roll out fewer targets "
                    "at a time.",
                )
            )

    def _taking(
        self, work: Callable[[Connection], _Result], rollout: str, binds: Collection[str]
    ) -> _Result:
        """Do what takes binds. Raises UsageError for those that another rollout has."""
        for last in (False, True):
            try:
                return self._writing(work)
            except IntegrityError as error:
                self.refuse_taken(binds, but=rollout)
                # Given back since, by a rollout that ended just now.
                if last:
                    raise unusable(self._ledger.url, error) from error
        raise AssertionError("unreachable")

    def refuse_taken(self, binds: Collection[str], *, but: str = "") -> None:
        """Raise UsageError for binds that are in a rollout, `but` this one, that is not over."""
        rows = taken(self._ledger, binds, but=but)
        if rows:
            raise UsageError(
                [
                    Problem(
                        f"rollout {row.rollout} is {row.status}, and a bind is in one rollout at "
                        "a time",
                        where=f"bind {row.bind}",
                        todo=f"{row.ways_out}.",
                    )
                    for row in rows
                ]
            )

    def _writing(self, work: Callable[[Connection], _Result]) -> _Result:
        """Do this in a transaction, twice when need be: a server that was started anew, or a
        deadlock, is gone by then. Raises IntegrityError and LedgerError."""
        for last in (False, True):
            try:
                with self._ledger.engine.begin() as connection:
                    return work(connection)
            except IntegrityError:
                raise
            except SQLAlchemyError as error:
                if last or not isinstance(error, DBAPIError):
                    raise unusable(self._ledger.url, error) from error
                time.sleep(AGAIN_SECONDS)
        raise AssertionError("unreachable")


def _take(connection: Connection, rollout: str, binds: Collection[str]) -> None:
    """Raises IntegrityError."""
    # In one order, so that two that take several do not wait for each other.
    rows = [{"bind": bind, "rollout": rollout} for bind in sorted(binds)]
    if rows:
        connection.execute(insert(tables.rollout_binds), rows)


def _put(
    connection: Connection,
    table: Table,
    rollout: str,
    rows: Sequence[WaveRow] | Sequence[RolloutTarget],
) -> None:
    names = [column.name for column in table.columns if column.name != "rollout"]
    values = [
        {"rollout": rollout} | {name: _value(getattr(row, name)) for name in names} for row in rows
    ]
    tables.put_rows(connection, table, values)


def _value(value: object) -> object:
    return kept_text(value) if isinstance(value, str) else value
