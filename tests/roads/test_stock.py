"""Stock Alembic on a tree of several binds: every command does what its users expect of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.conftest import DatabaseFactory
from tests.databases.dump import dump, psql_file
from tests.roads.history import ENVIRONMENT, Revision, lay_out, write_history
from tests.roads.project import Project
from tests.roads.site import Site, full

TABLES = """\
import sqlalchemy as sa

one = sa.MetaData(info={"bind_key": "one"})
two = sa.MetaData(info={"bind_key": "two"})
sa.Table("a", one, sa.Column("id", sa.Integer, primary_key=True), sa.Column("x", sa.Text))
sa.Table("b", two, sa.Column("id", sa.Integer, primary_key=True))
"""
CREATE_A = (
    "op.create_table('a', sa.Column('id', sa.Integer(), primary_key=True))",
    "op.drop_table('a')",
)
ADD_X = ("op.add_column('a', sa.Column('x', sa.Text()))", "op.drop_column('a', 'x')")
CREATE_B = (
    "op.create_table('b', sa.Column('id', sa.Integer(), primary_key=True))",
    "op.drop_table('b')",
)
HISTORIES = {
    "one": [Revision("a1", None, *CREATE_A), Revision("a2", "a1", *ADD_X)],
    "two": [Revision("b1", None, *CREATE_B), Revision("b2", "b1")],
}
BINDS = """\
binds:
  one: {url: "${ONE_URL}"}
  two:
    url: "${TWO_URL}"
    tenancy: schema
    create: true
    tenants: {list: [acme, globex]}
"""

NewSite = Callable[..., Site]


@pytest.fixture
def new_site(tmp_path: Path, pg_database: DatabaseFactory) -> NewSite:
    """A project of two binds on PostgreSQL: one with a single target, two with two tenants."""

    def new(models: str = TABLES, binds: str = BINDS, environment: str = ENVIRONMENT) -> Site:
        databases = {"one": pg_database(), "two": pg_database()}
        environ = {f"{name.upper()}_URL": full(url) for name, url in databases.items()}
        project = Project(tmp_path / "project", environ)
        lay_out(project, binds, HISTORIES, models=models, environment=environment)
        return Site(project, databases)

    return new


@pytest.fixture
def site(new_site: NewSite) -> Site:
    """The project as it stands above, at base."""
    return new_site()


def versions(site: Site) -> Mapping[str, list[str]]:
    """What each version table holds."""
    places = (("one", "public"), ("two", "acme"), ("two", "globex"))
    found = {}
    for bind, schema in places:
        engine = create_engine(site.databases[bind], poolclass=NullPool)
        with engine.connect() as connection:
            name = f"{schema}.alembic_version"
            there = connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar()
            rows = connection.execute(text(f"SELECT * FROM {name}")).scalars() if there else ()
            found[f"{bind}/{schema}"] = sorted(rows)
    return found


def at(one: str, two: str) -> dict[str, list[str]]:
    """Where all targets stand, "" for base."""
    rows = [[name] if name else [] for name in (one, two)]
    return {"one/public": rows[0], "two/acme": rows[1], "two/globex": rows[1]}


def test_step_by_step(site: Site) -> None:
    alembic = site.project.alembic
    alembic("current", "--check-heads", code=255)
    alembic("upgrade", "+1")
    assert versions(site) == at("a1", "b1")
    said = alembic("current", "--check-heads", code=255)
    alembic("upgrade", "+1")
    assert versions(site) == at("a2", "b2")
    said = alembic("current", "--check-heads")
    assert [line for line in said.out.splitlines() if line] == [
        *("one:", "a2 (head)", "two/acme:", "b2 (head)", "two/globex:", "b2 (head)")
    ]
    alembic("downgrade", "-1")
    assert versions(site) == at("a1", "b1")
    alembic("upgrade", "heads")
    alembic("downgrade", "base")
    assert versions(site) == at("", "")


def test_narrowed(site: Site) -> None:
    alembic = site.project.alembic
    alembic("-x", "bind=one", "upgrade", "head")
    alembic("-x", "bind=two", "-x", "tenant=glo*", "upgrade", "+1")
    everywhere = {"one/public": ["a2"], "two/acme": [], "two/globex": ["b1"]}
    assert versions(site) == everywhere
    said = alembic("-x", "tenant=globex", "current")
    assert said.out.split() == ["b1"]
    said = alembic("-x", "bind=nosuch", "upgrade", "head", code=255)
    assert "nosuch" in said.all
    assert "one, two" in said.all
    alembic("-x", "tenant=nosuch", "upgrade", "head", code=255)
    assert versions(site) == everywhere


def test_revision_that_one_bind_knows_touches_that_bind(site: Site) -> None:
    site.project.alembic("upgrade", "b1")
    assert versions(site) == at("", "b1")
    site.project.alembic("upgrade", "head")
    site.project.alembic("downgrade", "a1")
    assert versions(site) == at("a1", "b2")
    said = site.project.alembic("upgrade", "nosuch", code=255)
    assert "nosuch" in said.all
    assert versions(site) == at("a1", "b2")


def test_stamp(site: Site) -> None:
    site.project.alembic("stamp", "b1")
    assert versions(site) == at("", "b1")
    site.project.alembic("stamp", "heads")
    assert versions(site) == at("a2", "b2")
    assert "CREATE TABLE public.a " not in dump(site.databases["one"])
    site.project.alembic("stamp", "base")
    assert versions(site) == at("", "")


def test_history_and_heads(site: Site) -> None:
    said = site.project.alembic("history")
    assert [line.split(",")[0] for line in said.out.splitlines() if line] == [
        *("one:", "a1 -> a2 (head)", "<base> -> a1", "two:", "b1 -> b2 (head)", "<base> -> b1")
    ]
    said = site.project.alembic("-x", "bind=two", "history", "-r", "b1:b2")
    assert "a2" not in said.out
    assert "b1 -> b2" in said.out
    site.project.alembic("-x", "bind=one", "upgrade", "a1")
    said = site.project.alembic("-x", "bind=one", "history", "--indicate-current")
    assert "<base> -> a1 (current)" in said.out


def test_check_sees_a_change_of_the_models(new_site: NewSite) -> None:
    site = new_site()
    site.project.alembic("upgrade", "head")
    site.project.alembic("check")
    changed = TABLES.replace('sa.Table("b", two, ', 'sa.Table("b", two, sa.Column("y", sa.Text), ')
    site.project.write("apps/one/models.py", changed)
    said = site.project.alembic("check", code=255)
    assert "New upgrade operations detected" in said.all
    assert "y" in said.all
    site.project.alembic("-x", "bind=one", "check")


def test_autogenerate_writes_into_the_binds_folder(new_site: NewSite) -> None:
    site = new_site()
    site.project.alembic("upgrade", "head")
    changed = TABLES.replace('sa.Table("b", two, ', 'sa.Table("b", two, sa.Column("y", sa.Text), ')
    site.project.write("apps/one/models.py", changed)
    before = _files(site)
    command = ("revision", "--autogenerate", "-m", "a y for b")
    refused = site.project.alembic(*command, code=255)
    assert "alembic -x bind=one revision" in refused.all
    assert "one, two" in refused.all
    assert _files(site) == before
    site.project.alembic("-x", "bind=one", *command)
    assert _files(site) == before  # Nothing changed in bind one.
    site.project.alembic("-x", "bind=two", *command)
    [new] = _files(site) - before
    assert new.parent.name == "two"
    source = new.read_text(encoding="utf-8")
    assert "add_column" in source
    assert "alembic_version" not in source
    site.project.alembic("upgrade", "head")
    site.project.alembic("check")
    assert versions(site)["one/public"] == ["a2"]
    site.project.alembic("-x", "bind=one", "revision", "-m", "empty")
    [empty] = _files(site) - before - {new}
    assert empty.parent.name == "one"
    assert "down_revision = 'a2'" in empty.read_text(encoding="utf-8")


def test_merge(site: Site) -> None:
    write_history(site.project, "two", [Revision("b3", "b1")])
    refused = site.project.alembic("merge", "heads", code=255)
    assert "alembic -x bind=one merge heads" in refused.all
    before = _files(site)
    site.project.alembic("-x", "bind=two", "merge", "heads", "-m", "together")
    [new] = _files(site) - before
    assert new.parent.name == "two"
    site.project.alembic("upgrade", "head")
    site.project.alembic("current", "--check-heads")


def _files(site: Site) -> set[Path]:
    return set((site.project.root / "migrations" / "versions").rglob("*.py"))


def test_stocks_own_sql(site: Site, new_site: NewSite, tmp_path: Path) -> None:
    """What `alembic upgrade head --sql` prints does in psql what it does without --sql."""
    said = site.project.alembic("-x", "bind=two", "upgrade", "head", "--sql")
    file = tmp_path / "stock.sql"
    file.write_text(said.out, encoding="utf-8")
    engine = create_engine(site.databases["two"], poolclass=NullPool)
    with engine.begin() as connection:
        for schema in ("acme", "globex"):
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    psql_file(site.databases["two"], file)
    by_hand = dump(site.databases["two"])
    other = new_site()
    other.project.alembic("-x", "bind=two", "upgrade", "head")
    assert by_hand == dump(other.databases["two"])


@pytest.mark.slow
def test_a_bind_that_is_added_later_edits_no_revision(
    new_site: NewSite, pg_database: DatabaseFactory
) -> None:
    site = new_site()
    site.project.alembic("upgrade", "head")
    before = {file: file.read_bytes() for file in _files(site)}
    third = pg_database()
    project = Project(site.project.root, {**site.project.environ, "THREE_URL": full(third)})
    yaml = project.root / "databases.yaml"
    text_ = yaml.read_text(encoding="utf-8")
    yaml.write_text(text_ + '  three: {url: "${THREE_URL}"}\n', encoding="utf-8")
    more = TABLES + (
        "three = sa.MetaData(info={'bind_key': 'three'})\n"
        "sa.Table('c', three, sa.Column('id', sa.Integer, primary_key=True))\n"
    )
    project.write("apps/one/models.py", more)
    project.alembic("-x", "bind=three", "revision", "--autogenerate", "-m", "first")
    assert {file: file.read_bytes() for file in _files(site) if file in before} == before
    [new] = _files(site) - set(before)
    assert new.parent.name == "three"
    project.alembic("upgrade", "head")
    assert "CREATE TABLE public.c " in dump(third)
    assert versions(site) == at("a2", "b2")


PROGRAM = """
import logging, io
stream = io.StringIO()
logging.basicConfig(stream=stream, level=logging.INFO, format="%(name)s %(message)s")
mine = logging.getLogger("my.application")
before = (logging.root.level, list(logging.root.handlers), mine.disabled, mine.level)
from alembic import command
from alembic.config import Config
config = Config("alembic.ini")
command.upgrade(config, "head")
command.current(config)
command.downgrade(config, "-1")
assert (logging.root.level, list(logging.root.handlers), mine.disabled, mine.level) == before
mine.info("still here")
assert "my.application still here" in stream.getvalue()
print("done")
"""

LOGGING = """
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = ERROR
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = INI %(message)s
"""


def test_an_application_that_calls_alembic_keeps_its_logging(site: Site) -> None:
    ini = site.project.root / "alembic.ini"
    ini.write_text(ini.read_text(encoding="utf-8") + LOGGING, encoding="utf-8")
    said = site.project.python(PROGRAM)
    assert said.out.strip().endswith("done")
    assert versions(site) == at("a1", "b1")
