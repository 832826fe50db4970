"""`plan`, and `upgrade --plan`: what is reviewed is what is run, on real servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.cli.small import SmallProject, rows, shown, small_project
from tests.conftest import DatabaseFactory

TENANTS = ("acme", "globex", "initech")


@pytest.fixture
def fleet(tmp_path: Path, pg_database: DatabaseFactory) -> tuple[SmallProject, URL]:
    """main with one revision, and shop after it, with three tenants and three revisions."""
    url = pg_database()
    project = small_project(
        tmp_path,
        f"""
        apps: {{packages: [apps]}}
        binds:
          main: {{url: {shown(url)}, apps: [], version_table: main_version}}
          shop:
            url: {shown(url)}
            apps: [things]
            tenancy: schema
            create: true
            depends_on: [main]
            tenants: {{list: [{", ".join(TENANTS)}]}}
        """,
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE customers (id int)")')
    project.revision("shop", "s1", 'op.execute("CREATE TABLE items (id int, name text, was text)")')
    project.revision(
        "shop",
        "s2",
        'count = op.get_bind().execute(sa.text("SELECT count(*) FROM items")).scalar()\n'
        'op.execute(f"INSERT INTO items (id) VALUES ({count + 1})")',
        after="s1",
    )
    project.revision("shop", "s3", 'op.drop_column("items", "was")', after="s2")
    return project, url


def versions(url: URL) -> dict[str, str]:
    """The revision of each tenant that has one."""
    found: dict[str, str] = {}
    for tenant in TENANTS:
        if rows(url, f"SELECT to_regclass('{tenant}.alembic_version')")[0][0]:
            ((found[tenant],),) = rows(url, f"TABLE {tenant}.alembic_version")
    return found


def test_a_plan_is_told(fleet: tuple[SmallProject, URL]) -> None:
    project, url = fleet
    said = project.run("plan")
    assert said.code == 0, said.all
    lines = said.out.splitlines()
    assert lines[0].startswith("main, postgresql-")
    assert "shop (after main), postgresql-" in said.out
    assert "3 targets, 3 to be created, base -> s3" in said.out
    assert "targets: shop/acme, shop/globex, shop/initech" in said.out
    assert "live: reads-result, migrations/versions/shop/s2.py:9: " in said.out
    assert "DESTRUCTIVE: drops a column: ALTER TABLE items DROP COLUMN was" in said.out
    assert "CREATE TABLE customers" not in said.out
    assert (
        "plan: 4 targets to change, 4 revisions, 1 live, 1 destructive; digest sha256:"
        in (lines[-1])
    )
    assert "CREATE TABLE customers (id int);" in project.run("plan", "-v").out
    assert versions(url) == {}, "nothing was changed"


def test_what_is_planned_is_run(fleet: tuple[SmallProject, URL]) -> None:
    project, url = fleet
    said = project.run("plan", "-o", "plan.json", "--json")
    assert said.code == 0, said.all
    written = json.loads((project.root / "plan.json").read_text())
    assert said.json() == written
    assert project.run("plan", "--json").json()["digest"] == written["digest"]
    dry = project.run("upgrade", "--plan", "plan.json", "--dry-run")
    assert "shop/acme: base, to be created, 3 steps to upgrade" in dry.out, dry.all
    ran = project.run("upgrade", "--plan", "plan.json", "--strict")
    assert ran.code == 0, ran.all
    assert versions(url) == dict.fromkeys(TENANTS, "s3")
    again = project.run("upgrade", "--plan", "plan.json")
    assert again.code == 0, again.all
    assert "4 targets beyond the plan's start already" in again.err
    assert project.run("upgrade", "--plan", "plan.json", "--strict").code == 2


def test_a_second_run_continues_after_a_failure(fleet: tuple[SmallProject, URL]) -> None:
    project, url = fleet
    rows(url, "CREATE SCHEMA globex")
    rows(url, "CREATE TABLE globex.items (id int)")
    assert project.run("plan", "-o", "plan.json").code == 0
    assert project.run("upgrade", "--plan", "plan.json").code == 1
    assert versions(url) == {"acme": "s3", "initech": "s3"}
    rows(url, "DROP TABLE globex.items")
    again = project.run("upgrade", "--plan", "plan.json")
    assert again.code == 0, again.all
    assert versions(url) == dict.fromkeys(TENANTS, "s3")


def test_a_newer_head_is_not_run(fleet: tuple[SmallProject, URL]) -> None:
    project, url = fleet
    assert project.run("plan", "-o", "plan.json").code == 0
    project.revision("shop", "s4", "pass", after="s3")
    assert project.run("upgrade", "--plan", "plan.json").code == 0
    assert versions(url) == dict.fromkeys(TENANTS, "s3")


def test_a_narrower_selection_runs_a_part(fleet: tuple[SmallProject, URL]) -> None:
    project, url = fleet
    assert project.run("plan", "-o", "plan.json").code == 0
    assert project.run("upgrade", "--plan", "plan.json", "--tenant", "acme").code == 0
    assert versions(url) == {"acme": "s3"}


def test_a_changed_file_refuses(fleet: tuple[SmallProject, URL]) -> None:
    project, url = fleet
    assert project.run("plan", "-o", "plan.json").code == 0
    file = project.root / "migrations/versions/shop/s3.py"
    file.write_text(file.read_text() + "# only a comment\n")
    said = project.run("upgrade", "--plan", "plan.json")
    assert said.code == 2, said.all
    assert "migrations/versions/shop/s3.py" in said.err
    assert versions(url) == {}
    assert rows(url, "SELECT to_regclass('main_version')") == [(None,)]


def test_new_tenants_are_listed(fleet: tuple[SmallProject, URL]) -> None:
    project, url = fleet
    assert project.run("plan", "-o", "plan.json").code == 0
    file = project.root / "databases.yaml"
    file.write_text(file.read_text().replace("initech]", "umbrella]"))
    said = project.run("upgrade", "--plan", "plan.json")
    assert "1 target not in the plan: shop/umbrella" in said.err
    assert "1 target in the plan, not found now: shop/initech" in said.err
    assert said.code == 1, said.all
    assert versions(url) == {"acme": "s3", "globex": "s3"}


def test_what_does_not_fit_together_is_refused(fleet: tuple[SmallProject, URL]) -> None:
    project, _url = fleet
    assert project.run("upgrade", "--plan", "plan.json").code == 2, "there is no such file"
    assert project.run("upgrade", "--all", "--strict").code == 2
    assert project.run("plan", "-o", "plan.json").code == 0
    assert project.run("upgrade", "--plan", "plan.json", "--to", "s1").code == 2
    assert project.run("plan", "-o", "nowhere/plan.json").code == 2


def test_targets_that_cannot_be_planned_are_told(fleet: tuple[SmallProject, URL]) -> None:
    project, url = fleet
    assert project.run("upgrade", "--all").code == 0
    rows(url, "UPDATE globex.alembic_version SET version_num = 'zz'")
    said = project.run("plan")
    assert said.code == 1, said.all
    assert "cannot be planned: shop/globex: it stands at zz" in said.out
    assert "shop: 2 targets at s3, nothing to do" in said.out


def test_mysql_databases(tmp_path: Path, my_database: DatabaseFactory) -> None:
    url = my_database()
    project = small_project(
        tmp_path,
        f"apps: {{packages: [apps]}}\nbinds:\n  main: {{url: {shown(url)}, apps: [things]}}\n",
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE items (id int, a int)")')
    project.revision("main", "m2", 'op.drop_column("items", "a")', after="m1")
    said = project.run("plan", "-o", "plan.json")
    assert said.code == 0, said.all
    assert "DESTRUCTIVE: drops a column: ALTER TABLE items DROP COLUMN a" in said.out
    assert project.run("upgrade", "--plan", "plan.json").code == 0
    assert rows(url, "SELECT version_num FROM alembic_version") == [("m2",)]


def test_ten_thousand_targets_fit_a_screen(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    names = ", ".join(f"t{number}" for number in range(10_000))
    project = small_project(
        tmp_path,
        f"""
        apps: {{packages: [apps]}}
        binds:
          shop:
            url: {shown(url)}
            apps: [things]
            tenancy: schema
            create: true
            tenants: {{list: [{names}]}}
        """,
    )
    for number in range(1, 41):
        after = f"s{number - 1}" if number > 1 else None
        project.revision("shop", f"s{number}", f'op.execute("SELECT {number}")', after=after)
    said = project.run("plan")
    assert said.code == 0, said.all[-2000:]
    assert len(said.out.splitlines()) < 40
    assert "10,000 targets, 10,000 to be created, base -> s40" in said.out
    assert "... and 15 steps more; -v shows them" in said.out
