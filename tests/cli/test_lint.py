"""`lint --live`: which revisions slow a fleet, without any database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.small import SmallProject, small_project

NOWHERE = "postgresql://u@127.0.0.1:1/nothing"


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    made = small_project(
        tmp_path,
        f"""
        apps: {{packages: [apps]}}
        default_bind: main
        binds:
          main: {{url: "{NOWHERE}"}}
          audit: {{url: "mysql://u@127.0.0.1:1/audit", apps: []}}
        """,
    )
    made.revision("main", "m1", 'op.execute("CREATE TABLE a (i int)")')
    made.revision(
        "main",
        "m2",
        'op.execute("SELECT 1")',
        after="m1",
        down='op.get_bind().execute(sa.text("SELECT 1")).scalar()',
    )
    made.revision("main", "m3", "sa.inspect(op.get_bind()).get_table_names()", after="m2")
    made.revision("audit", "a1", 'op.execute("SELECT 1")')
    return made


def test_live_revisions_are_listed(project: SmallProject) -> None:
    said = project.run("lint", "--live")
    assert said.code == 0, said.all
    assert "main: 2 of 3 revisions live" in said.out
    assert "m3 (upgrade)" in said.out
    assert "m2 (downgrade)" in said.out
    assert "reads-result, migrations/versions/main/m3.py:9: " in said.out
    assert "m1" not in said.out
    assert "audit: 0 of 1 revision live" in said.out


def test_json_and_one_bind(project: SmallProject) -> None:
    found = project.run("lint", "--live", "--json", "--bind", "main").json()
    assert [(one["revision"], one["direction"], one["reason"]) for one in found] == [
        ("m3", "upgrade", "reads-result"),
        ("m2", "downgrade", "reads-result"),
    ]
    assert project.run("lint", "--live", "--json", "--bind", "audit").json() == []


def test_something_must_be_asked_for(project: SmallProject) -> None:
    said = project.run("lint")
    assert said.code == 2
    assert "lint --live" in said.err
