"""What databases.yaml says of a project, and where an Alembic tree is found."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config.load import load_config
from orchestrator.revisions.layout.layout import lay_out
from orchestrator.revisions.layout.url import url_line

MODELS = "class User(Base):\n    __tablename__ = 'users'\n"


def laid(root: Path, files: dict[str, str], ini: str | None = None) -> dict[str, Any]:
    """Lay out a project with these files; databases.yaml as it stands then."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    lay_out(root, root / ini if ini else None)
    found: dict[str, Any] = yaml.safe_load((root / "databases.yaml").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"apps/users/models.py": MODELS}, {"packages": ["apps"]}),
        ({"apps/users/models/user.py": MODELS}, {"packages": ["apps"]}),
        ({"app/models.py": MODELS}, {"modules": ["app.models"]}),
        ({"models.py": MODELS}, {"modules": ["models"]}),
        ({"main.py": MODELS}, {"modules": ["main"]}),
        ({"shop/a/models.py": MODELS, "shop/b/models.py": MODELS}, {"packages": ["shop"]}),
        (
            {"shop/apps/a/models.py": MODELS, "shop/apps/b/models.py": MODELS},
            {"packages": ["shop.apps"]},
        ),
        (
            {"core/settings.py": "INSTALLED_APPS = ['apps.users']", "apps/users/models.py": MODELS},
            {"installed": "core.settings:INSTALLED_APPS"},
        ),
        (
            {
                "settings.py": "INSTALLED_APPS: list[str] = ['apps.usres']",
                "apps/users/models.py": MODELS,
            },
            {"installed": "settings:INSTALLED_APPS"},
        ),
        (
            {
                "settings.py": "INSTALLED_APPS = ['django.contrib.auth']",
                "apps/users/models.py": MODELS,
            },
            {"packages": ["apps"]},
        ),
        (
            {"settings.py": "INSTALLED_APPS = apps()", "apps/users/models.py": MODELS},
            {"packages": ["apps"]},
        ),
        ({".venv/lib/x/models.py": MODELS, "tests/models.py": MODELS}, {"packages": ["apps"]}),
        (
            {
                "src/app/models.py": MODELS,
                "alembic.ini": "[alembic]\nscript_location = m\nprepend_sys_path = src\n",
            },
            {"modules": ["app.models"]},
        ),
    ],
)
def test_apps(tmp_path: Path, files: dict[str, str], expected: dict[str, Any]) -> None:
    assert laid(tmp_path, files)["apps"] == expected


def test_the_projects_beside_the_tree_are_not_its_own(tmp_path: Path) -> None:
    files = {
        "api/alembic.ini": "[alembic]\nscript_location = alembic\nprepend_sys_path = .\n",
        "api/api/models.py": MODELS,
        "web/web/models.py": MODELS,
    }
    assert laid(tmp_path, files, "api/alembic.ini")["apps"] == {"modules": ["api.models"]}


def test_a_misspelt_installed_app_is_told(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("INSTALLED_APPS = [\n    'apps.usres',\n]\n")
    (tmp_path / "apps/users").mkdir(parents=True)
    notes = lay_out(tmp_path).notes
    assert any("settings.py:2" in one and "apps.usres" in one for one in notes)


@pytest.mark.parametrize(
    ("files", "ini", "migrations", "versions"),
    [
        ({"alembic.ini": "[alembic]\nscript_location = db"}, None, "db", "db/versions"),
        ({"alembic.ini": "[alembic]\nscript_location = %(here)s/a/b"}, None, "a/b", "a/b/versions"),
        (
            {"alembic.ini": "[alembic]\nscript_location = shop:db", "shop/db/env.py": ""},
            None,
            "shop/db",
            "shop/db/versions",
        ),
        (
            {"pyproject.toml": '[tool.alembic]\nscript_location = "%(here)s/db"\n'},
            None,
            "db",
            "db/versions",
        ),
        (
            {
                "alembic.ini": "[alembic]\nscript_location=m\nversion_locations=a b\n"
                "path_separator=space"
            },
            None,
            None,
            ["a", "b"],
        ),
        ({"migrations/alembic.ini": "[alembic]\n", "migrations/env.py": ""}, None, None, None),
        ({"alembic/env.py": ""}, None, "alembic", "alembic/versions"),
        (
            {
                "alembic.ini": "[alembic]\nscript_location = a",
                "api/alembic.ini": "[alembic]\nscript_location = %(here)s/b",
            },
            "api/alembic.ini",
            "api/b",
            "api/b/versions",
        ),
    ],
)
def test_trees(
    tmp_path: Path,
    files: dict[str, str],
    ini: str | None,
    migrations: str | None,
    versions: str | list[str] | None,
) -> None:
    found = laid(tmp_path, files, ini)
    if migrations is not None:
        assert found["migrations"] == migrations
    if versions is not None:
        assert found["binds"]["main"]["versions"] == versions
    for name, text in files.items():
        if name.endswith((".ini", ".toml")) and "script_location" in text:
            assert (tmp_path / name).read_text() == text, "the tree's configuration was changed"


def test_a_flask_migrate_tree_gets_what_stock_alembic_needs(tmp_path: Path) -> None:
    laid(tmp_path, {"migrations/alembic.ini": "# x\n[alembic]\n# y\n", "migrations/env.py": ""})
    text = (tmp_path / "migrations/alembic.ini").read_text()
    assert text == "# x\n[alembic]\nscript_location = %(here)s\n# y\n"
    assert not (tmp_path / "alembic.ini").exists()


def test_a_second_env_py_finds_a_free_name(tmp_path: Path) -> None:
    laid(tmp_path, {"alembic/env.py": "first = 1\n"})
    laid(tmp_path, {"alembic/env.py": "second = 2\n"})
    assert (tmp_path / "alembic/env_before.py").read_text() == "first = 1\n"
    assert (tmp_path / "alembic/env_before_2.py").read_text() == "second = 2\n"


def test_sqlmodel_is_imported_by_new_revisions(tmp_path: Path) -> None:
    laid(
        tmp_path,
        {"app/models.py": "from sqlmodel import SQLModel\nclass A(SQLModel, table=True): ..."},
    )
    assert "\nimport sqlmodel\n" in (tmp_path / "migrations/script.py.mako").read_text()


def test_a_kept_template_without_sqlmodel_is_told(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(
        "import sqlmodel\nclass A(sqlmodel.SQLModel, table=True): ..."
    )
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/script.py.mako").write_text("")
    assert any("import sqlmodel" in note for note in lay_out(tmp_path).notes)


@pytest.mark.parametrize(
    ("written", "variable", "expected"),
    [
        (None, "", "${DATABASE_URL}"),
        ("driver://user:pass@localhost/dbname", "", "${DATABASE_URL}"),
        (None, "SHOP_DSN", "${SHOP_DSN}"),
        ("postgresql://app@db/shop", "", "${DATABASE_URL:-postgresql://app@db/shop}"),
        ("postgresql+asyncpg://db/a%%20b", "X_URL", "${X_URL:-postgresql+asyncpg://db/a%20b}"),
        ("postgresql://app:secret@db/shop", "", "${DATABASE_URL}"),
        ("postgresql://app@db/shop?password=secret", "", "${DATABASE_URL}"),
        ("postgresql://%(DB_USER)s@db/shop", "", "${DATABASE_URL}"),
        ("sqlite:///shop.db", "", "${DATABASE_URL}"),
        ("postgresql://a}b@db/shop", "", "${DATABASE_URL}"),
    ],
)
def test_urls(written: str | None, variable: str, expected: str) -> None:
    line = url_line(written, variable, "alembic.ini")
    assert line.text == expected
    assert "secret" not in line.note
    assert bool(line.variable) == (":-" not in expected)


@pytest.mark.parametrize(
    ("length", "expected"), [(12, None), (32, None), (33, 64), (64, 64), (65, 128), (129, 255)]
)
def test_long_revision_ids(tmp_path: Path, length: int, expected: int | None) -> None:
    long = "r" * length
    files = {
        "migrations/env.py": "",
        "migrations/versions/a.py": "raise SystemExit('imported')\nrevision = 'a'\n",
        "migrations/versions/b.py": f"raise SystemExit\nrevision: str = '{long}'\n",
        "migrations/versions/c.py": f"down_revision = '{'x' * 200}'\nother = '{'x' * 200}'\n",
        "migrations/versions/d.py": "this is no Python",
    }
    assert laid(tmp_path, files)["binds"]["main"].get("version_num_length") == expected
    config = load_config(tmp_path / "databases.yaml", environ={"DATABASE_URL": "postgresql://h/d"})
    assert config.binds["main"].version_num_length == (expected or 32)
