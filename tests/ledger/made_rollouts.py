"""Rollouts as tests want them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from orchestrator.ledger.rollout_types import RolloutRow, RolloutTarget, WaveRow
from tests.ledger.made import NOON

PLAN = '{"digest": "sha256:1", "ä": "\N{GRINNING FACE}"}\n'
WAVES = (
    WaveRow(0, "canary", 2, 8, 0, soak=1.5, pause=True, checks=(("verify",), ("./look", "a b"))),
    WaveRow(1, "rest", 3, 4, 1),
)


def rollout(name: str = "20261122T120000-0001", minutes: int = 0, **fields: object) -> RolloutRow:
    """A rollout that runs, driven by the run "first"."""
    at = NOON + timedelta(minutes=minutes)
    made = RolloutRow(name, "upgrade", "alice", at, at, "sha256:1", PLAN, run="first")
    return replace(made, **fields)  # type: ignore[arg-type]


def places(*binds: str, count: int = 5) -> tuple[RolloutTarget, ...]:
    """Targets of these binds in turn: two in the first wave, the others in the second."""
    names = binds or ("shop",)
    return tuple(
        RolloutTarget(
            number, int(number > 1), f"{bind}/t{number}", bind, "eu1", f"t{number}", "a1", "b2"
        )
        for number, bind in ((one, names[one % len(names)]) for one in range(count))
    )
