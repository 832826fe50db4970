"""Runs and outcomes as tests want them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.process import this_process
from orchestrator.ledger.types import Batch, BindCount, OutcomeResult, OutcomeRow, Run, RunResult

NOON = datetime(2026, 11, 22, 12, 0, 0, 250_000)


def run(name: str = "20261122T120000-0001", minutes: int = 0, **fields: object) -> Run:
    """A run of this process."""
    here, at = this_process(), NOON + timedelta(minutes=minutes)
    made = Run(
        name, "alice", here.host, here.pid, here.birth, "0.1.0", "upgrade", "x --all", at, at
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def row(number: int, result: OutcomeResult = "done", bind: str = "shop") -> OutcomeRow:
    """An outcome of one tenant."""
    name = f"t{number}"
    made = OutcomeRow(number, f"{bind}/{name}", bind, "eu1", name, name, "app", result, "a1", "b2")
    return replace(made, error="no room", cause="no room") if result == "failed" else made


def batch(
    *rows: OutcomeRow,
    counts: tuple[BindCount, ...] = (),
    ended: datetime | None = None,
    result: RunResult | None = None,
) -> Batch:
    """What is new of a run."""
    return Batch(NOON, rows, counts, ended=ended, result=result)


def write(ledger: Ledger, name: str, news: Batch) -> None:
    """Write it in a transaction of its own."""
    with ledger.engine.begin() as connection:
        ledger.write(connection, name, news)
