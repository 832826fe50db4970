"""What `rollout start` shows and refuses before anything runs."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import URL

from tests.cli.small import SmallProject, rows, shown, small_project
from tests.conftest import DatabaseFactory
from tests.execution.rollout.fleet import Fleet

WAVES = """
max_failures: 25%
waves:
  - {name: inner, select: {tier: inner}, soak: 90s, pause: true}
  - {name: half, percent: 50, checks: [drift, "./look --now"], concurrency: 3}
"""


def dependent(root: Path, url: URL) -> SmallProject:
    """Tenants that are listed in a table of another bind."""
    project = small_project(
        root,
        f"""
        apps: {{packages: [apps]}}
        default_bind: main
        rollout: {{waves: [{{name: first, select: {{tenant: acme}}}}]}}
        binds:
          main: {{url: {shown(url)}}}
          shop:
            url: {shown(url)}
            apps: []
            tenancy: schema
            create: true
            depends_on: [main]
            tenants: {{query: {{bind: main, sql: "SELECT tenant FROM customers"}}}}
        """,
    )
    project.revision(
        "main",
        "m1",
        """
        op.execute("CREATE TABLE customers (tenant varchar(20) PRIMARY KEY)")
        op.execute("INSERT INTO customers VALUES ('acme'), ('globex')")
        """,
    )
    project.revision("main", "m2", 'op.execute("CREATE TABLE more (id int)")', after="m1")
    project.revision("shop", "s1", 'op.execute("CREATE TABLE items (id int PRIMARY KEY)")')
    return project


def test_waves_of_a_file_are_shown_with_their_rules(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    fleet = Fleet.make(tmp_path, [pg_database(), pg_database()], 10, "{max_failures: 0}")
    project = fleet.project
    project.write("waves.yaml", WAVES)
    dry = ("rollout", "start", "--all", "--no-lint", "--dry-run")
    said = project.run(*dry, "--waves", "waves.yaml")
    assert said.code == 0, said.all
    assert said.out.splitlines()[-4:] == [
        "waves:",
        "    inner  2 targets (s0 1, s1 1); 8 at a time, none may fail, soaks 1 min 30 s, "
        "then pauses",
        "    half   5 targets (s0 3, s1 2); 3 at a time, at most 1 may fail, checks: drift, "
        "./look --now",
        "    rest   3 targets (s0 1, s1 2); 8 at a time, none may fail",
    ] or said.out.splitlines()[-2:] == [
        "    half   5 targets (s0 2, s1 3); 3 at a time, at most 1 may fail, checks: drift, "
        "./look --now",
        "    rest   3 targets (s0 2, s1 1); 8 at a time, none may fail",
    ], said.out
    data = project.run(*dry, "--waves", "waves.yaml", "--json").json()
    assert [(one["name"], len(one["targets"])) for one in data["waves"]] == [
        ("inner", 2),
        ("half", 5),
        ("rest", 3),
    ]
    assert data["waves"][1]["checks"] == [["drift"], ["./look", "--now"]]
    assert (data["targets"], data["mixed"], data["lint"]) == (10, [], None)
    one = project.run(*dry, "--json").json()["waves"]
    assert [(wave["name"], wave["max_failures"]) for wave in one] == [("all", 0)]
    assert not (project.root / ".orchestrator" / "ledger.db").exists()
    assert "gets no target" not in said.err
    project.write("waves.yaml", "waves: [{name: canary, select: {tier: innner}}]")
    empty = project.run(*dry, "--waves", "waves.yaml")
    assert empty.code == 0
    assert "warning: wave canary gets no target: no target that has steps" in empty.err
    project.write("waves.yaml", "waves:\n  - {name: inner, precent: 10}\n")
    wrong = project.run(*dry, "--waves", "waves.yaml")
    assert wrong.code == 2
    assert "waves.yaml:2: " in wrong.err


def test_tenants_that_another_bind_brings_are_told_to_wait(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    project = dependent(tmp_path, pg_database())
    start = ("rollout", "start", "--all", "--yes", "--no-lint")
    refused = project.run(*start)
    assert refused.code == 2, refused.all
    assert "bind shop: its tenants are known only when main is applied\n" in refused.err
    assert "Run `orchestrator upgrade --bind main` first, then start the rollout." in refused.err
    assert project.run("upgrade", "--bind", "main", "--to", "m1").code == 0
    dry = project.run(*start, "--dry-run")
    assert "    first  2 targets; 8 at a time, none may fail\n           first: main\n" in dry.out
    said = project.run(*start)
    assert said.code == 0, said.all
    assert "first  2 of 2 targets through\nrest   1 of 1 target through\n" in said.out


def test_what_cannot_be_planned_is_shown_and_left_out(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    fleet = Fleet.make(tmp_path, [pg_database()], 3, "{waves: []}")
    project = fleet.project
    fleet.sql("t1", "UPDATE {at}.alembic_version SET version_num = 'gone'")
    said = project.run("rollout", "start", "--all", "--yes", "--no-lint")
    assert said.code == 1, said.all
    assert "cannot be planned: shop/t1: " in said.out
    assert "all  2 of 2 targets through\n" in said.out
    assert fleet.applied() == {1: ["t0", "t2"], 0: ["t1"]}
    again = project.run("rollout", "start", "--all", "--yes")
    assert again.code == 1, again.all
    assert "nothing to do: every other target is there\n" in again.out
    assert len(project.run("rollout", "status", "--all", "--json").json()) == 1


def dropping(root: Path, url: URL) -> SmallProject:
    """One target whose next revision drops a table."""
    project = small_project(
        root,
        f"""
        apps: {{packages: [apps]}}
        lint: {{fail_on: warning}}
        binds: {{main: {{url: {shown(url)}}}}}
        """,
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE items (id int PRIMARY KEY)")')
    assert project.run("upgrade", "--all").code == 0
    project.revision("main", "m2", 'op.drop_table("items")', after="m1")
    return project


def test_lint_is_shown_and_asked_about(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = dropping(tmp_path, url)
    said = project.run("rollout", "start", "--all")
    assert said.code == 2, said.all
    assert "migrations/versions/main/m2.py:9: " in said.out
    assert "drop-table" in said.out
    assert "DESTRUCTIVE" in said.out
    assert re.search(r"in 1 wave, with \d findings? of lint, and there is no terminal", said.err)
    assert "Pass --yes --allow-lint to do it, " in said.err
    without = project.run("rollout", "start", "--all", "--no-lint")
    assert "drop-table" not in without.all
    assert "this upgrades 1 target in 1 wave, and there is no terminal" in without.err
    assert "Pass --yes to do it, " in without.err
    assert rows(url, "SELECT to_regclass('items') IS NULL") == [(False,)]


def test_yes_does_not_agree_to_findings(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = dropping(tmp_path, url)
    start = ("rollout", "start", "--all", "--yes")
    refused = project.run(*start)
    assert refused.code == 1, refused.all
    assert "migrations/versions/main/m2.py:9: " in refused.out
    assert re.search(
        r"lint has \d findings? \(.*drop-table.*\), and --yes does not agree to findings; "
        r"nothing was done\n",
        refused.err,
    ), refused.err
    assert "or say in them why it is meant, as `# orchestrator: allow " in refused.err
    assert "or pass --allow-lint to agree to all of them." in refused.err
    told = project.run(*start, "--json")
    assert told.code == 1, told.all
    assert "drop-table" in [one["rule"] for one in told.json()["lint"]["findings"]]
    assert project.run(*start, "--dry-run").code == 0
    assert project.run("rollout", "status", "--all").out == ""
    assert rows(url, "SELECT to_regclass('items') IS NULL") == [(False,)]
    agreed = project.run(*start, "--allow-lint")
    assert agreed.code == 0, agreed.all
    assert "drop-table" in agreed.out
    assert rows(url, "SELECT to_regclass('items') IS NULL") == [(True,)]


def test_yes_is_enough_where_each_finding_is_allowed(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    project = dropping(tmp_path, url)
    found = project.run("rollout", "start", "--all", "--dry-run", "--json").json()
    rules = {one["rule"] for one in found["lint"]["findings"]}
    file = next((project.root / "migrations/versions/main").glob("*m2.py"))
    comments = [
        f"# orchestrator: allow {rule} because release 12 stopped to read it\n" for rule in rules
    ]
    file.write_text(file.read_text() + "".join(comments))
    said = project.run("rollout", "start", "--all", "--yes")
    assert said.code == 0, said.all
    assert rows(url, "SELECT to_regclass('items') IS NULL") == [(True,)]


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    project = small_project(
        tmp_path, 'apps: {packages: [apps]}\nbinds: {main: {url: "postgresql://h/x"}}\n'
    )
    said = project.run("rollout", "start")
    assert said.code == 2
    assert "`rollout start` changes databases, and nothing says which" in said.err
    said = project.run("rollout", "start", "--all", "--json")
    assert said.code == 2
    assert "--json leaves no room for a question" in said.err
    said = project.run("rollout", "start", "--all", "--yes", "--waves", "nowhere.yaml")
    assert said.code == 2
    assert "nowhere.yaml" in said.err
