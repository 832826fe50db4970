"""Which binds are in a rollout that is not over.

Enters: names of binds.  Leaves: who has them.  One query where none is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from orchestrator.ledger import tables
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.process import result_now
from orchestrator.ledger.types import Run


@dataclass(frozen=True, slots=True)
class Taken:
    """A bind, and its rollout. status: "running", "interrupted" where its process is dead,
    "paused" or "stopped"."""

    bind: str
    rollout: str
    status: str

    @property
    def ways_out(self) -> str:
        """What people can do with it."""
        verb, does = ("pause", "stops it") if self.status == "running" else ("resume", "ends it")
        return (
            f"`orchestrator rollout {verb} {self.rollout}` {does}, "
            f"`orchestrator rollout abort {self.rollout}` gives it up"
        )


def taken(ledger: Ledger, binds: Collection[str], *, but: str = "") -> tuple[Taken, ...]:
    """Those of these binds that are in a rollout, `but` this one, in their order. Raises
    LedgerError."""
    own, rollouts = tables.rollout_binds.c, tables.rollouts.c
    query = (
        select(own.bind, own.rollout, rollouts.status, rollouts.run)
        .join(tables.rollouts, rollouts.id == own.rollout)
        .where(own.bind.in_(sorted(binds)), own.rollout != but)
        .order_by(own.bind)
    )
    with ledger.reading() as connection:
        rows = connection.execute(query).all()
        runs = select(tables.runs).where(tables.runs.c.id.in_({row.run for row in rows}))
        now = ledger.now()
        found = connection.execute(runs) if rows else ()
        living = {
            run.id
            for run in (Run(**row._mapping) for row in found)
            if result_now(run, now) == "running"
        }
    return tuple(
        Taken(
            row.bind,
            row.rollout,
            "interrupted" if row.status == "running" and row.run not in living else row.status,
        )
        for row in rows
    )
