"""`lint`: what it prints, its exit codes, and `--live`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.cli.small import SmallProject, command, environment, shown, small_project

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


def test_without_a_scratch_database_the_rest_is_asked(project: SmallProject) -> None:
    project.revision("main", "m4", 'op.drop_column("a", "i")', after="m3")
    said = project.run("lint", "--since", "m3", "--bind", "main")
    assert said.code == 1, said.all
    assert (
        "migrations/versions/main/m4.py:9: error drop-column: column i of table a is dropped, "
        "with its data\n    ALTER TABLE a DROP COLUMN i\n    Release a version" in said.out
    )
    assert "m4.py:12: warning missing-downgrade: its downgrade does nothing" in said.out
    assert said.out.endswith("1 revision: 1 error, 1 warning\n")
    assert "bind main, revision m4, postgresql-16: not checked for" in said.err
    assert "no scratch database could be made: " in said.err
    assert "type-narrowing" in said.err


def test_exit_codes(project: SmallProject) -> None:
    lint = "lint", "--revision", "a1"
    assert project.run(*lint).code == 0
    assert project.run(*lint, "--fail-on", "warning").code == 1
    assert project.run(*lint, "--require-scratch").code == 1
    project.write(
        "databases.yaml",
        project.root.joinpath("databases.yaml").read_text() + "lint: {fail_on: warning}\n",
    )
    assert project.run(*lint).code == 1
    assert project.run(*lint, "--fail-on", "error").code == 0


def test_severities_are_the_projects(project: SmallProject) -> None:
    project.write(
        "databases.yaml",
        project.root.joinpath("databases.yaml").read_text()
        + "lint: {rules: {missing-downgrade: off, live-step: error}}\n",
    )
    said = project.run("lint", "--all-revisions", "--bind", "main", "--json")
    found = {(one["rule"], one["severity"], one["revision"]) for one in said.json()["findings"]}
    assert found == {("live-step", "error", "m3")}, said.all
    assert said.code == 1


def test_a_rule_that_there_is_not(project: SmallProject) -> None:
    project.write(
        "databases.yaml",
        project.root.joinpath("databases.yaml").read_text()
        + "lint:\n  rules:\n    drop-colum: off\n    squawk/anything: off\n",
    )
    said = project.run("lint", "--all-revisions")
    assert said.code == 2
    assert "lint.rules.drop-colum: there is no rule 'drop-colum'" in said.err
    assert "databases.yaml:" in said.err
    assert "squawk" not in said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--since", "nothing"), "no selected bind knows the revision 'nothing'"),
        (("--revision", "audit:m1"), "no selected bind knows the revision 'audit:m1'"),
        (("--revision", "m1", "--tenant", "x"), "no target is"),
    ],
)
def test_what_cannot_be_chosen(
    project: SmallProject, arguments: tuple[str, ...], words: str
) -> None:
    said = project.run("lint", *arguments)
    assert said.code == 2, said.all
    assert words in said.err


def test_annotations_of_github(project: SmallProject) -> None:
    project.revision("main", "m4", "op.execute(\"UPDATE a SET b = '100%'\")", after="m3")
    said = project.run("lint", "--revision", "m4", "--format", "github")
    first, second, *_rest = said.out.splitlines()
    where = "file=migrations/versions/main/m4.py"
    assert first == (
        f"::warning {where},line=9,title=data-migration-at-once::rows of a are changed in one "
        "statement. Change the rows in batches of a key's range, each in its own transaction, "
        "outside of the schema change."
    )
    assert second.startswith(f"::warning {where},line=12,title=missing-downgrade::")


def test_files_are_called_as_from_the_working_directory(project: SmallProject) -> None:
    """The project may be a folder of a repository."""
    project.root.joinpath("inner").mkdir()
    for where, name in ((project.root.parent, project.root.name), (project.root / "inner", "..")):
        said = subprocess.run(
            command("--project", name, "lint", "--revision", "a1"),
            cwd=where,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        file = f"{name}/" if name != ".." else f"{project.root}/"
        assert said.stdout.startswith(f"{file}migrations/versions/audit/a1.py:12: warning"), said


def test_rules_are_listed(project: SmallProject) -> None:
    said = project.run("lint", "--rules")
    assert said.code == 0
    assert "drop-column                error    A column is dropped." in said.out
    listed = project.run("lint", "--rules", "--json").json()
    assert {"rule": "squawk/prefer-identity", "severity": "off", "summary": ""} in listed


def test_what_an_upgrade_of_the_fleet_would_run(
    tmp_path: Path, pg_database: Callable[[], URL]
) -> None:
    url = pg_database()
    project = small_project(
        tmp_path,
        f"""
        apps: {{packages: [apps]}}
        binds:
          shop:
            tenancy: schema
            create: true
            url: {shown(url)}
            tenants: {{list: [acme, globex]}}
        """,
    )
    project.revision(
        "shop", "one", 'op.execute("CREATE TABLE a (i int, j int)")', down='op.drop_table("a")'
    )
    assert project.run("upgrade", "--all").code == 0
    project.revision(
        "shop",
        "two",
        'print("hello")\nop.drop_column("a", "j")',
        after="one",
        down='op.execute("SELECT 1")',
    )
    said = project.run("lint")
    assert said.code == 1, said.all
    lines = [line for line in said.out.splitlines() if not line.startswith(" ")]
    file = "migrations/versions/shop/two.py"
    assert lines == [
        f"{file}:10: error drop-column: column j of table a is dropped, with its data",
        f"{file}:13: warning downgrade-not-inverse: after its downgrade the schema is not what it "
        "was: table a: column j is missing",
        "1 revision: 1 error, 1 warning",
    ]
    assert "not checked" not in said.err
    project.run("upgrade", "--all")
    said = project.run("lint")
    assert (said.code, said.out) == (0, "0 revisions: nothing found\n"), said.all


def test_a_target_that_does_not_answer_is_no_clean_one(project: SmallProject) -> None:
    said = project.run("lint", "--bind", "main")
    assert said.code == 1, said.all
    assert "error: target main: left out: unreachable: " in said.err
    assert said.out == "0 revisions: nothing found\n"
