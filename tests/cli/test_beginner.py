"""The path of a beginner: a FastAPI project, `init`, `revision`, `upgrade --all`, a new column.

Real servers; the commands run as a person types them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, inspect
from sqlalchemy.pool import NullPool

from tests.cli.project import REPOSITORY, Folder, whole

BEGINNER = REPOSITORY / "tests" / "projects" / "beginner"
ENV_PY = "from orchestrator.environment import run_migrations\n\nrun_migrations()\n"
INDEXES = {"ix_users_id", "ix_users_email", "ix_users_username"}


def beginner(tmp_path: Path, url: URL | None = None) -> Folder:
    """The project as a beginner has it, before any migration."""
    root = tmp_path / "project"
    shutil.copytree(BEGINNER, root, ignore=shutil.ignore_patterns("__pycache__"))
    return Folder(root, {"DATABASE_URL": whole(url)} if url else {})


def add_column(project: Folder) -> None:
    models = project.read("apps/users/models.py")
    column = "    nickname: Mapped[str | None] = mapped_column(String(50))\n"
    project.write({"apps/users/models.py": models + column})


def users(url: URL) -> tuple[set[str], set[str]]:
    """The columns and the indexes of the table users."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        found = inspect(connection)
        columns = {column["name"] for column in found.get_columns("users")}
        return columns, {str(index["name"]) for index in found.get_indexes("users")}


def test_from_models_to_a_second_revision(tmp_path: Path, any_database: Callable[[], URL]) -> None:
    _walk(beginner(tmp_path, url := any_database()), "migrations", url)


@pytest.mark.parametrize("tree", ["alembic init", "an ini without a folder"])
def test_around_what_stands_there(
    tmp_path: Path, pg_database: Callable[[], URL], tree: str
) -> None:
    project = beginner(tmp_path, url := pg_database())
    if tree == "alembic init":
        project.alembic("init", "alembic")
        _walk(project, "alembic", url)
        assert "(head)" in project.alembic("current").out
        assert "No new upgrade operations" in project.alembic("check").all
        project.alembic("downgrade", "base")
        project.alembic("upgrade", "head")
        assert "(head)" in project.orchestrator("status", "--exit-code").out
    else:
        project.write({"alembic.ini": "[alembic]\nscript_location = migrations\n"})
        _walk(project, "migrations", url)


def _walk(project: Folder, place: str, url: URL) -> None:
    """What a beginner does, from init to the second revision and one that changes nothing."""
    project.orchestrator("init")
    assert project.read(f"{place}/env.py") == ENV_PY

    assert "add table users" in project.orchestrator("revision", "-m", "users").out
    project.orchestrator("upgrade", "--all")
    columns, indexes = users(url)
    assert columns == {"id", "email", "username", "created_at"}
    assert indexes >= INDEXES

    add_column(project)
    project.orchestrator("revision", "-m", "nicknames")
    project.orchestrator("upgrade", "--all")
    columns, indexes = users(url)
    assert "nickname" in columns
    assert indexes >= INDEXES

    before = project.contents()
    assert "no changes" in project.orchestrator("revision", "-m", "nothing").out
    assert project.contents() == before, "a file was written for no change"
    assert sum(f"{place}/versions/" in name for name in before) == 2
    assert project.read(f"{place}/env.py") == ENV_PY


def test_stock_alembic_writes_into_the_binds_folder(
    tmp_path: Path, pg_database: Callable[[], URL]
) -> None:
    project = beginner(tmp_path, pg_database())
    project.orchestrator("init")
    project.alembic("revision", "--autogenerate", "-m", "users")
    written = list((project.root / "migrations/versions/main").glob("*_users.py"))
    assert len(written) == 1
    assert "op.create_table('users'" in written[0].read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", [("revision", "-m", "users"), ("upgrade", "--all")])
def test_a_misspelt_import_is_named(
    tmp_path: Path, pg_database: Callable[[], URL], verb: tuple[str, ...]
) -> None:
    project = beginner(tmp_path, pg_database())
    project.orchestrator("init")
    models = project.read("apps/users/models.py")
    project.write({"apps/users/models.py": models.replace("apps.database", "apps.databse")})
    line = models.splitlines().index("from apps.database import Base") + 1
    said = project.orchestrator(*verb, code=2)
    assert f"apps/users/models.py:{line}" in said.err
    assert "apps.databse" in said.err
    assert "Traceback" not in said.all
    assert not list((project.root / "migrations/versions/main").iterdir())


def test_an_unset_url_is_named(tmp_path: Path) -> None:
    project = beginner(tmp_path)
    project.orchestrator("init")
    said = project.orchestrator("upgrade", "--all", code=2)
    assert "DATABASE_URL" in said.err
    assert "databases.yaml:7" in said.err
