"""The command line itself: usage errors, selections, exit codes, questions, start-up time."""

from __future__ import annotations

import json
import os
import pty
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.cli.small import (
    REPOSITORY,
    SmallProject,
    command,
    environment,
    rows,
    shown,
    small_project,
)
from tests.conftest import DatabaseFactory
from tests.databases.dump import dump

OFFLINE = """
apps: {packages: [apps]}
default_bind: main
binds:
  main: {url: "postgresql://app:secret-word@127.0.0.1:1/main"}
  shop:
    url: "postgresql://app:secret-word@127.0.0.1:1/shop"
    tenancy: schema
    apps: []
    depends_on: [main]
    tenants: {list: [acme, {tenant: globex, tier: gold}]}
"""


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    """A project whose servers cannot be reached; what needs none must work."""
    project = small_project(tmp_path_factory.mktemp("offline"), OFFLINE)
    project.revision("main", "aa11")
    project.revision("main", "ab22", after="aa11")
    project.revision("shop", "cc33", more='branch_labels = "sales"\n')
    return project


@pytest.mark.parametrize("verb", [["upgrade"], ["downgrade", "--to", "base"], ["stamp", "head"]])
def test_what_changes_databases_wants_a_selection(offline: SmallProject, verb: list[str]) -> None:
    said = offline.run_here(*verb)
    assert said.code == 2, said.all
    assert f"`{verb[0]}` changes databases, and nothing says which" in said.err
    assert f"orchestrator {verb[0]} --all" in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["upgrade", "--al"], "(Did you mean one of: '--all'"),
        (["upgrade", "--all", "--no-such"], "No such option"),
        (["upgrad", "--all"], "No such command 'upgrad'. Did you mean 'upgrade'?"),
        (["frobnicate"], "No such command 'frobnicate'"),
        (["upgrade", "--all", "extra"], "unexpected extra argument"),
        (["upgrade", "--limit", "0"], "--limit"),
        (["downgrade", "--all"], "Missing option '--to'"),
        (["upgrade", "--all", "--log-format", "xml"], "'xml' is not one of"),
        (["status", "--select", "tier"], "--select 'tier' is no label=value"),
        (["status", "--bind", "shpo"], "there is no bind 'shpo'; did you mean 'shop'?"),
        (["status", "--server", "defualt"], "did you mean 'default'?"),
        (["status", "--tenant", "nobody"], "the selection names no target"),
        (["upgrade", "--tenant", "nobody"], "the selection names no target"),
        (["upgrade", "--tenant", "nobody", "--sql"], "the selection names no target"),
        (["upgrade", "--all", "--to", "nope"], "no such revision: nope"),
        (["upgrade", "--all", "--to", "mian:head"], "did you mean 'main'?"),
        (["upgrade", "--bind", "main", "--to", "shop:head"], "the selection leaves out"),
        (["upgrade", "--all", "--to", "main:cc33"], "no such revision: cc33"),
        (["-c", "none.yaml", "status"], "there is no such file"),
        (["history", "--bind", "zzz"], "there is no bind 'zzz'"),
        (["merge"], "`merge` must name one bind: there are main, shop"),
        (["revision", "--empty", "-m", "x"], "--empty is for one bind"),
        (["revision", "--against", "shop/nobody"], "there is no target 'shop/nobody'"),
        (["revision", "--against", "shop/acme", "--bind", "main"], "differ"),
        (["upgrade", "--all", "--sql"], "the selection names 3"),
        (["downgrade", "--bind", "main", "--to", "base", "--sql"], "Add --from main:REV"),
    ],
)
def test_usage_errors_exit_2(offline: SmallProject, arguments: list[str], words: str) -> None:
    said = offline.run_here(*arguments)
    assert said.code == 2, said.all
    assert words in said.err, said.all
    assert said.out == ""
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["targets"],
        ["upgrade"],
        ["upgrade", "--sql"],
        ["downgrade", "--to", "base"],
        ["stamp", "head"],
    ],
)
def test_an_empty_selection_may_be_allowed(offline: SmallProject, arguments: list[str]) -> None:
    said = offline.run_here(*arguments, "--tenant", "nobody", "--allow-empty")
    assert said.code == 0, said.all


def test_out_of_reach_is_told_for_every_target(offline: SmallProject) -> None:
    said = offline.run("status", "--json")
    assert said.code == 0, said.all
    assert [one["status"] for one in said.json()] == ["unreachable"] * 3
    assert offline.run("status", "--exit-code").code == 1
    said = offline.run("upgrade", "--all")
    assert said.code == 1, said.all
    assert "3 failed" in said.out
    assert "Connection refused" in said.out
    assert "secret-word" not in said.all


@pytest.mark.parametrize(
    "arguments",
    [["targets"], ["history"], ["heads"], ["apps"], ["check", "--no-database"]],
)
def test_json_parses_without_a_server(offline: SmallProject, arguments: list[str]) -> None:
    said = offline.run(*arguments, "--json")
    assert said.code in (0, 1), said.all
    assert json.loads(said.out)
    assert "secret-word" not in said.all


def test_targets_and_histories_read_well(offline: SmallProject) -> None:
    said = offline.run("targets", "--select", "tier=gold")
    assert "shop/globex  postgresql://127.0.0.1:1/shop schema globex  tier=gold" in said.out
    said = offline.run("history", "--verbose")
    assert "aa11 -> ab22 (head), " in said.out
    assert "base -> cc33 (head; label sales), " in said.out
    assert "migrations/versions/main/ab22.py" in said.out


def test_help_is_quick_and_imports_no_database_library() -> None:
    probe = (
        "import sys\nfrom orchestrator.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0, end\n"
        "found = {'sqlalchemy', 'alembic', 'pydantic', 'yaml', 'rich'} & {*sys.modules}\n"
        "assert not found, found\n"
    )
    subprocess.run(
        [sys.executable, "-c", probe], env=environment(), check=True, stdout=subprocess.DEVNULL
    )
    assert statistics.median(seconds("--help") for _ in range(7)) < 0.25


def seconds(*arguments: str) -> float:
    """The processor time of a command in this repository: what it takes on a machine that does
    nothing else, whatever this one does."""
    process = subprocess.Popen(
        command(*arguments),
        env=environment(),
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_status_of_the_sample_is_quick(
    pg_database: DatabaseFactory, my_database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres, other = pg_database(), my_database()
    for name, url in (
        ("MAIN_URL", postgres),
        ("SHOP_URL", postgres),
        ("AUDIT_URL", other),
        ("BILLING_URL", other.set(database=None)),
    ):
        monkeypatch.setenv(name, url.render_as_string(hide_password=False))
    # The quickest of five: other programs on this machine only ever add to it.
    assert min(seconds("status") for _ in range(5)) < 1.5


@pytest.fixture
def applied(tmp_path: Path, pg_database: DatabaseFactory) -> tuple[SmallProject, URL]:
    """One bind, at its head m2."""
    url = pg_database()
    project = small_project(
        tmp_path, f"apps: {{packages: [apps]}}\nbinds: {{main: {{url: {shown(url)}}}}}\n"
    )
    project.revision(
        "main", "m1", 'op.execute("CREATE TABLE a (id int)")', down='op.drop_table("a")'
    )
    project.revision(
        "main", "m2", 'op.execute("CREATE TABLE b (id int)")', after="m1", down='op.drop_table("b")'
    )
    assert project.run("upgrade", "--all").code == 0
    return project, url


def test_downgrade_asks_where_there_is_somebody(applied: tuple[SmallProject, URL]) -> None:
    project, url = applied
    before = dump(url)
    said = project.run("downgrade", "--all", "--to", "base", given="y\n")
    assert said.code == 2, said.all
    assert "there is no terminal to ask on" in said.err
    assert "--yes" in said.err
    assert "2 steps on 1 target;" in said.err
    assert dump(url) == before
    code, shown_there = on_terminal(project, "n\n", "downgrade", "--all", "--to", "base")
    assert code == 1, shown_there
    assert "Go on? [y/N]" in shown_there
    assert "nothing was done" in shown_there
    assert dump(url) == before
    code, shown_there = on_terminal(project, "y\n", "downgrade", "--all", "--to", "m1")
    assert code == 0, shown_there
    assert rows(url, "SELECT to_regclass('b')") == [(None,)]
    said = project.run("downgrade", "--all", "--to", "-1", "--yes")
    assert said.code == 0, said.all
    assert rows(url, "SELECT to_regclass('a')") == [(None,)]
    # Nothing to take back is nothing to ask.
    assert project.run("downgrade", "--all", "--to", "base").code == 0


def on_terminal(project: SmallProject, typed: str, *arguments: str) -> tuple[int, str]:
    """Run a command on a terminal, type something, and give its exit code and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*arguments),
        cwd=project.root,
        env=environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    heard = b""
    while True:
        try:
            heard += os.read(ours, 4096)
        except OSError:  # Linux tells the end of a terminal so
            break
    os.close(ours)
    return process.wait(timeout=30), heard.decode()


def test_status_and_its_exit_code(applied: tuple[SmallProject, URL]) -> None:
    project, url = applied
    assert project.run("status", "--exit-code").code == 0
    for change, shown_as, status in (
        ("DELETE FROM alembic_version", "base (2 behind)", "behind"),
        ("INSERT INTO alembic_version VALUES ('m1')", "m1 (1 behind)", "behind"),
        ("INSERT INTO alembic_version VALUES ('m2')", "m1, m2 (unknown: ", "unknown"),
        ("DELETE FROM alembic_version WHERE version_num = 'm1'", "m2 (head)", "head"),
        ("UPDATE alembic_version SET version_num = 'zz'", "no revision file has zz", "unknown"),
        ("DROP TABLE alembic_version", "no version table (2 behind)", "no-version-table"),
    ):
        rows(url, change)
        said = project.run("status", "--exit-code")
        assert shown_as in said.out, said.all
        assert said.code == (status != "head"), said.all
    assert project.run("status").code == 0


def test_stamp_writes_the_version_only(applied: tuple[SmallProject, URL]) -> None:
    project, url = applied
    said = project.run("stamp", "m1", "--all", "--json")
    assert said.code == 0, said.all
    assert [(one["before"], one["after"]) for one in said.json()] == [(["m2"], ["m1"])]
    rows(url, "UPDATE alembic_version SET version_num = 'unknown'")
    said = project.run("stamp", "head", "--all")
    assert said.code == 1, said.all
    assert "it stands at unknown, which bind main has no file for" in said.out
    assert "stamp --purge" in said.out
    assert project.run("stamp", "head", "--all", "--purge").code == 0
    assert rows(url, "SELECT version_num FROM alembic_version") == [("m2",)]
    assert rows(url, "SELECT to_regclass('b')::text") == [("b",)]
