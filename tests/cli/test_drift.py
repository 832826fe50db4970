"""`orchestrator drift` as people and programs read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from servers import PASSWORD
from tests.cli.small import SmallProject, rows, shown, small_project
from tests.conftest import DatabaseFactory

TABLE = "op.create_table('items', sa.Column('id', sa.Integer, primary_key=True), {})"
NAME = "sa.Column('name', sa.String(50))"
TENANTS = ("a", "b", "c", "d", "e", "f", "g")


def shop(root: Path, url: URL, more: str = "") -> SmallProject:
    """Seven tenants at head."""
    schemas = url.get_backend_name() == "postgresql"
    project = small_project(
        root,
        f"""
        apps: {{packages: [apps]}}
        {more}
        binds:
          shop:
            url: {shown(url)}
            tenancy: {"schema" if schemas else "database"}
            name: "{place(url, "{tenant}")}"
            create: true
            tenants: {{list: [{", ".join(TENANTS)}]}}
        """,
    )
    project.revision("shop", "r1", TABLE.format(NAME))
    done = project.run("upgrade", "--all")
    assert done.code == 0, done.all
    return project


def place(url: URL, tenant: str) -> str:
    """A tenant's schema or database."""
    return f"t_{tenant}" if url.get_backend_name() == "postgresql" else f"{url.database}_{tenant}"


def test_no_drift_and_drift(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = shop(tmp_path, url)
    said = project.run("drift")
    assert said.code == 0, said.all
    assert said.out.splitlines()[-1] == "drift: none; 7 targets are as their revisions say"
    assert "reading the states of 7 targets" in said.err

    for tenant in "bc":
        rows(url, f"ALTER TABLE {place(url, tenant)}.items DROP COLUMN name")
    rows(url, f"ALTER TABLE {place(url, 'd')}.items ADD COLUMN more int")
    rows(url, f"UPDATE {place(url, 'e')}.alembic_version SET version_num = 'r0'")
    said = project.run("drift")
    assert said.code == 1, said.all
    lines = [line.partition(" (fingerprint")[0] for line in said.out.splitlines()]
    assert lines[0] == "shop at r1 (head): 6 targets"
    assert lines[1].startswith("  compared with a scratch database on ")
    assert lines[2:] == [
        "  3 targets are as their revision says: a, f, g",
        "  2 targets differ, all in the same way: b, c",
        "    table items: column name is missing",
        "  1 target differs: d",
        "    table items: column more is not expected",
        "shop: 1 target is at an unknown revision: no revision file has r0: e",
        "drift: 3 of 7 targets differ, in 2 different ways; 1 target could not be judged",
    ]
    assert PASSWORD not in said.all
    narrowed = project.run("drift", "--tenant", "a", "--tenant", "f")
    assert narrowed.code == 0, narrowed.all


def test_json(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = shop(tmp_path, url)
    rows(url, f"ALTER TABLE {place(url, 'b')}.items DROP COLUMN name")
    rows(url, f"DROP TABLE {place(url, 'c')}.alembic_version")
    said = project.run("drift", "--json")
    assert said.code == 1, said.all
    found: dict[str, Any] = said.json()
    groups = found.pop("groups")
    assert found == {
        "drift": True,
        "as_revision": 5,
        "drifted": 1,
        "not_judged": 1,
        "not_read": [
            {"bind": "shop", "kind": "no-version-table", "detail": "", "targets": ["shop/c"]}
        ],
        "tenants_unknown": [],
    }
    right, wrong = groups
    assert (right["verdict"], right["targets"]) == (
        "as-revision",
        [f"shop/{tenant}" for tenant in "adefg"],
    )
    assert right.keys() == wrong.keys()
    assert right["fingerprint"] != wrong["fingerprint"]
    assert (wrong["bind"], wrong["revisions"], wrong["at_head"]) == ("shop", ["r1"], True)
    assert wrong["differences"] == [
        {
            "what": "missing",
            "kind": "column",
            "table": "items",
            "name": "name",
            "fact": "",
            "expected": "",
            "found": "",
            "words": "table items: column name is missing",
        }
    ]
    assert wrong["models"] == [{"table": "items", "name": "name", "words": "add column items.name"}]
    assert PASSWORD not in said.all


def test_models_ahead(tmp_path: Path, any_database: DatabaseFactory) -> None:
    project = shop(tmp_path, any_database())
    models = project.root / "apps/things/models.py"
    text = models.read_text(encoding="utf-8").replace('"name", String(50)', '"title", String(50)')
    models.write_text(text, encoding="utf-8")
    said = project.run("drift")
    assert said.code == 1, said.all
    assert "    to be as the models say: add column items.title" in said.out.splitlines()
    assert said.out.splitlines()[-1] == "drift: the models of shop are not what the history says"
    assert project.run("drift", "--no-models").code == 0


def test_many_differences_are_counted(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = shop(tmp_path, url)
    for number in range(30):
        rows(url, f"CREATE TABLE {place(url, 'a')}.x{number:02} (i int)")
    said = project.run("drift", "--no-models")
    assert said.code == 1
    assert "    and 10 more differences (--json lists all)" in said.out.splitlines()
    [wrong] = [one for one in project.run("drift", "--json").json()["groups"] if one["differences"]]
    assert len(wrong["differences"]) == 30


def test_column_order(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = shop(tmp_path, url)
    rows(url, f"DROP TABLE {place(url, 'a')}.items")
    where = place(url, "a")
    kind = "serial" if url.get_backend_name() == "postgresql" else "int AUTO_INCREMENT"
    rows(url, f"CREATE TABLE {where}.items (name varchar(50), id {kind} PRIMARY KEY)")
    said = project.run("drift")
    assert said.code == 1, said.all
    assert "table items: column order is name, id, expected id, name" in said.out
    assert project.run("drift", "--ignore-column-order").code == 0
    text = (tmp_path / "databases.yaml").read_text(encoding="utf-8")
    project.write("databases.yaml", text + "\ndrift: {column_order: false}\n")
    assert project.run("drift").code == 0


def test_against(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = shop(tmp_path, url)
    rows(url, f"ALTER TABLE {place(url, 'b')}.items DROP COLUMN name")
    said = project.run("drift", "--against", "shop/a", "--no-models")
    assert said.code == 1, said.all
    assert "  compared with target shop/a" in said.out.splitlines()
    assert "    table items: column name is missing" in said.out.splitlines()
    assert project.run("drift", "--against", "shop/nobody").code == 2
    assert project.run("drift", "--against", "nowhere").code == 2


def test_usage(tmp_path: Path) -> None:
    project = small_project(
        tmp_path, "apps: {packages: [apps]}\nbinds: {main: {url: postgresql://u@127.0.0.1:1/x}}"
    )
    assert project.run_here("drift", "--bind", "nobody").code == 2
    assert project.run_here("drift", "--tenant", "nobody").code == 2
    assert project.run_here("drift", "--tenant", "nobody", "--allow-empty").code == 0


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_server_that_does_not_answer(tmp_path: Path, option: list[str]) -> None:
    project = small_project(
        tmp_path, "apps: {packages: [apps]}\nbinds: {main: {url: mysql://u:secret@127.0.0.1:1/x}}"
    )
    said = project.run("drift", *option)
    assert said.code == 1
    assert "secret" not in said.all
    if option:
        [aside] = json.loads(said.out)["not_read"]
        assert (aside["kind"], aside["targets"]) == ("unreachable", ["main"])
    else:
        assert said.out.startswith("main: 1 target cannot be reached: ")
        assert "drift: 1 target could not be judged" in said.out


def test_broken_apps_are_told_in_words(tmp_path: Path) -> None:
    project = small_project(
        tmp_path,
        "apps: {packages: [apps]}\nbinds: {main: {url: postgresql://u@127.0.0.1:1/x}}",
        models="import nowhere_at_all\n",
    )
    said = project.run("drift")
    assert said.code == 2
    assert "nowhere_at_all" in said.err
    assert "Traceback" not in said.all
    assert "reading" not in said.err
