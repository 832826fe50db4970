"""What a project's env.py adds counts on both roads, for the binds that it is meant for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import DatabaseFactory
from tests.databases.dump import dump
from tests.roads.history import Revision, lay_out
from tests.roads.project import Project
from tests.roads.site import Site, full

ENVIRONMENT = """\
import pathlib

import sqlalchemy as sa
from alembic import context
from sqlalchemy.ext.compiler import compiles
from orchestrator.environment import run_migrations

@compiles(sa.Text, "postgresql")  # What an env.py imports changes what revisions do.
def text_as_varchar(element, compiler, **kw):
    return "VARCHAR(321)"


def note(name):
    def applied(ctx, step, heads, run_args, **kw):
        with pathlib.Path("applied.txt").open("a") as file:
            print(name, step.up_revision_id, file=file)
    return applied


def not_hidden(item, name, kind, reflected, compare_to):
    return not (name or "").startswith("hidden")


def never(ctx, inspected, metadata, inspected_type, metadata_type, inspected_default=None, *rest):
    return False


run_migrations(
    on_version_apply=note("every"),
    compare_type=never,
    per_bind={
        "one": {"on_version_apply": note("one"), "include_object": not_hidden},
        "two": {"compare_type": True, "user_module_prefix": "custom."},
    },
)
"""
BINDS = """\
binds:
  one: {url: "${ONE_URL}"}
  two: {url: "${TWO_URL}"}
  three: {url: "${THREE_URL}"}
scratch: {postgresql: "${ONE_URL}"}
"""
NAMES = ("one", "two", "three")
UP = (
    "op.create_table('{0}', sa.Column('id', sa.Integer(), primary_key=True),"
    " sa.Column('t', sa.Text()), sa.Column('n', sa.Integer()))"
)
# The columns n are BigInteger in the models, and each bind has a table that no revision makes.
MODELS = "import sqlalchemy as sa\n" + "".join(
    f"""
{name} = sa.MetaData(info={{"bind_key": "{name}"}})
sa.Table("{name}", {name}, sa.Column("id", sa.Integer, primary_key=True),
         sa.Column("t", sa.String(321)), sa.Column("n", sa.BigInteger))
sa.Table("hidden_{name}", {name}, sa.Column("id", sa.Integer, primary_key=True))
"""
    for name in NAMES
)


@pytest.fixture
def site(tmp_path: Path, pg_database: DatabaseFactory) -> Site:
    """Three binds and an env.py with options for all, for one and for two."""
    databases = {name: pg_database() for name in NAMES}
    environ = {f"{name.upper()}_URL": full(url) for name, url in databases.items()}
    project = Project(tmp_path / "project", environ)
    histories = {name: [Revision(f"{name}_1", None, UP.format(name))] for name in NAMES}
    lay_out(project, BINDS, histories, models=MODELS, environment=ENVIRONMENT)
    return Site(project, databases)


def test_applying(site: Site) -> None:
    applied = site.project.root / "applied.txt"
    found = {}
    for road in ("orchestrator", "alembic"):
        if road == "orchestrator":
            site.project.orchestrator("upgrade", "--all")
        else:
            site.project.alembic("upgrade", "head")
        # orchestrator runs binds side by side, so its calls come in any order.
        found[road] = (sorted(applied.read_text(encoding="utf-8").splitlines()), site.dumps())
        applied.unlink()
        site.project.orchestrator("stamp", "base", "--all")
        applied.unlink()
        for name in NAMES:
            _drop(site, name)
    assert found["alembic"] == found["orchestrator"]
    said, dumps = found["orchestrator"]
    assert said == ["every three_1", "every two_1", "one one_1"]
    assert all("t character varying(321)" in text for text in dumps.values())
    # No script can call it, so none is written: on_version_apply is not left out in silence.
    with pytest.raises(RuntimeError, match=r"0 done, 0 failed, 3 wait for orchestrator"):
        site.script("upgrade")
    readme = next(site.project.root.glob("bundle*/README.md")).read_text(encoding="utf-8")
    assert "env.py passes on_version_apply" in readme
    assert "`orchestrator upgrade --bind one --to one_1`" in readme


def _drop(site: Site, name: str) -> None:
    file = site.project.write(f"drop_{name}.sql", f"DROP TABLE {name};")
    site.run_file(name, file)


def test_comparing(site: Site) -> None:
    """compare_type, include_object and user_module_prefix, each for its own bind alone."""
    site.project.orchestrator("upgrade", "--all")
    said = site.project.orchestrator("revision", "-m", "changes").out
    by_orchestrator = {name: _new_source(site, name) for name in NAMES}
    _check(by_orchestrator)
    assert said.startswith("one: no changes")
    before = {name: dump(url) for name, url in site.databases.items()}
    for name in NAMES:
        site.project.alembic("-x", f"bind={name}", "revision", "--autogenerate", "-m", "changes")
    by_alembic = {name: _new_source(site, name) for name in NAMES}
    _check(by_alembic)
    assert by_alembic == by_orchestrator
    assert {name: dump(url) for name, url in site.databases.items()} == before


def _check(sources: dict[str, str]) -> None:
    assert "hidden" not in sources["one"]
    assert "alter_column" not in sources["one"]
    assert "create_table('hidden_two'" in sources["two"]
    assert "alter_column('two', 'n'" in sources["two"]
    assert "create_table('hidden_three'" in sources["three"]
    assert "alter_column" not in sources["three"]
    # The version table, of this bind or of another, is nobody's to drop.
    assert "drop_table('alembic_version" not in "".join(sources.values())


def _new_source(site: Site, name: str) -> str:
    """The body of upgrade() in the file that was written for a bind, which is taken away again."""
    folder = site.project.root / "migrations" / "versions" / name
    files = [file for file in folder.glob("*.py") if file.name != f"{name}_1.py"]
    source = ""
    for file in files:
        source += file.read_text(encoding="utf-8").partition("def upgrade")[2]
        file.unlink()
    return source.partition("def downgrade")[0]
