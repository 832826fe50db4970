"""The checks of a wave: after its targets and after its soak, and what a failed one does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from servers import PASSWORD
from tests.conftest import DatabaseFactory
from tests.execution.rollout.fleet import Fleet

LOOK = """\
#!/usr/bin/env python3
import json, os, pathlib, sys
told = json.load(sys.stdin)
with open("told.jsonl", "a") as file:
    file.write(json.dumps(told) + "\\n")
sys.exit(3 if pathlib.Path("bad").exists() else 0)
"""


def looking(
    tmp_path: Path, any_database: DatabaseFactory, waves: str, checks: str = "[./look]"
) -> Fleet:
    url = any_database()
    rules = f"{{checks: {checks}, waves: [{waves}]}}"
    fleet = Fleet.make(tmp_path, [url], 6, rules)
    script = fleet.project.write("look", LOOK)
    script.chmod(0o755)
    return fleet


def told(fleet: Fleet) -> list[dict[str, Any]]:
    """What the command was told each time."""
    text = fleet.project.root / "told.jsonl"
    return [json.loads(line) for line in text.read_text().splitlines()] if text.exists() else []


def test_a_command_is_told_the_wave(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """After its targets, and once more after its soak."""
    waves = "{name: canary, count: 2, soak: 1.5s}, {name: rest}"
    fleet = looking(tmp_path, any_database, waves)
    started = fleet.start()
    assert started.end()["status"] == "done", started.told()
    found = told(fleet)
    assert [(one["wave"], one["soaked"], len(one["targets"])) for one in found] == [
        ("canary", False, 2),
        ("canary", True, 2),
        ("rest", False, 4),
    ]
    row = fleet.rows()[0]
    assert row.tenant is not None
    place = fleet.place(row.tenant)
    (first,) = (one for one in found[0]["targets"] if one["tenant"] == row.tenant)
    assert found[0]["rollout"] == fleet.view.row.id
    assert first == {
        "target": row.target,
        "bind": "shop",
        "server": "s0",
        "tenant": row.tenant,
        "schema": place if fleet.schemas else None,
        "database": None if fleet.schemas else place,
        "revisions": ["r2"],
        "labels": {"tier": "inner" if row.tenant in ("t0", "t1") else "outer"},
        "result": "done",
    }
    assert PASSWORD not in (fleet.project.root / "told.jsonl").read_text()


def test_a_failed_check_stops_the_rollout_until_it_passes(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    fleet = looking(tmp_path, pg_database, "{name: canary, count: 2}, {name: rest}")
    (tmp_path / "bad").touch()
    end = fleet.start().end()
    reason = "wave canary: check ./look failed: exit code 3"
    assert (end["status"], end["reason"]) == ("stopped", reason)
    assert len(fleet.rows("done")) == 2
    assert fleet.drive("resume").end()["status"] == "stopped"
    (tmp_path / "bad").unlink()
    assert fleet.drive("resume").end()["status"] == "done"
    assert [len(one["targets"]) for one in told(fleet)] == [2, 2, 2, 4]
    assert list(fleet.applied()) == [1]


def test_a_check_that_fails_after_the_soak(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    fleet = looking(tmp_path, pg_database, "{name: canary, count: 2, soak: 2s}, {name: rest}")
    started = fleet.start()
    started.until("soaking")
    (tmp_path / "bad").touch()
    end = started.end()
    reason = "wave canary: check ./look failed after the soak: exit code 3"
    assert (end["status"], end["reason"]) == ("stopped", reason), started.told()
    (tmp_path / "bad").unlink()
    resumed = fleet.drive("resume")
    assert resumed.end()["status"] == "done"
    # Its soak is over: it is checked at once.
    assert not resumed.of("soaking")


def test_a_check_that_runs_is_ended_when_another_terminal_asks(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    fleet = looking(tmp_path, pg_database, "{name: one}", "[sleep 300]")
    started = fleet.start()
    started.until("checking")
    fleet.rollouts.ask(fleet.view.row.id, "pause")
    assert started.end()["status"] == "paused", started.told()
    assert len(fleet.rows("done")) == 6
    assert fleet.view.waves[0].state == "running"


def test_verify_sees_what_changes_in_a_soak(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    fleet = looking(tmp_path, pg_database, "{name: one, soak: 3s}", "[verify]")
    started = fleet.start()
    started.until("soaking")
    fleet.sql("t3", "ALTER TABLE {at}.items ADD COLUMN note text")
    end = started.end()
    assert end["status"] == "stopped", started.told()
    assert end["reason"].startswith("wave one: check verify failed after the soak: shop/t3: ")
    assert "column note" in end["reason"]
    fleet.sql("t3", "ALTER TABLE {at}.items DROP COLUMN note")
    assert fleet.drive("resume").end()["status"] == "done"


def test_drift_compares_a_wave_with_its_revision(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    """One that was altered before the rollout, and that nothing is compared with."""
    waves = "{name: one, count: 3, pause: true}, {name: rest}"
    fleet = looking(tmp_path, any_database, waves, "[drift]")
    assert fleet.start().end()["status"] == "paused"
    name = fleet.rows("waiting")[0].tenant
    assert name is not None
    fleet.sql(name, "ALTER TABLE {at}.items ADD COLUMN note varchar(5)")
    assert fleet.drive("resume").end()["status"] == "stopped"
    accepted = fleet.drive("resume", "accept")
    end = accepted.end()
    assert end["status"] == "stopped", accepted.told()
    assert end["reason"].startswith(f"wave rest: check drift failed: shop/{name}: ")
    assert "column note" in end["reason"]
    fleet.sql(name, "ALTER TABLE {at}.items DROP COLUMN note")
    assert fleet.drive("resume").end()["status"] == "done"


def test_a_check_that_takes_too_long_stops_it_until_it_is_given_more(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    waves = "{name: canary, count: 2, check_timeout: 500ms}, {name: rest, checks: []}"
    fleet = looking(tmp_path, pg_database, waves, "[sleep 3]")
    end = fleet.start().end()
    assert (end["status"], end["reason"]) == (
        "stopped",
        "wave canary: check sleep 3 failed: it was ended after 0.5 seconds, the wave's "
        "check_timeout: give this rollout more with `rollout resume --check-timeout DURATION`, and "
        "later ones in databases.yaml (rollout.check_timeout, or the wave's own)",
    )
    assert [wave.check_timeout for wave in fleet.view.waves] == [0.5, 600.0]
    resumed = fleet.project.run("rollout", "resume", "--yes", "--check-timeout", "60s")
    assert resumed.code == 0, resumed.all
    assert [wave.check_timeout for wave in fleet.view.waves] == [60.0, 60.0]
    assert fleet.applied() == {1: [f"t{number}" for number in range(6)]}
