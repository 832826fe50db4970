"""`orchestrator repair` as people use it: what it shows, whom it asks, what each decision does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.cli.small import SmallProject, rows, shown, small_project
from tests.conftest import DatabaseFactory
from tests.execution.halfway import OWNER, stop_half_way

TEXTS = ("CREATE TABLE a (i int)", "CREATE TABLE b (i int)", "CREATE TABLE c (i int)")


def body_of(texts: Sequence[str]) -> str:
    return "\n".join(f"op.execute({text!r})" for text in texts)


def fleet(root: Path, url: URL, names: Sequence[str] = ("acme", "globex")) -> SmallProject:
    """Tenants' schemas at r1, of a history that ends with r2."""
    project = small_project(
        root,
        f"""
apps: {{packages: [apps]}}
default_bind: shop
binds:
  shop:
    url: {shown(url)}
    tenancy: schema
    lock_wait: 1s
    tenants: {{list: [{", ".join(names)}]}}
""",
    )
    project.revision("shop", "r1")
    project.revision("shop", "r2", body_of(TEXTS), after="r1")
    for name in names:
        rows(url, f"CREATE SCHEMA {name}")
        rows(url, f"CREATE TABLE {name}.alembic_version (version_num varchar(32) PRIMARY KEY)")
        rows(url, f"INSERT INTO {name}.alembic_version VALUES ('r1')")
    return project


def one(root: Path, url: URL, texts: Sequence[str]) -> SmallProject:
    """A bind's only target, at r1, of a history that ends with r2."""
    project = small_project(
        root,
        f"apps: {{packages: [apps]}}\ndefault_bind: main\nbinds:\n"
        f"  main: {{url: {shown(url)}, lock_wait: 2s}}\n",
    )
    project.revision("main", "r1")
    project.revision("main", "r2", body_of(texts), after="r1")
    rows(url, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    rows(url, "INSERT INTO alembic_version VALUES ('r1')")
    return project


def stop(url: URL, *names: str) -> None:
    for name in names:
        stop_half_way(url, "r2", TEXTS, 2, table=f"{name}.orchestrator_journal")


def held(url: URL, name: str) -> str:
    return str(rows(url, f"SELECT version_num FROM {name}.alembic_version")[0][0])


def test_nothing_is_half_applied(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    project = fleet(tmp_path, pg_database())
    for arguments in ([], ["--tenant", "acme", "--forget"]):
        said = project.run_here("repair", *arguments)
        assert said.code == 0, said.all
        assert said.out == "repair: no target of this selection is half-applied\n"
    assert project.run_here("repair", "--json").json() == []
    assert project.run_here("runs", "--json").json() == []


def test_command_lines_that_are_refused(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = fleet(tmp_path, url)
    stop(url, "acme", "globex")
    for arguments, words in (
        (["--forget"], "`repair` changes databases, and nothing says which"),
        (["--all", "--forget", "--resume"], "2 decisions"),
        (["--all", "--forget", "--in-doubt", "done"], "--in-doubt goes with --resume only"),
        (["--all", "--in-doubt", "done"], "--in-doubt goes with --resume only"),
        (["--all", "--forget"], "--forget on 2 targets: empties the journal and nothing else"),
        (["--tenant", "nobody", "--forget"], "the selection names no target"),
    ):
        said = project.run_here("repair", *arguments)
        assert said.code == 2, said.all
        assert words in said.err, said.all
    assert len(rows(url, "SELECT * FROM acme.orchestrator_journal")) == 3
    assert project.run_here("runs", "--json").json() == []


def test_one_target_or_a_confirmed_selection(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = fleet(tmp_path, url, ["acme", "globex", "initech", "umbrella"])
    stop(url, "acme", "globex", "initech")
    said = project.run_here("repair", "--tenant", "acme", "--mark-applied")
    assert said.code == 0, said.all
    assert said.out.splitlines()[0] == "shop/acme: marked as applied, r1 -> r2"
    said = project.run("repair", "--all", "--mark-reverted", "--yes")
    assert said.code == 0, said.all
    assert said.out.splitlines()[:2] == [
        "shop/globex: marked as reverted, stays at r1",
        "shop/initech: marked as reverted, stays at r1",
    ]
    found = {name: held(url, name) for name in ("acme", "globex", "initech", "umbrella")}
    assert found == {"acme": "r2", "globex": "r1", "initech": "r1", "umbrella": "r1"}
    run = said.out.splitlines()[-1].removeprefix("run ")
    ledger = project.run_here("runs", "show", run)
    assert "orchestrator repair --all --mark-reverted --yes" in ledger.out, ledger.all
    listed = project.run_here("runs", "--json").json()
    assert [(one["verb"], one["result"]) for one in listed] == [("repair", "done")] * 2
    assert project.run_here("repair").out.startswith("repair: no target")


def test_what_is_shown(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = fleet(tmp_path, url)
    stop(url, "acme")
    said = project.run("repair")
    assert said.code == 0, said.all
    lines = said.out.splitlines()
    assert lines[0] == "shop/acme: dirty: upgrade of r2 stopped in statement 2 of 3"
    assert f"    file:      {tmp_path}/migrations/versions/shop/r2.py" in lines
    assert f"    begun by:  {OWNER.words}; last at " in said.out
    assert f"    done:         1  {TEXTS[0]}" in lines
    assert f"    in doubt:     2  {TEXTS[1]}" in lines
    assert f"    not done:     3  {TEXTS[2]}" in lines
    assert "    The next run refuses it: a decision is needed." in lines
    assert "    Decide, with `orchestrator repair --bind shop --tenant acme` and one of:" in lines
    for decision in ("resume", "mark-applied", "mark-reverted", "forget"):
        assert any(line.startswith(f"        --{decision} ") for line in lines)
    (told,) = project.run("repair", "--json").json()
    assert (told["target"], told["status"], told["revisions"]) == ("shop/acme", "dirty", ["r1"])
    assert [item["number"] for item in told["statements_done"]] == [1]
    assert told["half_applied"]["in_doubt"]["number"] == 2
    assert [item["statement"] for item in told["statements_left"]] == [TEXTS[2]]
    assert str(url.password) not in said.all


@pytest.mark.parametrize(
    ("in_doubt", "calls", "noted"), [(None, 1, True), ("not-done", 1, False), ("done", 0, False)]
)
def test_a_statement_that_nothing_tells_of(
    tmp_path: Path,
    my_database: DatabaseFactory,
    in_doubt: str | None,
    calls: int,
    noted: bool,
) -> None:
    url = my_database()
    texts = ("CREATE TABLE a (i int)", "CALL counted()", "CREATE TABLE c (i int)")
    project = one(tmp_path, url, texts)
    rows(url, "CREATE TABLE calls (i int)")
    rows(url, "CREATE PROCEDURE counted() INSERT INTO calls VALUES (1)")
    rows(url, texts[0])
    stop_half_way(url, "r2", texts, 2)
    refused = project.run("upgrade", "--all")
    assert refused.code == 1, refused.all
    assert "dirty: " in refused.out
    assert "`orchestrator repair --bind main`" in refused.out
    looked = project.run("repair")
    assert "main: dirty: upgrade of r2 stopped in statement 2 of 3" in looked.out
    assert rows(url, "SELECT * FROM calls") == []
    more = ["--in-doubt", in_doubt] if in_doubt else []
    resumed = project.run("repair", "--all", "--resume", *more)
    assert resumed.code == 0, resumed.all
    words = "main: nothing tells whether statement 2 ran; it counts as not done"
    assert (words in resumed.err) == noted
    assert len(rows(url, "SELECT * FROM calls")) == calls
    assert rows(url, "SELECT version_num FROM alembic_version") == [("r2",)]
    assert rows(url, "SELECT * FROM c") == []
    assert rows(url, "SELECT * FROM orchestrator_journal") == []
    (last, *_) = project.run_here("runs", "--json").json()
    assert (last["verb"], last["result"]) == ("repair", "done")


def test_an_edited_revision_is_not_resumed(tmp_path: Path, my_database: DatabaseFactory) -> None:
    url = my_database()
    project = one(tmp_path, url, TEXTS)
    stop_half_way(url, "r2", (*TEXTS[:2], "CREATE TABLE old (i int)"), 2, before={"table b": ""})
    looked = project.run("repair")
    assert "main: dirty: " in looked.out
    assert "        -CREATE TABLE old (i int);" in looked.out.splitlines()
    refused = project.run("repair", "--all", "--resume", "--in-doubt", "done")
    assert refused.code == 1, refused.all
    assert "+CREATE TABLE c (i int);" in refused.out
    assert "Make the revision what it was when it was begun" in refused.out
    assert len(rows(url, "SELECT * FROM orchestrator_journal")) == 3
    assert project.run_here("repair", "--all", "--mark-applied").code == 0
    assert rows(url, "SELECT version_num FROM alembic_version") == [("r2",)]


def test_a_half_applied_downgrade_is_finished(tmp_path: Path, my_database: DatabaseFactory) -> None:
    url = my_database()
    project = one(tmp_path, url, TEXTS)
    back = ("DROP TABLE c", "DROP TABLE b", "DROP TABLE a")
    project.revision("main", "r2", body_of(TEXTS), after="r1", down=body_of(back))
    assert project.run("upgrade", "--all").code == 0
    rows(url, "DROP TABLE c")
    stop_half_way(url, "r2", back, 1, direction="downgrade", before={"table c": "there"})
    said = project.run("repair", "--all", "--resume")
    assert said.code == 0, said.all
    assert rows(url, "SELECT version_num FROM alembic_version") == [("r1",)]
    tables = {row[0] for row in rows(url, "SHOW TABLES")}
    assert tables == {"alembic_version", "orchestrator_journal"}


def test_a_killed_run_is_seen_locked_then_finished(
    tmp_path: Path, my_database: DatabaseFactory
) -> None:
    url = my_database()
    slow = "CREATE TABLE b AS SELECT SLEEP(6) AS slept"
    # The definition that ALTER needs is asked for first: what follows is not with the server yet.
    project = one(tmp_path, url, (TEXTS[0], slow, "ALTER TABLE b ADD COLUMN z INT"))
    running = project.start("upgrade", "--all")
    query = f"SELECT id FROM information_schema.processlist WHERE info LIKE '%{slow}%'"
    query += " AND command = 'Query' AND info NOT LIKE '%processlist%'"
    until = time.monotonic() + 60
    while not (session := rows(url, query)):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until, rows(url, "SELECT * FROM information_schema.processlist")
        time.sleep(0.05)
    running.kill()
    running.communicate()
    # The server does not notice, and goes on until the statement ends.
    looked = project.run_here("repair")
    assert looked.code == 0, looked.all
    assert f"session {session[0][0]}" in looked.out
    assert "Somebody works on it now: wait, and look again." in looked.out
    while rows(url, query):
        time.sleep(0.1)
    time.sleep(0.5)
    looked = project.run("repair")
    assert "    evidence:  table b: not there before it, there now" in looked.out.splitlines()
    words = "    The next upgrade goes on with statement 3 of 3. Nothing has to be decided."
    assert words in looked.out.splitlines()
    said = project.run("repair", "--all", "--resume")
    assert said.code == 0, said.all
    assert rows(url, "SELECT * FROM b") == [(0, None)]
    assert rows(url, "SELECT version_num FROM alembic_version") == [("r2",)]
