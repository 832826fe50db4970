"""Whole runs: binds in their order, tenants that an earlier bind brings, and two runs at a time."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL

from tests.cli.small import Said, SmallProject, rows, shown, small_project
from tests.conftest import DatabaseFactory

SHOP = """
apps: {{packages: [apps]}}
default_bind: main
binds:
  main: {{url: {url}}}
  shop: {{url: {url}, apps: [], tenancy: schema, create: true, depends_on: [main],
    tenants: {{{source}}}}}
  last: {{url: {url}, apps: [], version_table: last_version, depends_on: [shop]}}
"""
QUERY = 'query: {bind: main, sql: "SELECT slug AS tenant FROM customers"}'


def installation(root: Path, url: URL, source: str, main: str) -> SmallProject:
    """main, shop with tenants that depends on it, and last that depends on shop."""
    project = small_project(root, SHOP.format(url=shown(url), source=source))
    project.revision("main", "m1", main)
    project.revision("shop", "s1", 'op.execute("CREATE TABLE x AS SELECT * FROM public.customers")')
    project.revision("last", "l1", 'op.execute("CREATE TABLE l AS SELECT * FROM public.customers")')
    return project


CUSTOMERS = """
op.execute("SELECT pg_sleep(0.5)")
op.execute("CREATE TABLE customers (slug varchar(20))")
op.execute("INSERT INTO customers SELECT 'c' || n FROM generate_series(1, 30) n")
"""


def test_a_fresh_installation_with_one_command(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    """Tenants come from main's own data, and all their schemas are made."""
    url = pg_database()
    project = installation(tmp_path, url, QUERY, CUSTOMERS)
    said = project.run("upgrade", "--all")
    assert said.code == 0, said.all
    assert "upgrade: 32 targets, 32 changed" in said.out
    made = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'x'"
    assert rows(url, made) == [(30,)]
    assert rows(url, "SELECT count(*) FROM c17.x") == [(30,)]
    again = project.run("upgrade", "--all")
    assert again.code == 0, again.all
    assert "upgrade: 32 targets, 32 unchanged" in again.out


def test_a_plan_file_keeps_the_order_of_binds(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    """All binds stand in one plan, and still none begins before what it depends on has ended."""
    url = pg_database()
    project = installation(tmp_path, url, "list: [a, b]", CUSTOMERS)
    planned = project.run("plan", "--all", "-o", "plan.json")
    assert planned.code == 0, planned.all
    said = project.run("upgrade", "--plan", "plan.json")
    assert said.code == 0, said.all
    assert rows(url, "SELECT (SELECT count(*) FROM a.x), (SELECT count(*) FROM l)") == [(30, 30)]


def test_what_depends_on_a_bind_that_failed_is_not_started(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    project = installation(tmp_path, url, "list: [a, b]", 'op.execute("SELECT 1/0")')
    said = project.run("upgrade", "--all")
    assert said.code == 1
    assert "2 targets: not started: bind main, on which it depends, failed" in said.out
    assert "last: not started: bind shop, on which it depends, failed" in said.out
    assert "upgrade: 4 targets, 4 failed" in said.out
    # Through a bind that is not selected as well.
    narrow = project.run("upgrade", "--bind", "main", "--bind", "last")
    assert "last: not started: bind main, on which it depends, failed" in narrow.out
    assert rows(url, "SELECT to_regclass('l'), to_regnamespace('a')") == [(None, None)]


def test_what_others_depend_on_is_not_taken_back_under_them(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    project = installation(tmp_path, url, "list: [a, b]", CUSTOMERS)
    assert project.run("upgrade", "--all").code == 0
    failing = 'op.execute("SELECT 1/0")'
    project.revision("shop", "s1", 'op.execute("SELECT 1")', down=failing)
    said = project.run("downgrade", "--all", "--to", "base", "--yes")
    assert said.code == 1
    assert "main: not started: bind shop, which depends on it, failed" in said.out
    assert rows(url, "SELECT version_num FROM alembic_version") == [("m1",)]
    assert rows(url, "SELECT count(*) FROM last_version") == [(0,)], "nothing depends on last"


TENANTS = [f"c{number}" for number in range(20)]
REVISIONS = [f"r{number}" for number in range(1, 7)]


def test_two_runs_at_a_time_take_every_step_once(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    project = small_project(
        tmp_path,
        f"""
        apps: {{packages: [apps]}}
        default_bind: shop
        binds:
          shop: {{url: {shown(url)}, tenancy: schema, tenants: {{list: [{", ".join(TENANTS)}]}}}}
        """,
    )
    for name in TENANTS:
        rows(url, f"CREATE SCHEMA {name}")
    for before, name in zip([None, *REVISIONS], REVISIONS, strict=False):
        body = f"op.execute(\"INSERT INTO counter VALUES ('{name}')\")\n"
        if before is None:
            body = 'op.execute("CREATE TABLE counter (name text)")\n' + body
        body += 'op.execute("SELECT pg_sleep(0.02)")'
        project.revision("shop", name, body, after=before)
    # Recorded beforehand, so that both begin with their targets at once.
    assert project.run("plan").code == 0
    runs = [project.start("upgrade", "--all") for _ in range(2)]
    said = []
    for process in runs:
        out, err = process.communicate(timeout=120)
        said.append(Said(process.returncode, out, err))
    for one in said:
        assert one.code == 0 or "somebody else" in one.out, one.all
    last = project.run("upgrade", "--all")
    assert last.code == 0, last.all
    for name in TENANTS:
        assert sorted(rows(url, f"SELECT name FROM {name}.counter")) == [(r,) for r in REVISIONS]
        assert rows(url, f"SELECT version_num FROM {name}.alembic_version") == [("r6",)]


def test_a_downgrade_takes_back_last_what_others_depend_on(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    project = small_project(tmp_path, SHOP.format(url=shown(url), source="list: [a]"))
    for bind, table, more in (
        ("main", "customers", ""),
        ("shop", "x", ", FOREIGN KEY (id) REFERENCES public.customers"),
        ("last", "l", ", FOREIGN KEY (id) REFERENCES a.x"),
    ):
        project.revision(
            bind,
            f"{bind}1",
            f'op.execute("CREATE TABLE {table} (id int PRIMARY KEY{more})")',
            down=f'op.execute("DROP TABLE {table}")',
        )
    assert project.run("upgrade", "--all").code == 0
    said = project.run("downgrade", "--all", "--to", "base", "--yes")
    assert said.code == 0, said.all
