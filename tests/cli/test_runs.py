"""What ran is known afterwards: of runs that end, fail, are stopped, and are killed."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from sqlalchemy import URL

from tests.cli.small import Said, SmallProject, command, environment, rows, shown, small_project
from tests.conftest import DatabaseFactory

TENANTS = 60

SLOW = 'op.execute("CREATE TABLE items (id int)")\nop.execute("SELECT pg_sleep(0.1)")'


def fleet(root: Path, url: URL, *, ledger: str = "", body: str = SLOW) -> SmallProject:
    """A bind of its own, and one with 60 tenants, two at a time."""
    project = small_project(
        root,
        f"""
        {ledger}
        apps: {{packages: [apps]}}
        default_bind: main
        rollout: {{concurrency: 2}}
        binds:
          main: {{url: {shown(url)}}}
          shop:
            tenancy: schema
            create: true
            apps: []
            url: {shown(url)}
            tenants: {{list: [{", ".join(f"t{number}" for number in range(TENANTS))}]}}
        """,
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE items (id int)")')
    project.revision("shop", "s1", body)
    return project


def one(root: Path, url: URL, *, ledger: str = "") -> SmallProject:
    """One target, one revision."""
    project = small_project(
        root,
        f"{ledger}\napps: {{packages: [apps]}}\nbinds: {{main: {{url: {shown(url)}}}}}\n",
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE items (id int)")')
    return project


def last(project: SmallProject, *arguments: str) -> Any:
    """The last run, for machines."""
    said = project.run("runs", "show", "last", "--json", *arguments)
    assert said.code == 0, said.all
    return said.json()


def counts(run: Any, bind: str) -> dict[str, int]:
    """The counts of one bind of a run."""
    (found,) = (one for one in run["binds"] if one["bind"] == bind)
    return {name: value for name, value in found.items() if name != "bind" and value}


def wait_for_progress(project: SmallProject, meanwhile: Callable[[], object] = lambda: None) -> Any:
    """Wait until the run that goes on has brought some targets to head, and give that run."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        meanwhile()
        time.sleep(0.1)
        runs = project.run_here("runs", "--json").json()
        if runs and sum(bind["done"] for bind in runs[0]["binds"]) >= 6:
            return runs[0]
    raise AssertionError("no target was brought to head")


def run_line(said: Said) -> str:
    """The id of the run that a summary ends with."""
    word, name = said.out.splitlines()[-1].split()
    assert word == "run"
    return name


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


@pytest.mark.parametrize("verb", ["upgrade", "downgrade --to base --yes", "stamp head"])
def test_a_ledger_that_cannot_be_written_stops_a_run_before_it_starts(
    tmp_path: Path, pg_database: DatabaseFactory, verb: str
) -> None:
    url = pg_database()
    project = one(tmp_path, url, ledger="ledger: sqlite:////proc/none/ledger.db")
    said = project.run(*verb.split(), "--all")
    assert said.code == 2, said.all
    assert "the ledger cannot be used" in said.err
    assert "set `ledger:` in databases.yaml" in said.err
    assert rows(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_a_newer_ledger_stops_a_run_before_it_starts(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    project = one(tmp_path, url)
    project.run("upgrade", "--all", "--dry-run")
    assert project.run("downgrade", "--all", "--to", "base", "--yes").code == 0
    with sqlite3.connect(tmp_path / ".orchestrator" / "ledger.db") as ledger:
        ledger.execute("UPDATE orchestrator_ledger SET schema_number = 99")
    ledger.close()
    for verb in (["upgrade", "--all"], ["runs"], ["targets", "--failed"]):
        said = project.run(*verb)
        assert said.code == 2, said.all
        assert "schema number 99" in said.err
        assert "Upgrade orchestrator" in said.err
    assert rows(url, "SELECT to_regclass('items')") == [(None,)]


def test_a_ledger_whose_variable_is_unset(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    project = one(tmp_path, pg_database(), ledger='ledger: "${LEDGER_NOT_SET}"')
    assert project.run("status").code == 0
    for verb in (["upgrade", "--all"], ["runs"]):
        said = project.run(*verb)
        assert said.code == 2, said.all
        assert "LEDGER_NOT_SET" in said.err


@pytest.mark.parametrize("where", ["own", "same"])
def test_a_ledger_on_a_server(tmp_path: Path, any_database: DatabaseFactory, where: str) -> None:
    url = any_database()
    kept = any_database() if where == "own" else url
    project = one(tmp_path, url, ledger=f"ledger: {shown(kept)}")
    done = project.run("upgrade", "--all")
    assert done.code == 0, done.all
    assert "container" not in done.err
    assert not (tmp_path / ".orchestrator" / "ledger.db").exists()
    run = last(project)
    assert (run["run"], run["result"]) == (run_line(done), "done")
    assert rows(kept, "SELECT result FROM orchestrator_outcomes") == [("done",)]
    changed = project.run("revision", "-m", "again", "--against", "main")
    assert "orchestrator_" not in "".join(
        path.read_text(encoding="utf-8") for path in (tmp_path / "migrations").rglob("*again*.py")
    ), changed.all


def test_two_runs_share_one_ledger(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    project = fleet(tmp_path, pg_database())
    started = [
        project.start("upgrade", "--bind", "shop", "--tenant", glob)
        for glob in ("t[0-9]", "t[1-5][0-9]")
    ]
    for process in started:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
        assert "cannot be written" not in err
    runs = project.run("runs", "--json").json()
    assert sorted(counts(run, "shop")["done"] for run in runs) == [10, 50]
    assert {run["result"] for run in runs} == {"done"}


def limited(project: SmallProject, kilobytes: int) -> Said:
    """`upgrade --all` in a process that may write no file beyond this size."""
    line = f"ulimit -f {kilobytes} && exec {shlex.join(command('upgrade', '--all'))}"
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=project.root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("room", ["spool", "nowhere"])
def test_no_room_for_the_ledger_stops_no_run(
    tmp_path: Path, pg_database: DatabaseFactory, room: str
) -> None:
    url = pg_database()
    project = fleet(tmp_path, url, body='op.execute("CREATE TABLE items (id int)")')
    # Recordings are made and the ledger's file is there; it has no room for 61 outcomes.
    assert project.run("upgrade", "--bind", "main").code == 0
    assert project.run("plan", "--all").code == 0
    file = tmp_path / ".orchestrator" / "ledger.db"
    with sqlite3.connect(file) as ledger:
        # An end of the file that may be written, and not be passed.
        ledger.execute("CREATE TABLE ballast AS SELECT zeroblob(120000) AS bytes")
    ledger.close()
    if room == "nowhere":
        (tmp_path / ".orchestrator" / "spool").write_text("in the way", encoding="utf-8")
    said = limited(project, file.stat().st_size // 1024)
    assert said.code == 0, said.all
    assert said.err.count("cannot be written: ") == 1, said.all
    assert f"upgrade: {TENANTS + 1} targets, {TENANTS} changed, 1 unchanged" in said.out
    assert said.err.count("cannot be written either: ") == (room == "nowhere")
    if room == "spool":
        run = last(project)
        assert (run["run"], run["result"]) == (run_line(said), "done")
        assert counts(run, "shop") == {"planned": TENANTS, "done": TENANTS}
        assert list((tmp_path / ".orchestrator" / "spool").iterdir()) == []
    query = "SELECT count(*) FROM pg_tables WHERE tablename = 'items' AND schemaname <> 'public'"
    assert rows(url, query) == [(TENANTS,)]


def test_no_password_in_the_ledger(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = one(tmp_path, url)
    password = str(url.password)
    number = f"SELECT CAST('{url.render_as_string(hide_password=False)}' AS int)"
    project.revision("main", "m2", f"op.execute({number.replace('%', '%%')!r})", after="m1")
    assert project.run("upgrade", "--all").code == 1
    run = last(project)
    (outcome,) = run["outcomes"]
    assert "://app:***@" in outcome["error"]["message"]
    assert "://app:***@" in outcome["error"]["statement"]
    kept = (tmp_path / ".orchestrator" / "ledger.db").read_bytes()
    assert b"://app:***@" in kept
    for spelling in (password, quote(password, safe=""), quote_plus(password)):
        assert spelling.encode() not in kept
