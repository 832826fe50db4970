"""What other verbs say of a bind that is in a rollout."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.rollout.gated import gated, open_gate, running
from tests.cli.rollout.test_story import START
from tests.conftest import DatabaseFactory
from tests.execution.rollout.fleet import Fleet

TWO = "{concurrency: 2, waves: [{name: one, count: 2, pause: true}, {name: rest}]}"


def test_a_run_beside_a_rollout(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    """It is warned of once, by what moves targets, until the rollout is over."""
    fleet = Fleet.make(tmp_path, [pg_database()], 6, TWO)
    run = fleet.project.run
    assert run(*START).code == 0
    name = fleet.view.row.id
    first, second = (one.tenant for one in fleet.rows("waiting")[:2])
    assert first
    assert second
    words = f"warning: bind shop: rollout {name} is paused, and this"
    ways = f"`orchestrator rollout resume {name}` ends it, `orchestrator rollout abort"
    idle = run("upgrade", "--all", "--to", "r1")
    assert "bind shop" not in idle.err, idle.all
    said = run("upgrade", "--tenant", first)
    assert said.code == 0, said.all
    assert said.err.count(f"{words} upgrade knows nothing of its waves") == 1, said.err
    assert ways in said.err
    assert run("plan", "-o", "plan.json", "--tenant", second).code == 0
    assert words in run("upgrade", "--plan", "plan.json").err
    back = run("downgrade", "--tenant", first, "--to", "r1", "--yes", "--log-format", "json")
    events = [json.loads(line) for line in back.err.splitlines()]
    (told,) = [one for one in events if "rollout" in one]
    assert (told["event"], told["bind"], told["rollout"], told["status"]) == (
        "warning",
        "shop",
        name,
        "paused",
    )
    asked = run("downgrade", "--tenant", second, "--to", "r1")
    assert asked.code == 2
    assert asked.err.index(f"{words} downgrade") < asked.err.index("this takes back"), asked.err
    assert run("rollout", "abort", "--yes").code == 0
    assert "bind shop" not in run("upgrade", "--all").err


def test_a_rollout_that_runs_or_was_killed(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    fleet = gated(tmp_path, pg_database(), 3, "{concurrency: 1, waves: []}")
    with running(fleet, *START) as driver:
        driver.until_waiting(1)
        name = fleet.view.row.id
        said = fleet.project.run("stamp", "r2", "--tenant", "t2")
        assert f"bind shop: rollout {name} is running, and this stamp" in said.err, said.all
        assert f"`orchestrator rollout pause {name}` stops it" in said.err
        second = fleet.project.run(*START)
        assert f"    `orchestrator rollout pause {name}` stops it" in second.err, second.all
        driver.process.kill()
        driver.said()
    open_gate(fleet)
    said = fleet.project.run("upgrade", "--all")
    assert f"bind shop: rollout {name} is interrupted, and this upgrade" in said.err, said.all
