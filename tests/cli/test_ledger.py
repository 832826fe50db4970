"""The ledger that runs are written to: on a server, shared, full, too new, or not to be written."""

from __future__ import annotations

import shlex
import sqlite3
import subprocess
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.cli.running import TENANTS, counts, fleet, last, one, run_line
from tests.cli.small import Said, SmallProject, command, environment, rows, shown
from tests.conftest import DatabaseFactory


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
