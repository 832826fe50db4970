"""What ran is known afterwards: of runs that end, fail, are stopped, and are killed."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.cli.running import TENANTS, counts, fleet, last, one, run_line, wait_for_progress
from tests.cli.small import command, environment, rows
from tests.conftest import DatabaseFactory


def test_a_run_and_what_became_of_its_targets(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = one(tmp_path, url)
    done = project.run("upgrade", "--all")
    assert done.code == 0, done.all
    run = last(project)
    assert run["run"] == run_line(done)
    assert (run["result"], run["verb"], run["command"]) == (
        "done",
        "upgrade",
        "orchestrator upgrade --all",
    )
    assert run["plan_digest"].startswith("sha256:")
    (outcome,) = run["outcomes"]
    assert (outcome["target"], outcome["before"], outcome["after"]) == ("main", [], ["m1"])
    assert (outcome["steps"], outcome["attempts"], outcome["error"]) == (1, 1, None)
    again = project.run("upgrade", "--all", "--json", "--log-format", "json")
    run = last(project)
    assert counts(run, "main") == {"planned": 1, "unchanged": 1}
    assert run["outcomes"] == []
    assert again.json()[0]["run"] == run["run"]
    events = [json.loads(line) for line in again.err.splitlines()]
    assert {"event": "run-started", "run": run["run"], "verb": "upgrade"} in events
    down = project.run("downgrade", "--all", "--to", "base", "--yes")
    stamp = project.run("stamp", "head", "--all")
    assert (down.code, stamp.code) == (0, 0), down.all + stamp.all
    table = project.run("runs")
    lines = [line.split() for line in table.out.splitlines()]
    assert [line[5] for line in lines[1:]] == ["stamp", "downgrade", "upgrade", "upgrade"]
    assert project.run("runs", "--limit", "1").out.count("\n") == 2
    shown_run = project.run("runs", "show", run_line(down)).out
    assert "result   done" in shown_run
    assert "main: 1 of 1 target: 1 changed" in shown_run


def test_a_dry_run_and_a_refused_command_are_no_runs(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    project = one(tmp_path, pg_database())
    for arguments, code in (
        (("upgrade", "--all", "--dry-run"), 0),
        (("upgrade", "--tenant", "nobody"), 2),
        (("upgrade", "--all", "--to", "strange"), 2),
    ):
        assert project.run(*arguments).code == code
    said = project.run("runs")
    assert (said.code, said.out) == (0, "")
    assert "the ledger has no run yet" in said.err
    assert project.run("runs", "show", "last").code == 2


def test_a_killed_run_says_interrupted_and_how_far_it_came(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    project = fleet(tmp_path, url)
    process = project.start("upgrade", "--all")
    assert wait_for_progress(project)["result"] == "running"
    process.kill()
    process.communicate()
    query = "SELECT schemaname FROM pg_tables WHERE tablename = 'items' AND schemaname <> 'public'"
    run = last(project)
    assert run["result"] == "interrupted"
    assert run["ended"] is None
    assert run["targets"] == TENANTS + 1
    known = counts(run, "shop")
    migrated = {name for (name,) in rows(url, query)}
    told = {one["schema"] for one in run["outcomes"] if one["result"] == "done"} - {None}
    assert 5 <= known["done"] == len(told) <= len(migrated) < TENANTS
    assert told <= migrated, "nothing is told that was not done"
    assert len(migrated - told) <= 30, "at most about a second behind"
    assert known["open"] == TENANTS - known["done"]
    text = project.run("runs").out
    assert f"interrupted  {known['done'] + 1} of {TENANTS + 1}" in text
    people = project.run("runs", "show", "last", "--failed").out
    assert f"shop: {known['done']} of {TENANTS} targets" in people
    assert f"{known['open']} interrupted" in people
    chosen = project.run("targets", "--failed", "--json").json()
    assert len(chosen) == known["open"]
    assert {one["schema"] for one in chosen}.isdisjoint(told)
    again = project.run("upgrade", "--failed")
    assert again.code == 0, again.all
    assert f"--failed: {known['open']} targets of run {run['run']} (upgrade)" in again.err
    assert len(rows(url, query)) == TENANTS


def test_failed_takes_up_what_a_run_left(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    check = "INSERT INTO items SELECT 1 FROM pg_tables WHERE tablename = 'items' GROUP BY 1"
    project = fleet(
        tmp_path,
        url,
        body=f'op.execute("CREATE TABLE items (id int)")\nop.execute("""{check}""")',
    )
    for tenant in (3, 7, 40):
        rows(url, f"CREATE SCHEMA t{tenant}")
        rows(url, f"CREATE TABLE t{tenant}.items (id int)")
    first = project.run("upgrade", "--all")
    assert first.code == 1, first.all
    show = project.run("runs", "show", "last", "--failed")
    assert "3 targets: relation" in show.out
    assert "shop/t40  FAILED in s1" in show.out
    assert "shop: 60 of 60 targets: 57 changed, 3 failed" in show.out
    run = last(project, "--failed")
    assert {one["target"] for one in run["outcomes"]} == {"shop/t3", "shop/t7", "shop/t40"}
    assert len({one["error"]["cause"] for one in run["outcomes"]}) == 1
    names = project.run("targets", "--failed", run["run"], "--tenant", "t?")
    assert [line.split()[0] for line in names.out.splitlines()] == ["shop/t3", "shop/t7"]
    assert len(project.run("status", "--failed", "--json").json()) == 3
    planned = project.run("plan", "--failed", "-o", "plan.json")
    assert planned.code == 0, planned.all
    digest = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))["digest"]
    rows(url, "DROP TABLE t3.items, t7.items")
    second = project.run("upgrade", "--plan", "plan.json")
    assert second.code == 1, second.all
    assert last(project)["plan_digest"] == digest
    rows(url, "DROP TABLE t40.items")
    third = project.run("upgrade", "--failed")
    assert third.code == 0, third.all
    assert "shop/t40  base -> s1" in third.out
    assert "upgrade: 1 target, 1 changed" in third.out
    narrowed = project.run("upgrade", "--failed", run["run"], "--bind", "main")
    assert narrowed.code == 2
    assert "the selection names no target" in narrowed.err


def test_failed_without_a_run_that_left_anything(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    project = one(tmp_path, pg_database())
    nothing = project.run("upgrade", "--failed")
    assert nothing.code == 2, nothing.all
    assert "no run of the ledger left anything unfinished" in nothing.err
    assert "the selection names no target" in nothing.err
    assert project.run("upgrade", "--failed", "--allow-empty").code == 0
    strange = project.run("upgrade", "--failed", "2020")
    assert strange.code == 2
    assert "the ledger has no run '2020'" in strange.err


def test_a_stopped_run_is_interrupted(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    project = fleet(tmp_path, pg_database())
    process = project.start("upgrade", "--all")
    wait_for_progress(project)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    run = last(project)
    assert run["result"] == "interrupted"
    assert run["ended"]
    known = counts(run, "shop")
    assert known["done"] + known["not_started"] == TENANTS
    assert len(project.run("targets", "--failed", "--json").json()) == known["not_started"]


def test_a_closed_terminal_lets_the_step_end(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = fleet(tmp_path, url)
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        command("upgrade", "--all"),
        cwd=project.root,
        env=environment() | {"TERM": "xterm"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        # Whoever started the tests may ignore it (nohup), and children inherit that.
        preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_DFL),
    )
    os.close(terminal)
    os.set_blocking(master, False)

    def look() -> None:
        with suppress(BlockingIOError):
            os.read(master, 65_536)

    wait_for_progress(project, look)
    os.close(master)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 130
    run = last(project)
    assert run["result"] == "interrupted"
    known = counts(run, "shop")
    assert known["done"] + known["not_started"] == TENANTS
    query = "SELECT count(*) FROM pg_tables WHERE tablename = 'items' AND schemaname <> 'public'"
    assert rows(url, query) == [(known["done"],)]
