"""Rollouts as pictures want them: no ledger, and no process that drives them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.cli.rollout.picture import Picture, failed_of
from orchestrator.ledger.rollout_types import (
    RolloutRow,
    RolloutTarget,
    RolloutView,
    WaveCount,
    WaveRow,
)

NOON = datetime(2026, 11, 23, 12)
NAME = "20261123T115500-4f2a"
WAVES = (
    WaveRow(0, "canary", 20, 8, 0, soak=600, state="done"),
    WaveRow(1, "tenth", 198, 8, 2, state="running", pause=True),
    WaveRow(2, "rest", 1782, 16, 17, checks=(("drift",), ("./look", "now"))),
)
COUNTS = (WaveCount(0, 0, 20), WaveCount(1, 100, 95, 1, 2), WaveCount(2, 1782))


def view(
    status: str = "running",
    *,
    waves: tuple[WaveRow, ...] = WAVES,
    counts: tuple[WaveCount, ...] = COUNTS,
    driven: bool | None = None,
    **fields: object,
) -> RolloutView:
    """A rollout in its second wave. status: as people see it."""
    kept = "running" if status == "interrupted" else status
    row = RolloutRow(
        NAME, "upgrade", "alice", NOON - timedelta(seconds=270), NOON, "sha256:1a2b", "", wave=1
    )
    row = replace(row, status=kept, **fields)  # type: ignore[arg-type]
    lives = status == "running" if driven is None else driven
    return RolloutView(row, waves, counts, lives, status)  # type: ignore[arg-type]


def failed(count: int, error: str, revision: str = "4f2a") -> tuple[RolloutTarget, ...]:
    """Targets that failed for one reason."""
    return tuple(
        RolloutTarget(
            number,
            1,
            f"shop/t{number:04}@eu1",
            "shop",
            "eu1",
            f"t{number:04}",
            state="failed",
            error=error,
            revision=revision,
            cause=error,
        )
        for number in range(count)
    )


def picture(
    of: RolloutView | None = None, *rows: RolloutTarget, rate: float = 0.0, **fields: object
) -> Picture:
    """A picture at noon."""
    made = Picture(of or view(), NOON, failed_of(rows), rate)
    return replace(made, **fields)  # type: ignore[arg-type]
