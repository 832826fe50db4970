"""The face that Alembic sees: what it refuses, before any database is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.small import Said, SmallProject, environment, small_project

TWO = """
apps: {packages: [apps]}
default_bind: main
binds:
  main: {url: "postgresql://app:secret-word@127.0.0.1:1/main"}
  shop:
    url: "postgresql://app:secret-word@127.0.0.1:1/shop"
    tenancy: schema
    apps: []
    tenants: {list: [acme, globex]}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    """Two binds whose server cannot be reached."""
    project = small_project(tmp_path_factory.mktemp("stock"), TWO)
    project.write(
        "alembic.ini",
        "[alembic]\nscript_location = %(here)s/migrations\nrevision_environment = true\n"
        "version_locations = %(here)s/migrations/versions/main;%(here)s/migrations/versions/shop\n"
        "path_separator = ;\n",
    )
    project.revision("main", "main1")
    project.revision("main", "main2", after="main1")
    project.revision("shop", "shop1")
    return project


def alembic(project: SmallProject, *arguments: str) -> Said:
    """Run stock Alembic."""
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=project.root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-x", "bind=shpo", "upgrade", "head"], "there is no bind 'shpo'; did you mean 'shop'?"),
        (["upgrade", "nope"], "no bind knows the revision nope"),
        (["-x", "bind=shop", "upgrade", "main1"], "no bind knows the revision main1"),
        (["-x", "tenant=nobody", "upgrade", "head"], "-x tenant= and -x server= name no target"),
        (["-x", "server=mars", "upgrade", "head"], "there is no server 'mars'"),
        (["revision", "-m", "x"], "`alembic revision` must name one bind: there are main, shop"),
        (["merge", "heads"], "orchestrator merge --bind main"),
        (["-x", "config=none.yaml", "upgrade", "head"], "there is no such file"),
        (["-x", "bind=main", "current"], "out of reach"),
    ],
)
def test_what_it_refuses(project: SmallProject, arguments: list[str], words: str) -> None:
    said = alembic(project, *arguments)
    assert said.code != 0, said.all
    assert words in said.all
    assert "Traceback" not in said.all
    assert "secret-word" not in said.all
    assert len(list(project.root.rglob("versions/*/*.py"))) == 3


def test_history_needs_no_server(project: SmallProject) -> None:
    said = alembic(project, "history")
    assert said.code == 0, said.all
    main, shop = said.out.index("main:"), said.out.index("shop:")
    assert main < said.out.index("main1 -> main2") < shop < said.out.index("<base> -> shop1")
    said = alembic(project, "-x", "bind=shop", "history")
    assert "main1" not in said.out
    assert "shop1" in said.out


def test_sql_needs_no_server_and_is_narrowed(project: SmallProject) -> None:
    said = alembic(project, "-x", "bind=shop", "-x", "tenant=ac*", "upgrade", "head", "--sql")
    assert said.code == 0, said.all
    assert "upgrade shop/acme on postgresql" in said.out
    assert 'SET search_path = "acme";' in said.out
    assert "globex" not in said.out
    assert "main1" not in said.out


def test_an_empty_revision_lands_in_its_binds_folder(tmp_path: Path) -> None:
    project = small_project(tmp_path, TWO)
    project.write(
        "alembic.ini", "[alembic]\nscript_location = migrations\nrevision_environment = true\n"
    )
    said = alembic(project, "-x", "bind=shop", "revision", "-m", "first")
    assert said.code == 0, said.all
    assert len(list((tmp_path / "migrations/versions/shop").glob("*_first.py"))) == 1
    assert not list((tmp_path / "migrations/versions").glob("*.py"))
