"""`verify BUNDLE`: whether a bundle that somebody ran by hand ended where it was meant to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL

import servers
from tests.cli.small import SmallProject, rows, shown, small_project

TENANTS = ("acme", "globex", "initech", "hooli", "umbrella", "stark")
RESULTS = "bind,server,tenant,schema,database,result,at,started,seconds,message\n"


@pytest.fixture
def url(pg_database: Callable[[], URL]) -> URL:
    return pg_database()


@pytest.fixture
def project(tmp_path: Path, url: URL) -> SmallProject:
    """Its tenants stand at s1; the bundle takes them to s3."""
    made = small_project(
        tmp_path,
        f"""
        apps: {{packages: [apps]}}
        default_bind: shop
        binds:
          shop:
            url: {shown(url)}
            tenancy: schema
            tenants: {{list: [{", ".join(TENANTS)}]}}
            name: "t_{{tenant}}"
            create: true
        """,
    )
    after = None
    for name in ("s1", "s2", "s3"):
        up, down = f"CREATE TABLE {name} (id int)", f"DROP TABLE {name}"
        made.revision(
            "shop", name, f'op.execute("{up}")', down=f'op.execute("{down}")', after=after
        )
        after = name
    for arguments in (
        ("upgrade", "--all", "--to", "s1"),
        ("upgrade", "--all", "--sql", "-o", "bundle", "--from", "s1"),
    ):
        said = made.run(*arguments)
        assert said.code == 0, said.all
    return made


def _move(project: SmallProject, to: str, *tenants: str) -> None:
    chosen = [word for tenant in tenants for word in ("--tenant", tenant)]
    said = project.run("upgrade", "--to", to, *chosen)
    assert said.code == 0, said.all


def _runs(project: SmallProject) -> list[str]:
    return [run["verb"] for run in project.run("runs", "--json").json()]


def test_every_target_gets_its_verdict(project: SmallProject, url: URL) -> None:
    _move(project, "s3", "acme", "globex", "initech", "stark")
    _move(project, "s2", "hooli")
    rows(url, "ALTER TABLE t_globex.s3 ADD COLUMN mine int")
    rows(url, "UPDATE t_initech.alembic_version SET version_num = 'unheard'")
    done = "".join(f"shop,default,{name},t_{name},x,done,s3,,0,\n" for name in TENANTS)
    project.write("bundle/results.csv", RESULTS + done)
    said = project.run("verify", "bundle", "--json")
    assert said.code == 1, said.all
    assert servers.PASSWORD not in said.all
    found = {one["tenant"]: one for one in said.json()}
    verdicts = {name: one["verdict"] for name, one in found.items()}
    # Of three that are done, the one that differs from the two others is named.
    assert verdicts == {
        "acme": "done",
        "globex": "different",
        "stark": "done",
        "initech": "elsewhere",
        "hooli": "on-the-way",
        "umbrella": "untouched",
    }
    assert {name for name, one in found.items() if one["contradicts"]} == {
        "initech",
        "hooli",
        "umbrella",
    }
    assert found["hooli"]["at"] == ["s2"]
    told = project.run("verify", "bundle").out
    assert "1 target untouched:\n    shop/umbrella (results.csv says done)" in told
    assert "1 target stopped between two revisions:\n    shop/hooli: at s2" in told
    assert "1 target elsewhere:\n    shop/initech: at unheard" in told
    assert "mine" in told
    assert "verify: 2 of 6 targets where the bundle meant it to be" in told


def test_what_was_done_by_hand_is_in_the_ledger_once(project: SmallProject) -> None:
    untouched = project.run("verify", "bundle")
    assert untouched.code == 1, untouched.all
    assert "by-hand" not in _runs(project)
    _move(project, "s3", *TENANTS)
    said = project.run("verify", "bundle")
    assert said.code == 0, said.all
    assert "verify: 6 of 6 targets where the bundle meant it to be" in said.out
    again = project.run("verify", "bundle")
    assert again.out == said.out
    assert _runs(project).count("by-hand") == 1


def test_what_is_left_of_a_run_by_hand_is_taken_up(project: SmallProject) -> None:
    _move(project, "s3", *TENANTS[1:])
    assert project.run("verify", "bundle").code == 1
    runs = project.run("runs", "--json").json()
    (run,) = [one["run"] for one in runs if one["verb"] == "by-hand"]
    shown = project.run("runs", "show", run)
    assert f"`orchestrator upgrade --failed {run}` takes up this target again" in shown.out
    said = project.run("upgrade", "--failed", run)
    assert said.code == 0, said.all
    assert "shop/acme" in said.out


def test_a_state_file_instead_of_connections(project: SmallProject) -> None:
    _move(project, "s3", *TENANTS[1:])
    project.write("states.json", project.run("status", "--json", "--all").out)
    _move(project, "s3", "acme")
    said = project.run("verify", "bundle", "--state", "states.json", "--json")
    assert said.code == 1, said.all
    verdicts = {one["tenant"]: one["verdict"] for one in said.json()}
    assert verdicts == {"acme": "untouched"} | dict.fromkeys(TENANTS[1:], "done")


def _line(tenant: str, result: str, started: str) -> str:
    return f"shop,default,{tenant},t_{tenant},x,{result},,2026-01-01T00:00:{started}Z,0,\n"


def test_what_was_undone(project: SmallProject) -> None:
    """The file in which a target began later counts: as run-all.sh has it."""
    _move(project, "s3", "initech", "hooli", "stark")
    ran, undone = "bundle/results.csv", "bundle/results-undo.csv"
    there = ("acme", "globex", "initech", "hooli", "stark")
    project.write(ran, RESULTS + "".join(_line(name, "done", "10") for name in there))
    back = [
        _line("acme", "done", "20"),
        _line("globex", "done", "10"),
        _line("hooli", "done", "10"),
    ]
    back += [_line("initech", "done", "20"), _line("umbrella", "already", "20")]
    back += [_line("stark", "done", "05")]
    project.write(undone, RESULTS + "".join(back))
    found = {one["tenant"]: one for one in project.run("verify", "bundle", "--json").json()}
    assert {name: (one["verdict"], one["contradicts"]) for name, one in found.items()} == {
        "acme": ("undone", False),
        "globex": ("undone", False),
        "initech": ("done", True),
        "hooli": ("done", False),
        "umbrella": ("untouched", False),
        "stark": ("done", False),
    }
    assert [found[name]["claimed_in"] for name in ("acme", "stark")] == [
        "results-undo.csv",
        "results.csv",
    ]
    told = project.run("verify", "bundle", "--results", ran)
    assert told.code == 1
    assert "2 targets undone, where it was before:\n    shop/acme\n    shop/globex" in told.out
    assert "bundle meant it to be:\n    shop/initech (results-undo.csv says undone)" in told.out
    assert "results.csv says done" not in told.out
    assert project.run("verify", "bundle", "--results", undone).out == told.out
    (project.root / ran).unlink()
    alone = project.run("verify", "bundle").out
    assert "2 targets undone" in alone


def test_what_is_no_bundle(project: SmallProject) -> None:
    script = next((project.root / "bundle").rglob("*.up.sql"))
    script.write_text("SELECT 1;\n", encoding="utf-8")
    said = project.run("verify", "bundle")
    assert f"warning: {script.relative_to(project.root)} is not as it was written" in said.err
    project.write("wrong.csv", "one,two\n1,2\n")
    project.write("empty/file", "")
    for arguments, words in (
        (("bundle", "--results", "wrong.csv"), "wrong.csv: it is not what run-all.sh writes"),
        (("empty",), "empty/plan.json: it cannot be read"),
        (("bundle", "--state", "wrong.csv"), "wrong.csv: it is no JSON"),
    ):
        said = project.run("verify", *arguments)
        assert said.code == 2, said.all
        assert words in said.err
        assert "Traceback" not in said.err
