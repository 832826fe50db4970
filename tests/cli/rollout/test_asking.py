"""Rollouts that are asked to stop, interrupted, killed, and gone on with, by several terminals."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.rollout.gated import gated, on_terminal, open_gate, running
from tests.cli.rollout.test_story import RULES, START, rollout_of
from tests.cli.small import SmallProject
from tests.conftest import DatabaseFactory
from tests.execution.rollout.fleet import Fleet

_HEARD = 3.0
"""Seconds in which the process that drives a rollout hears what was asked; it looks each second."""
TWO = "{concurrency: 2, waves: []}"


@pytest.mark.parametrize(
    ("ask", "status", "code"), [("pause", "paused", 0), ("abort", "aborted", 1)]
)
def test_another_terminal_stops_it(
    tmp_path: Path, pg_database: DatabaseFactory, ask: str, status: str, code: int
) -> None:
    """Running targets end, no other starts, and who asked waits for that."""
    fleet = gated(tmp_path, pg_database(), 6, TWO)
    yes = ["--yes"] * (ask == "abort")
    with running(fleet, *START) as driver:
        driver.until_waiting(2)
        early = fleet.project.run("rollout", ask, *yes, "--wait", "0s")
        assert early.code == 1, early.all
        assert "and targets still run" in early.err
        shown = fleet.project.run("rollout", "status")
        assert f"running, wave 1 of 1, asked to {ask}\n" in shown.out, shown.all
        with running(fleet, "rollout", ask, *yes) as asking:
            asking.until_told("running targets go on")
            open_gate(fleet)
            asked = asking.said()
        said = driver.said()
    assert asked.code == 0, asked.all
    name = rollout_of(asked)
    assert asked.out.startswith(f"rollout {name} is {status}"), asked.all
    assert said.code == code, said.all
    assert f"rollout {name}: {status}: " in said.out
    assert fleet.view.status == status
    assert len(fleet.applied()[1]) == 2
    assert len(fleet.rows("waiting")) == 4


def test_a_killed_one_is_interrupted_and_goes_on(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    fleet = gated(tmp_path, pg_database(), 4, TWO)
    with running(fleet, *START) as driver:
        driver.until_waiting(2)
        resumed = fleet.project.run("rollout", "resume", "--yes")
        assert resumed.code == 2, resumed.all
        assert "drives it" in resumed.err
        driver.process.kill()
        driver.said()
    open_gate(fleet)
    status = fleet.project.run("rollout", "status")
    assert "interrupted, wave 1 of 1\n" in status.out, status.all
    assert "The process that drove it is gone. To go on where it was:\n" in status.out
    listed = fleet.project.run("rollout", "status", "--all", "--json").json()
    assert [(one["status"], one["driven"]) for one in listed] == [("interrupted", False)]
    again = fleet.project.run("rollout", "resume", "--yes")
    assert again.code == 0, again.all
    assert fleet.applied() == {1: ["t0", "t1", "t2", "t3"]}


@pytest.mark.parametrize(("ask", "status"), [("pause", "paused"), ("abort", "aborted")])
def test_a_killed_one_is_settled_by_who_asks(
    tmp_path: Path, pg_database: DatabaseFactory, ask: str, status: str
) -> None:
    fleet = gated(tmp_path, pg_database(), 3, TWO)
    with running(fleet, *START) as driver:
        driver.until_waiting(2)
        driver.process.kill()
        driver.said()
    open_gate(fleet)
    said = fleet.project.run("rollout", ask, *["--yes"] * (ask == "abort"))
    assert said.code == 0, said.all
    assert f"is {status}" in said.out
    assert fleet.view.row.status == status
    assert f"{status} by " in fleet.view.row.reason


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_running_steps_end(
    tmp_path: Path, pg_database: DatabaseFactory, number: signal.Signals
) -> None:
    fleet = gated(tmp_path, pg_database(), 5, TWO)
    with running(fleet, *START) as driver:
        driver.until_waiting(2)
        driver.process.send_signal(number)
        open_gate(fleet)
        said = driver.said()
    assert said.code == 130, said.all
    assert "stopping after the running steps; once more to cancel them on the server" in said.err
    assert f": interrupted: interrupted by {number.name}\n" in said.out
    assert f"\n    orchestrator rollout resume {rollout_of(said)}\n" in said.out
    assert len(fleet.applied()[1]) == 2
    assert fleet.project.run("runs", "--json").json()[0]["result"] == "interrupted"
    again = fleet.project.run("rollout", "resume", "--yes")
    assert again.code == 0, again.all
    assert list(fleet.applied()) == [1]


def test_another_machine_sees_it_and_pauses_it(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    """Another folder with the same databases.yaml; the ledger is on a server."""
    fleet = gated(tmp_path / "here", pg_database(), 4, TWO, ledger=pg_database())
    there = replace(fleet, project=SmallProject(tmp_path / "there"))
    for name in ("databases.yaml", "tenants.csv"):
        there.project.write(name, (fleet.project.root / name).read_text())
    with running(fleet, *START) as driver:
        driver.until_waiting(2)
        seen = there.project.run("rollout", "status", "--json").json()
        assert (seen["status"], seen["driven"]) == ("running", True)
        with running(there, "rollout", "status", "--watch", "--exit-code") as watching:
            with running(there, "rollout", "pause") as asking:
                driver.until_asked("pause")
                time.sleep(_HEARD)
                open_gate(fleet)
                asked = asking.said()
            watched = watching.said()
        said = driver.said()
    assert (asked.code, said.code) == (0, 0), asked.all + said.all
    assert watched.code == 1, watched.all
    assert "all: 0 of 4, running\n" in watched.out
    assert "all  2 of 4 targets: paused, " in watched.out
    assert "paused by `rollout pause`" in watched.out


def test_without_a_terminal_nobody_is_asked(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    rules = "{max_failures: 1, waves: [{name: canary, select: {tenant: t1}, pause: true}]}"
    fleet = Fleet.make(tmp_path, [pg_database()], 3, rules)
    fleet.break_(["t1"])
    project = fleet.project
    refused = project.run("rollout", "start", "--all", "--no-lint")
    assert refused.code == 2, refused.all
    assert "this upgrades 3 targets in 2 waves, and there is no terminal to ask on" in refused.err
    assert "Pass --yes" in refused.err
    assert "waves:\n" in refused.out
    assert project.run("rollout", "status", "--all").out == ""
    assert fleet.applied() == {0: ["t0", "t1", "t2"]}
    assert project.run(*START).code == 0
    for verb, words in (
        ("resume", "; 2 targets to come, and there is no terminal to ask on"),
        ("retry", "this runs 1 failed target of rollout "),
        ("abort", "for good; 1 of 3 targets are through, and that stays so, and there is no"),
    ):
        refused = project.run("rollout", verb)
        assert refused.code == 2, refused.all
        assert words in refused.err
        assert "Pass --yes to do it." in refused.err
    assert fleet.view.status == "paused"


def test_a_person_is_asked_and_sees_bars(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [pg_database()], 4, RULES)
    start = ("rollout", "start", "--all", "--no-lint")
    code, shown = on_terminal(fleet.project, *start, typed="n\n")
    assert (code, "nothing was done" in shown) == (1, True), shown
    assert fleet.project.run("rollout", "status", "--all").out == ""
    code, shown = on_terminal(fleet.project, *start, typed="y\n")
    assert code == 0, shown
    assert "━━━" in shown
    assert "rollout 2" in shown
    assert fleet.applied() == {1: ["t0", "t1", "t2", "t3"]}
    code, watched = on_terminal(fleet.project, "rollout", "status", "--watch")
    assert code == 0, watched
    assert "canary" in watched
    assert "━━━" in watched


def test_words_that_mean_no_rollout(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [pg_database()], 2, RULES)
    project = fleet.project
    none = project.run("rollout", "status")
    assert (none.code, none.out) == (0, ""), none.all
    assert "the ledger has no rollout yet" in none.err
    assert project.run("rollout", "status", "--json").json() == []
    for verb in ("pause", "resume", "retry", "abort"):
        said = project.run("rollout", verb)
        assert said.code == 2, said.all
        assert "the ledger has no rollout yet" in said.err
    assert project.run(*START).code == 0
    for verb in ("status", "pause", "resume", "retry", "abort"):
        said = project.run("rollout", verb, "nope")
        assert said.code == 2, said.all
        assert "the ledger has no rollout 'nope'" in said.err
    said = project.run("rollout", "status", "--watch", "--json")
    assert said.code == 2
    assert "--watch does not go with --json" in said.err
    said = project.run("rollout", "stop")
    assert said.code == 2
    assert "No such command 'stop'" in said.err
