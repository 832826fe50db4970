"""Rollouts from the command line, on real servers, as people run them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.cli.small import Said
from tests.conftest import DatabaseFactory
from tests.execution.rollout.fleet import Fleet

RULES = "{concurrency: 2, waves: [{name: canary, count: 2}, {name: rest}]}"
START = ("rollout", "start", "--all", "--yes", "--no-lint")


def rollout_of(said: Said) -> str:
    """The id of the rollout that a command told of."""
    found = re.search(r"rollout (\d{8}T\d{6}-\w{4})", said.out)
    assert found, said.all
    return found[1]


def events(said: Said, *names: str) -> list[dict[str, Any]]:
    """The events of --log-format json."""
    told = [json.loads(line) for line in said.err.splitlines() if line.startswith("{")]
    return [one for one in told if one["event"] in names] if names else told


def test_the_whole_story(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """A budget is spent, the cause is repaired, the rollout goes on, and the ledger tells."""
    fleet = Fleet.make(tmp_path, [any_database()], 8, RULES)
    project = fleet.project
    canaries = project.run("rollout", "start", "--all", "--no-lint", "--dry-run", "--json").json()
    broken = [name.removeprefix("shop/") for name in canaries["waves"][1]["targets"]]
    fleet.break_(broken)

    started = project.run(*START)
    assert started.code == 1, started.all
    assert "waves:\n    canary  2 targets; 2 at a time, none may fail\n" in started.out
    assert "wave canary: 2 targets, 2 at a time, none may fail\n" in started.err
    assert "wave canary: 2 of 2 targets through\n" in started.err
    assert "canary  2 of 2 targets through\n" in started.out
    assert re.search(r"rest    [12] of 6 targets through, [12] failed\n", started.out)
    name = rollout_of(started)
    assert f"rollout {name}: stopped: wave rest: " in started.out
    assert f"\n    orchestrator rollout resume {name}\n" in started.out

    status = project.run("rollout", "status", "--exit-code")
    assert status.code == 1, status.all
    assert f"rollout {name}: stopped, wave 2 of 2\n" in status.out
    assert "canary  2 of 2 targets: done\n" in status.out
    data = project.run("rollout", "status", name[:15], "--json").json()
    assert (data["rollout"], data["status"], data["driven"]) == (name, "stopped", False)
    assert {one["state"] for one in data["failed"]} == {"failed"}
    assert data["failed"][0]["revision"] == "r2"

    fleet.fix(broken)
    resumed = project.run("rollout", "resume", "--yes", "--json")
    assert resumed.code == 0, resumed.all
    ended = resumed.json()
    assert (ended["status"], ended["failed"], ended["new"]) == ("done", [], [])
    assert ended["plan_digest"] == data["plan_digest"]
    assert list(fleet.applied()) == [1]
    assert project.run("rollout", "status", "--exit-code").code == 0

    shown = project.run("runs", "show", ended["run"])
    assert f"rollout  {name}\n" in shown.out, shown.all
    assert "command  orchestrator rollout resume --yes --json\n" in shown.out
    runs = project.run("runs", "--json").json()
    assert [(one["verb"], one["result"]) for one in runs] == [
        ("rollout resume", "done"),
        ("rollout start", "failed"),
    ]
    assert {one["plan_digest"] for one in runs} == {data["plan_digest"]}
    again = project.run("rollout", "start", "--all", "--yes")
    assert (again.code, again.out) == (0, "nothing to do\n"), again.all
    assert len(project.run("rollout", "status", "--all", "--json").json()) == 1


def test_events_tell_the_same(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    rules = (
        "{concurrency: 1, waves: [{name: canary, count: 1, soak: 1s, "
        "checks: ['sh -c \"cat >> checked\"']}, {name: rest}]}"
    )
    fleet = Fleet.make(tmp_path, [pg_database()], 3, rules)
    said = fleet.project.run(*START, "--log-format", "json", "--json")
    assert said.code == 0, said.all
    told = events(said)
    # A warning: this ledger is lost with the container, where there is one.
    names = [one["event"] for one in told if one["event"] != "warning"]
    # A target begins in a thread, while another's end is told.
    apart = ("recording", "step-started", "target-started", "target-ended")
    assert [name for name in names if name not in apart] == [
        *["run-started", "rollout-started", "wave-started"],
        *["check-started", "check-ended", "soaking", "check-started", "check-ended"],
        *["wave-ended", "wave-started", "wave-ended", "rollout-ended"],
    ]
    assert [names.count(name) for name in apart] == [1, 3, 3, 3]
    assert names.index("target-ended") < names.index("check-started")
    data = said.json()
    assert events(said, "rollout-started")[0]["rollout"] == data["rollout"]
    assert events(said, "rollout-started")[0]["plan_digest"] == data["plan_digest"]
    assert events(said, "run-started")[0]["run"] == data["run"]
    first, second = events(said, "wave-started")
    assert (first["wave"], first["waiting"], first["max_failures"]) == ("canary", 1, 0)
    assert (second["wave"], second["number"], second["waiting"]) == ("rest", 1, 2)
    assert (
        events(said, "check-ended")[0] | {"passed": True, "wave": "canary"}
        == (events(said, "check-ended")[0])
    )
    end = events(said, "rollout-ended")[0]
    assert (end["status"], end["failed"], end["new"], end["reason"]) == ("done", 0, [], None)
    wrote = fleet.project.root / "checked"
    heard = [json.loads(part) for part in re.findall(r"\{.*?\}\]\}", wrote.read_text())]
    assert [one["soaked"] for one in heard] == [False, True]
    assert {one["rollout"] for one in heard} == {data["rollout"]}


def test_a_failed_check_stops_it(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    rules = "{waves: [{name: canary, count: 1, checks: ['sh -c \"echo too slow; exit 3\"']}]}"
    fleet = Fleet.make(tmp_path, [pg_database()], 3, rules)
    said = fleet.project.run(*START)
    assert said.code == 1, said.all
    assert "check sh -c 'echo too slow; exit 3' FAILED in 0 s\n    too slow" in said.out
    assert ": stopped: wave canary: check sh -c 'echo too slow; exit 3' failed" in said.out
    status = fleet.project.run("rollout", "status")
    assert "canary  1 of 1 target: stopped" in status.out, status.all


def test_a_pause_of_the_plan_is_no_failure(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    rules = "{waves: [{name: canary, count: 1, pause: true}]}"
    fleet = Fleet.make(tmp_path, [pg_database()], 3, rules)
    project = fleet.project
    said = project.run(*START)
    assert said.code == 0, said.all
    name = rollout_of(said)
    assert f"rollout {name}: paused: wave canary is done, and has `pause: true`\n" in said.out

    # One rollout for a bind at a time.
    second = project.run(*START)
    assert second.code == 2, second.all
    assert f"bind shop: rollout {name} is paused" in second.err
    assert "waves:" not in second.out
    assert project.run("rollout", "pause").out == (
        f"rollout {name} is paused already; nothing of it runs\n"
    )

    ended = project.run("rollout", "abort", "--yes")
    assert (ended.code, ended.out) == (
        0,
        f"rollout {name} is aborted: 1 of 3 targets are through\n",
    ), ended.all
    for verb in ("resume", "pause", "abort", "retry"):
        refused = project.run("rollout", verb, name)
        assert refused.code == 2, refused.all
        assert f"rollout {name} is aborted" in refused.err
    anew = project.run(*START)
    assert anew.code == 0, anew.all
    assert rollout_of(anew) != name
    assert project.run("rollout", "resume", "--yes").code == 0
    assert list(fleet.applied()) == [1]
    listed = project.run("rollout", "status", "--all")
    assert [line.split()[3] for line in listed.out.splitlines()[1:]] == ["done", "aborted"]


def test_edited_revisions_are_no_part_of_the_plan(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    rules = "{waves: [{name: canary, count: 1, pause: true}]}"
    fleet = Fleet.make(tmp_path, [pg_database()], 3, rules)
    name = rollout_of(fleet.project.run(*START))
    file = fleet.project.root / "migrations/versions/shop/r2.py"
    text = file.read_text()
    file.write_text(text.replace("price", "cost"))
    refused = fleet.project.run("rollout", "resume", "--yes")
    assert refused.code == 2, refused.all
    assert "the revision file is not the one that was planned" in refused.err
    assert f"`orchestrator rollout abort {name}` gives it up for a new one" in refused.err
    assert fleet.view.status == "paused"
    file.write_text(text)
    assert fleet.project.run("rollout", "resume", "--yes").code == 0
    assert list(fleet.applied()) == [1]


def test_retry_runs_the_failed_ones_alone(tmp_path: Path, any_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [any_database()], 6, "{max_failures: 2, waves: []}")
    project = fleet.project
    fleet.break_(["t1", "t4"])
    said = project.run(*START)
    assert said.code == 1, said.all
    name = rollout_of(said)
    assert f"rollout {name}: done: 2 failed, no more than max_failures\n" in said.out
    assert f"To run the 2 failed targets again:\n    orchestrator rollout retry {name}" in said.out
    fleet.fix(["t1"])
    half = project.run("rollout", "retry", "--yes")
    assert half.code == 1, half.all
    assert "wave all: 2 targets of 6" in half.err
    fleet.fix(["t4"])
    rest = project.run("rollout", "retry", name, "--yes")
    assert rest.code == 0, rest.all
    assert list(fleet.applied()) == [1]
    nothing = project.run("rollout", "retry", name, "--yes")
    assert nothing.code == 0
    assert nothing.err.endswith("no target has failed; nothing to do\n")


def test_targets_that_came_meanwhile_are_told_and_taken(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    rules = "{waves: [{name: canary, count: 1, pause: true}]}"
    fleet = Fleet.make(tmp_path, [pg_database()], 2, rules)
    project = fleet.project
    name = rollout_of(project.run(*START))
    paused = project.run("rollout", "retry")
    assert f"nothing to do; `orchestrator rollout resume {name}` goes on" in paused.err
    fleet.enlist(["t0", "t1", "t2"])
    fleet.lay_out(["t2"])
    said = project.run("rollout", "resume", "--yes")
    assert said.code == 0, said.all
    assert "1 target came after the plan: shop/t2\n" in said.out
    command = f"orchestrator rollout resume {name} --include-new"
    assert f"\n    {command}\n" in said.out
    taken = project.run(*command.split()[1:], "--yes")
    assert taken.code == 0, taken.all
    assert "new     1 of 1 target through\n" in taken.out
    assert list(fleet.applied()) == [1]


def test_a_target_that_somebody_altered_is_told_and_stops_its_wave(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    fleet = Fleet.make(
        tmp_path,
        [any_database()],
        5,
        "{waves: [{name: canary, select: {tenant: t3}, pause: true}]}",
    )
    project = fleet.project
    fleet.sql("t3", "ALTER TABLE {at}.items ADD COLUMN note varchar(20)")
    said = project.run(*START)
    assert said.code == 0, said.all
    assert "not like their cohort before it begins: 1 target\n" in said.out
    assert "    shop/t3: its schema is not like that of shop/" in said.out
    assert "        table items: column note" in said.out
    fleet.sql("t1", "ALTER TABLE {at}.items ADD COLUMN other varchar(20)")
    stopped = project.run("rollout", "resume", "--yes")
    assert stopped.code == 1, stopped.all
    assert (
        "shop/t1: its schema was changed by somebody else since it was looked at\n" in stopped.out
    )
    assert "    table items: column other" in stopped.out
    status = project.run("rollout", "status", "--json").json()
    assert [(one["target"], one["state"]) for one in status["failed"]] == [("shop/t1", "different")]
    assert status["waves"][1]["done"] == 3 or status["waves"][1]["waiting"] == 3
    accepted = project.run("rollout", "resume", "--yes", "--accept-different")
    assert accepted.code == 0, accepted.all
    assert list(fleet.applied()) == [1]


def test_without_verify_nobody_compares(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [pg_database()], 3, RULES)
    fleet.sql("t1", "ALTER TABLE {at}.items ADD COLUMN note varchar(20)")
    said = fleet.project.run(*START, "--no-verify")
    assert said.code == 0, said.all
    assert "not like" not in said.all
    assert fleet.project.run("rollout", "status", "--json").json()["verify"] is False
