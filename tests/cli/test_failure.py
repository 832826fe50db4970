"""Targets that fail: the others go on, and the report says what a person needs to repair it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.cli.small import Said, SmallProject, rows, shown, small_project
from tests.conftest import DatabaseFactory
from tests.databases.dump import dump

TENANTS = ("acme", "globex", "initech")


def schemas_project(root: Path, url: URL) -> SmallProject:
    """main, shop (a schema a tenant, after main) and late (after shop), all in one database."""
    project = small_project(
        root,
        f"""
        apps: {{packages: [apps]}}
        binds:
          main: {{url: {shown(url)}, apps: [], version_table: main_version}}
          shop:
            url: {shown(url)}
            apps: [things]
            tenancy: schema
            create: true
            name: "{{tenant}}_here"
            depends_on: [main]
            tenants: {{list: [acme, globex, initech]}}
          late: {{url: {shown(url)}, depends_on: [shop], apps: [], version_table: late_version}}
        """,
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE customers (id int)")')
    project.revision("late", "l1", 'op.execute("CREATE TABLE reports (id int)")')
    project.revision(
        "shop",
        "s1",
        'op.create_table("items", sa.Column("id", sa.Integer, primary_key=True),'
        ' sa.Column("name", sa.String(50)))',
    )
    return project


def unique_names(project: SmallProject) -> Path:
    """A revision that fails where two items have one name, after a statement that works."""
    return project.revision(
        "shop",
        "s2",
        """
        op.add_column("items", sa.Column("price", sa.Integer))
        op.create_index("items_name", "items", ["name"], unique=True)
        """,
        after="s1",
    )


@pytest.fixture
def schemas(tmp_path: Path, pg_database: DatabaseFactory) -> tuple[SmallProject, URL]:
    """The project, at s1 everywhere but in late, with a duplicate in globex."""
    url = pg_database()
    project = schemas_project(tmp_path, url)
    said = project.run("upgrade", "--bind", "main", "--bind", "shop")
    assert said.code == 0, said.all
    rows(url, "INSERT INTO globex_here.items VALUES (1, 'twice'), (2, 'twice')")
    return project, url


def test_a_failing_tenant_stops_alone(schemas: tuple[SmallProject, URL]) -> None:
    project, url = schemas
    file = unique_names(project)
    before = dump(url, "globex_here")
    said = project.run("upgrade", "--all")
    assert said.code == 1, said.all
    line = 1 + file.read_text().splitlines().index(
        '    op.create_index("items_name", "items", ["name"], unique=True)'
    )
    for word in (
        "shop/globex: could not create unique index",
        "(name)=(twice) is duplicated",
        "bind:      shop",
        "revision:  s2",
        f"{file}:{line}",
        "CREATE UNIQUE INDEX items_name ON items (name)",
        "FAILED in s2",
    ):
        assert word in said.out, said.all
    # One transaction a revision: the column that was added before the index is gone again.
    assert dump(url, "globex_here") == before
    for tenant in ("acme", "initech"):
        assert rows(url, f"SELECT version_num FROM {tenant}_here.alembic_version") == [("s2",)]


def test_what_depends_on_a_failed_bind_is_not_started(schemas: tuple[SmallProject, URL]) -> None:
    project, url = schemas
    unique_names(project)
    said = project.run("upgrade", "--all", "--json")
    assert said.code == 1, said.all
    found = {one["target"]: one for one in said.json()}
    assert {name: one["result"] for name, one in found.items()} == {
        "main": "unchanged",
        "shop/acme": "done",
        "shop/globex": "failed",
        "shop/initech": "done",
        "late": "failed",
    }
    assert "bind shop, on which it depends, failed" in found["late"]["error"]["message"]
    error = found["shop/globex"]["error"]
    assert error["revision"] == "s2"
    assert error["statement"].startswith("CREATE UNIQUE INDEX")
    assert found["shop/globex"]["before"] == found["shop/globex"]["after"] == ["s1"]
    assert rows(url, "SELECT to_regclass('late_version'), to_regclass('reports')") == [(None, None)]


def test_the_same_command_converges_once_the_data_is_repaired(
    schemas: tuple[SmallProject, URL],
) -> None:
    project, url = schemas
    unique_names(project)
    assert project.run("upgrade", "--all").code == 1
    rows(url, "DELETE FROM globex_here.items WHERE id = 2")
    said = project.run("upgrade", "--all")
    assert said.code == 0, said.all
    assert "2 changed, 3 unchanged" in said.out
    assert project.run("status", "--exit-code").code == 0


def test_the_others_go_on_where_each_tenant_has_a_database(
    tmp_path: Path, my_database: DatabaseFactory
) -> None:
    url = my_database()
    project = small_project(
        tmp_path,
        f"""
        apps: {{packages: [apps]}}
        binds:
          shop:
            url: {shown(url.set(database=None))}
            tenancy: database
            create: true
            name: "{url.database}_{{tenant}}"
            tenants: {{list: [acme, globex, initech]}}
        """,
    )
    project.revision(
        "shop", "s1", 'op.execute("CREATE TABLE items (id int PRIMARY KEY, name varchar(50))")'
    )
    assert project.run("upgrade", "--all").code == 0
    rows(url, f"INSERT INTO {url.database}_globex.items VALUES (1, 'twice'), (2, 'twice')")
    unique_names(project)
    said = project.run("upgrade", "--all")
    assert said.code == 1, said.all
    assert "Duplicate entry 'twice' for key" in said.out
    assert "(1062)" in said.out
    assert "CREATE UNIQUE INDEX items_name" in said.out
    for tenant, version in (("acme", "s2"), ("globex", "s1"), ("initech", "s2")):
        at = rows(url, f"SELECT version_num FROM {url.database}_{tenant}.alembic_version")
        assert at == [(version,)], said.all


@pytest.fixture
def single(tmp_path: Path, pg_database: DatabaseFactory) -> tuple[SmallProject, URL]:
    """A project with one bind and one target, nothing applied."""
    url = pg_database()
    project = small_project(
        tmp_path, f"apps: {{packages: [apps]}}\nbinds: {{main: {{url: {shown(url)}}}}}\n"
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE items (id int)")')
    return project, url


@pytest.mark.parametrize("raised", ["ValueError('no such price: %s')", "SystemExit('no price')"])
def test_python_raises_inside_a_revision(single: tuple[SmallProject, URL], raised: str) -> None:
    project, url = single
    body = f'op.execute("CREATE TABLE more (id int)")\nraise {raised}'
    file = project.revision("main", "m2", body, after="m1")
    said = project.run("upgrade", "--all")
    assert said.code == 1, said.all
    assert f"{raised.split('(')[0]}: no" in said.out
    line = 1 + [line.strip() for line in file.read_text().splitlines()].index(f"raise {raised}")
    assert f"{file}:{line}" in said.out
    assert "main  base -> m1, then FAILED in m2" in said.out
    assert rows(url, "SELECT to_regclass('more'), to_regclass('items')::text") == [(None, "items")]
    assert rows(url, "SELECT version_num FROM alembic_version") == [("m1",)]


def nothing_touched(said: Said, url: URL, before: str) -> None:
    """The command was refused with exit code 2, and the database is as it was."""
    assert said.code == 2, said.all
    assert said.out == "", said.all
    assert dump(url) == before


def test_a_revision_file_that_cannot_be_imported(single: tuple[SmallProject, URL]) -> None:
    project, url = single
    file = project.revision("main", "m2", "pass", after="m1")
    file.write_text("import no_such_module_anywhere\n" + file.read_text())
    before = dump(url)
    said = project.run("upgrade", "--all")
    nothing_touched(said, url, before)
    assert f"{file}:1: ModuleNotFoundError: No module named 'no_such_module_anywhere'" in said.err


def test_a_revision_file_that_is_no_python(single: tuple[SmallProject, URL]) -> None:
    project, url = single
    file = project.revision("main", "m2", "pass", after="m1")
    file.write_text(file.read_text() + "\ndef downgrade(:\n")
    before = dump(url)
    said = project.run("upgrade", "--all")
    nothing_touched(said, url, before)
    assert f"{file}:{len(file.read_text().splitlines())}: SyntaxError" in said.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "it does not exist"),
        ("from alembic import context\ncontext.run_migrations()\n", "does not call"),
        ("import orchestrator.environment\n", "without a call of run_migrations()"),
        ("import orchestrator.environment\nx = 1\n\nx.y\n", "env.py:4: AttributeError"),
        (
            "from orchestrator.environment import run_migrations\nrun_migrations(url='x')\n",
            "run_migrations() was given url, which databases.yaml decides",
        ),
        (
            "from orchestrator.environment import run_migrations\n"
            "run_migrations(per_bind={'shop': {}})\n",
            "per_bind names the bind 'shop'",
        ),
    ],
)
def test_env_py_is_missing_not_ours_or_fails(
    single: tuple[SmallProject, URL], text: str | None, expected: str
) -> None:
    project, url = single
    env = project.root / "migrations" / "env.py"
    if text is None:
        env.unlink()
    else:
        env.write_text(text)
    before = dump(url)
    said = project.run("upgrade", "--all")
    nothing_touched(said, url, before)
    assert str(env) in said.err, said.all
    assert expected in said.err, said.all


def test_a_broken_app_is_told_before_anything_runs(single: tuple[SmallProject, URL]) -> None:
    project, url = single
    project.write("apps/things/models.py", "from sqlalchemy import Colunm\n")
    before = dump(url)
    said = project.run("upgrade", "--all")
    nothing_touched(said, url, before)
    assert "apps/things/models.py:1" in said.err, said.all


def test_events_are_one_object_a_line(schemas: tuple[SmallProject, URL]) -> None:
    project, _url = schemas
    unique_names(project)
    said = project.run("upgrade", "--bind", "shop", "--log-format", "json")
    events = [json.loads(line) for line in said.err.splitlines()]
    steps = [one["target"] for one in events if one["event"] == "step-started"]
    assert sorted(steps) == sorted(f"shop/{tenant}" for tenant in TENANTS)
    ended = {one["target"]: one for one in events if one["event"] == "target-ended"}
    results = [ended[f"shop/{tenant}"]["result"] for tenant in TENANTS]
    assert results == ["done", "failed", "done"]
    assert "could not create unique index" in ended["shop/globex"]["error"]


def test_a_dry_run_touches_nothing(schemas: tuple[SmallProject, URL]) -> None:
    project, url = schemas
    unique_names(project)
    before = dump(url)
    said = project.run("upgrade", "--all", "--dry-run")
    assert said.code == 0, said.all
    assert "shop/acme: s1, 1 step to upgrade" in said.out
    assert "main: m1, nothing to do" in said.out
    plans = project.run("upgrade", "--all", "--dry-run", "--json").json()
    assert [step["revision"] for step in plans[1]["steps"]] == ["s2"]
    down = project.run("downgrade", "--all", "--to", "base", "--dry-run")
    assert "shop/globex: s1, 1 step to downgrade" in down.out
    assert project.run("stamp", "base", "--all", "--dry-run").code == 0
    assert dump(url) == before
