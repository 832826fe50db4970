"""`orchestrator init`: new projects, adopted trees, and what it refuses. Real servers for the
adoption; no database for the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.cli.project import Folder, whole

REVISIONS = 30
MODELS = """
from sqlalchemy import Column, Integer, String, Table

from shop.database import metadata

for number in range(1, 31):
    Table(f"item_{number:02d}", metadata, Column("id", Integer, primary_key=True))
Table("legacy_log", metadata, Column("id", Integer, primary_key=True))
"""
NEW_MODEL = 'Table("code", metadata, Column("word", String(20), unique=True))\n'
PLUGIN = """
from alembic.autogenerate import renderers
from sqlalchemy import String

LOADED = True
"""
ENV_PY = '''
"""Migrations of the shop."""
import os
from logging.config import fileConfig

import shop.plugin  # registers itself
from alembic import context
from sqlalchemy import create_engine, pool

from shop.database import metadata

config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name)

metadata.naming_convention = {"uq": "unique_%(table_name)s_%(column_0_name)s"}
import shop.models  # after the convention, which names their constraints

target_metadata = metadata
LEFT_ALONE = {"legacy_log"}


def include_object(object, name, type_, reflected, compare_to):
    # Tables of the old system.
    return not (type_ == "table" and name in LEFT_ALONE)


def numbered(context, revision, directives):
    for directive in directives:
        directive.message = f"shop: {directive.message}"


def run_migrations_offline():
    context.configure(
        url=os.environ["SHOP_DB_URL"], target_metadata=target_metadata, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online():
    engine = create_engine(os.environ["SHOP_DB_URL"], poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=target_metadata,
            compare_type=True,
            include_object=include_object,
            process_revision_directives=numbered,
            version_table="shop_version",
            render_as_batch=connection.dialect.name == "sqlite",
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
'''
REVISION = '''
"""Item {number}"""
from alembic import op
import sqlalchemy as sa

revision = "r{number:02d}"
down_revision = {down!r}


def upgrade():
    op.create_table("item_{number:02d}", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade():
    op.drop_table("item_{number:02d}")
'''


def shop(tmp_path: Path, url: URL) -> Folder:
    """A project with a tree of 30 revisions and an env.py of its own."""
    project = Folder(tmp_path, {"SHOP_DB_URL": whole(url)})
    project.alembic("init", "db")
    ini = project.read("alembic.ini")
    project.write(
        {
            "alembic.ini": ini.replace(
                "# file_template = %%(year)d_", "file_template = shop_%%(rev)s_%%(slug)s\n# was: "
            ).replace("# version_locations = ", "version_locations = %(here)s/db/steps\n# was: "),
            "shop/__init__.py": "",
            "shop/database.py": "from sqlalchemy import MetaData\n\nmetadata = MetaData()\n",
            "shop/models.py": MODELS,
            "shop/plugin.py": PLUGIN,
            "db/env.py": ENV_PY,
        }
    )
    for number in range(1, REVISIONS + 1):
        down = f"r{number - 1:02d}" if number > 1 else None
        text = REVISION.format(number=number, down=down)
        project.write({f"db/steps/r{number:02d}.py": text})
    return project


def test_an_adopted_tree_works_where_it_stands(
    tmp_path: Path, any_database: Callable[[], URL]
) -> None:
    project = shop(tmp_path, any_database())
    project.alembic("upgrade", "r12")
    before = project.contents()

    said = project.orchestrator("init")
    after = project.contents()
    old_env = before.pop("db/env.py")
    assert after["db/env_before.py"] == old_env
    assert {name: after[name] for name in before} == before, "a file was changed or lost"
    assert set(after) - set(before) == {"databases.yaml", "db/env.py", "db/env_before.py"}
    left = next(line for line in said.out.splitlines() if "render_as_batch" in line)
    line = next(n for n, text in enumerate(ENV_PY.splitlines()) if "render_as_batch" in text)
    assert f"db/env_before.py:{line}" in left
    assert "render_as_batch" in project.read("db/env.py")
    yaml = project.read("databases.yaml")
    for expected in ("migrations: db\n", "versions: db/steps\n", "version_table: shop_version\n"):
        assert expected in yaml
    assert "url: ${SHOP_DB_URL}\n" in yaml

    assert "r12 (18 behind)" in project.orchestrator("status").out
    assert "r12 -> r13" in project.orchestrator("history").out
    assert "r12" in project.alembic("current").out
    project.alembic("upgrade", "+1")
    project.orchestrator("upgrade", "--all")
    assert "r30 (head)" in project.orchestrator("status", "--exit-code").out
    assert "r30 (head)" in project.alembic("current").out
    assert "No new upgrade operations" in project.alembic("check").all

    models = project.read("shop/models.py")
    project.write({"shop/models.py": models + NEW_MODEL})
    said = project.orchestrator("revision", "-m", "codes")
    (written,) = project.root.glob("db/steps/shop_*.py")
    text = written.read_text(encoding="utf-8")
    assert "legacy_log" not in text, "include_object was not honoured"
    assert "unique_code_word" in text, "the naming convention was not honoured"
    assert text.startswith('"""shop: codes'), "process_revision_directives was not honoured"
    project.alembic("upgrade", "head")
    assert "(head)" in project.orchestrator("status", "--exit-code").out

    again = project.contents()
    assert "nothing was changed" in project.orchestrator("init").out
    assert project.contents() == again


def test_an_empty_folder(tmp_path: Path) -> None:
    project = Folder(tmp_path)
    said = project.orchestrator("init", "shop")
    made = Folder(tmp_path / "shop").contents()
    assert set(made) == {
        "alembic.ini",
        "databases.yaml",
        "migrations/env.py",
        "migrations/script.py.mako",
    }
    assert "no models were found" in said.out
    assert made["databases.yaml"].startswith(b"# yaml-language-server: $schema=")
    for name in (*made, "cd shop", "export DATABASE_URL=", 'orchestrator revision -m "'):
        assert name in said.out
    assert (tmp_path / "shop/migrations/versions/main").is_dir()

    said = project.orchestrator("init", "shop")
    assert "nothing was changed" in said.out
    assert "made" not in said.out
    assert Folder(tmp_path / "shop").contents() == made


@pytest.mark.parametrize(
    ("files", "arguments", "expected"),
    [
        ({"notes": ""}, ("notes",), "it is a file"),
        ({"notes": ""}, ("notes/shop",), "it is a file"),
        ({"alembic.ini": "[alembic]\nprepend_sys_path = .\n"}, (), "no script_location"),
        ({"alembic.ini": "script_location\n"}, (), "alembic.ini: it cannot be read"),
        ({"migrations": ""}, (), "a file stands where a folder must be"),
        ({"alembic.ini/x": ""}, (), "a folder stands where a file must be"),
        ({}, ("--alembic-ini", "none.ini"), "there is no file"),
        ({}, ("/proc/orchestrator",), "it cannot be read or written"),
        (
            {
                "alembic.ini": "[alembic]\nscript_location = a\n",
                "more/alembic.ini": "[alembic]\nscript_location = b\n",
            },
            (),
            "--alembic-ini alembic.ini",
        ),
        ({"api/alembic.ini": "[alembic]\nscript_location = a\n"}, (), "orchestrator init api"),
        ({"databases.yaml": "binds: {}\n"}, (), "no bind is declared"),
    ],
)
def test_what_it_refuses(
    tmp_path: Path, files: dict[str, str], arguments: tuple[str, ...], expected: str
) -> None:
    project = Folder(tmp_path)
    project.write(files)
    before = project.contents()
    said = project.orchestrator("init", *arguments, code=2)
    assert expected in said.err
    assert "Traceback" not in said.err
    assert project.contents() == before, "something was written before the refusal"


def test_a_password_stays_where_it_is(tmp_path: Path) -> None:
    project = Folder(tmp_path)
    url = "postgresql://app:s3cr3tword@localhost/shop"
    project.write({"alembic.ini": f"[alembic]\nscript_location = m\nsqlalchemy.url = {url}\n"})
    said = project.orchestrator("init")
    assert "alembic.ini holds the URL used before" in said.out
    assert "s3cr3tword" not in said.all + project.read("databases.yaml")
    assert "url: ${DATABASE_URL}\n" in project.read("databases.yaml")


def test_session_sql_that_is_lost_and_ids_that_are_long_are_told(tmp_path: Path) -> None:
    project = Folder(tmp_path)
    statement = 'connection.execute(text("SET ROLE owner"))'
    env = ENV_PY.lstrip("\n").replace(
        "    with engine.connect() as connection:\n",
        f"    with engine.connect() as connection:\n        {statement}\n",
    )
    revision = f'raise SystemExit("imported")\nrevision = "{"r" * 40}"\ndown_revision = None\n'
    project.write({"alembic/env.py": env, "alembic/versions/first.py": revision})
    said = project.orchestrator("init")
    line = next(n for n, text in enumerate(env.splitlines(), 1) if statement in text)
    assert f"alembic/env_before.py:{line}: {statement}: " in said.out
    assert f"#   line {line}: {statement}: " in project.read("alembic/env.py")
    assert "    version_num_length: 64\n" in project.read("databases.yaml")
