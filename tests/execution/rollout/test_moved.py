"""What a run or a rollout moved, as the ledger knows it: no server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.config import Wave
from orchestrator.errors import UsageError
from orchestrator.execution.rollout.moved import Moved, MovedTarget, moved
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutTarget, WaveRow
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.ledger.types import OutcomeResult, OutcomeRow, RunResult
from orchestrator.planning.paths import WayBack
from tests.ledger.made import NOON, batch, run, write
from tests.ledger.made_rollouts import rollout


def outcome(
    name: str, start: str, end: str, result: OutcomeResult = "done", number: int = 0
) -> OutcomeRow:
    steps = int(start != end)
    return OutcomeRow(
        number or int(name[1:]), f"shop/{name}", "shop", "eu", name, name, "app", result, start,
        end, steps,
    )  # fmt: skip


def ran(
    ledger: Ledger,
    name: str,
    *rows: OutcomeRow,
    verb: str = "upgrade",
    result: RunResult | None = "failed",
) -> None:
    """A run that has ended, or was killed (result None)."""
    its = run(name, verb=verb)
    assert ledger.begin(its if result else replace(its, host="gone", birth=""))
    write(ledger, name, batch(*rows, ended=NOON if result else None, result=result))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger.open("sqlite://")


def ways(found: Moved) -> dict[str, WayBack | None]:
    return {one.id.removeprefix("shop/"): one.way for one in found.targets}


def test_a_run(ledger: Ledger) -> None:
    ran(
        ledger,
        "20a",
        outcome("t1", "r1", "r3"),
        outcome("t2", "b,a", "m", "failed"),
        outcome("t3", "", "r1", "not-started"),
        outcome("t4", "r1", "r1", "failed"),
        outcome("t5", "r3", "r3", "unchanged"),
    )
    found = moved(ledger, "20")
    assert (found.id, found.rollout) == ("20a", None)
    assert found.waves == (Wave("all", checks=()),)
    assert ways(found) == {
        "t1": WayBack(("r1",), ("r3",)),
        "t2": WayBack(("a", "b"), ("m",)),
        "t3": WayBack((), ("r1",)),
    }
    assert found.targets[0] == MovedTarget("shop/t1", ("shop", "eu", "t1"), ("r1",), ("r3",), 0)


def test_a_run_that_was_killed_does_not_know_all(ledger: Ledger) -> None:
    ran(ledger, "20a", outcome("t1", "r1", "", "planned"), outcome("t2", "r1", "r2"), result=None)
    found = moved(ledger, "20a")
    assert ways(found) == {"t1": None, "t2": WayBack(("r1",), ("r2",))}
    assert found.targets[0].start == ("r1",)


def in_wave(name: str, wave: int, **fields: object) -> RolloutTarget:
    made = RolloutTarget(int(name[1:]), wave, f"shop/{name}", "shop", "eu", name, "r1", "r3")
    return replace(made, **fields)  # type: ignore[arg-type]


@pytest.fixture
def rolled(ledger: Ledger) -> Ledger:
    """A rollout that two runs drove, the first of which was killed."""
    planned = [outcome(f"t{n}", "r1", "", "planned") for n in (2, 3)]
    ran(ledger, "20a", outcome("t1", "r1", "r3"), *planned, verb="rollout start", result=None)
    ran(
        ledger,
        "20b",
        outcome("t2", "r2", "r3", number=1),
        outcome("t4", "r1", "r2", "failed", number=2),
        outcome("t6", "r1", "r1", "not-started", number=3),
        verb="rollout resume",
    )
    waves = (
        WaveRow(0, "canary", 1, 3, 0, soak=9.0, pause=True, checks=(("verify",),)),
        WaveRow(1, "rest", 5, 8, 2),
    )
    targets = (
        in_wave("t1", 0, state="done"),
        in_wave("t2", 1, state="done"),
        in_wave("t3", 1),
        in_wave("t4", 1, state="failed"),
        in_wave("t5", 1, state="unchanged"),
        in_wave("t6", 1),
    )
    rollouts = Rollouts(ledger)
    rollouts.create(rollout("30r", run="20a"), waves, targets)
    assert rollouts.claim("30r", "20b", "20a")
    rollouts.settle("30r", "stopped")
    return ledger


def test_a_rollout_is_what_all_its_runs_moved(rolled: Ledger) -> None:
    found = moved(rolled, "last")
    assert (found.id, found.rollout.row.id if found.rollout else "") == ("30r", "30r")
    assert ways(found) == {
        "t1": WayBack(("r1",), ("r3",)),
        "t2": WayBack(("r1",), ("r3",)),
        "t3": WayBack(("r1",), ("r3",)),
        "t4": WayBack(("r1",), ("r2",)),
    }, "of t3 it is known how far it can have come"
    assert [(one.id[-2:], one.wave) for one in found.targets] == [
        ("t1", 0),
        ("t2", 1),
        ("t3", 1),
        ("t4", 1),
    ]
    assert found.waves == (
        Wave("canary", concurrency=3, max_failures="0", checks=()),
        Wave("rest", concurrency=8, max_failures="2", checks=()),
    )


def test_a_rollout_whose_runs_were_deleted(rolled: Ledger) -> None:
    with rolled.engine.begin() as connection:
        for table in ("orchestrator_outcomes", "orchestrator_run_binds", "orchestrator_runs"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    way = WayBack(("r1",), ("r3",))
    assert ways(moved(rolled, "30r")) == {"t1": way, "t2": way}


def test_one_run_of_a_rollout(rolled: Ledger) -> None:
    found = moved(rolled, "20b")
    assert (found.id, found.rollout.row.id if found.rollout else "") == ("20b", "30r")
    assert ways(found) == {"t2": WayBack(("r2",), ("r3",)), "t4": WayBack(("r1",), ("r2",))}


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("downgrade", "it took targets back"),
        ("rollout revert", "it took targets back"),
        ("stamp", "it stamped targets, and ran nothing"),
    ],
)
def test_only_upgrades_are_taken_back(ledger: Ledger, verb: str, told: str) -> None:
    ran(ledger, "20a", outcome("t1", "r1", "r3"), verb=verb)
    with pytest.raises(UsageError, match=told) as caught:
        moved(ledger, "20a")
    assert caught.value.problems[0].where == "run 20a"
    assert caught.value.problems[0].todo


def test_nothing_is_taken_back_under_a_run(ledger: Ledger) -> None:
    ledger.begin(run("20a"))
    with pytest.raises(UsageError, match="it still runs"):
        moved(ledger, "20a")
    rollouts = Rollouts(ledger)
    rollouts.create(rollout("30r", run="20a"), (WaveRow(0, "all", 1, 1, 0),), (in_wave("t1", 0),))
    for name in ("30r", "20a"):
        with pytest.raises(UsageError, match="it still runs"):
            moved(ledger, name)


def test_what_is_not_there_or_moved_nothing(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="no run or rollout '20a'"):
        moved(ledger, "20a")
    ran(ledger, "20a", outcome("t1", "r1", "r1", "unchanged"))
    ran(ledger, "20b", outcome("t1", "r1", "r1", "failed"))
    with pytest.raises(UsageError, match="it moved no target"):
        moved(ledger, "20a")
    with pytest.raises(UsageError, match="several runs start with '2': 20a, 20b"):
        moved(ledger, "2")
