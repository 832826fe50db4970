"""Where statements land: search_path, types in public, several servers, and one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from servers import RunningServer
from tests.conftest import DatabaseFactory
from tests.roads.history import Revision, lay_out
from tests.roads.project import Project
from tests.roads.site import ROADS, Road, Site, compare, full

NewSite = Callable[..., Site]
CREATE_T = Revision(
    "one",
    None,
    "op.create_table('t', sa.Column('id', sa.Integer(), primary_key=True))",
    "op.drop_table('t')",
)


@pytest.fixture
def new_site(tmp_path: Path) -> NewSite:
    """A project of one bind, `only`."""

    def new(
        road: Road,
        databases: Mapping[str, DatabaseFactory],
        bind: str,
        history: list[Revision],
    ) -> Site:
        urls = {name: make() for name, make in databases.items()}
        environ = {f"{name.upper()}_URL": full(url) for name, url in urls.items()}
        project = Project(tmp_path / road, environ)
        lay_out(project, f"binds:\n  only:\n{bind}", {"only": history})
        return Site(project, urls)

    return new


def run(site: Site, statements: str) -> None:
    """Prepare every database of a site."""
    for url in site.databases.values():
        engine = create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text(statements))


IN_PUBLIC = """\
CREATE TYPE public.mood AS ENUM ('fine', 'so-so');
CREATE FUNCTION public.twice(i int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT i * 2';
CREATE TABLE public.u (id int);
"""
USES_PUBLIC = [
    Revision(
        "one",
        None,
        "op.create_table('t', sa.Column('id', sa.Integer(), primary_key=True),\n"
        "    sa.Column('mood', postgresql.ENUM(name='mood', create_type=False)),\n"
        "    sa.Column('two', sa.Integer(), sa.Computed('twice(id)', persisted=True)))\n"
        "op.execute(\"INSERT INTO t (id, mood) VALUES (4, 'so-so')\")\n"
        "op.execute('INSERT INTO u (id) VALUES (1)')",
        "op.drop_table('t')",
    )
]
TENANTS = """\
    url: "${ONLY_URL}"
    tenancy: schema
    create: true
    search_path: [public]
    tenants: {list: [acme, globex]}
"""


def test_types_and_functions_in_public(new_site: NewSite, pg_database: DatabaseFactory) -> None:
    roads = {}
    for road in ROADS:
        site = roads[road] = new_site(road, {"only": pg_database}, TENANTS, USES_PUBLIC)
        # A version table in public belongs to somebody else: no tenant stands where it says.
        run(site, IN_PUBLIC + "CREATE TABLE alembic_version (version_num varchar(32));")
        run(site, "INSERT INTO alembic_version VALUES ('elsewhere')")
        site.upgrade(road)
    [found] = compare(roads).values()
    assert found.count("so-so") == 3  # The type, and a row of each tenant.
    assert found.count("elsewhere") == 1
    for road, site in roads.items():
        site.downgrade(road)
    compare(roads)


def test_search_path_without_tenants(new_site: NewSite, pg_database: DatabaseFactory) -> None:
    bind = '    url: "${ONLY_URL}"\n    search_path: [app, public]\n'
    roads = {}
    for road in ROADS:
        site = roads[road] = new_site(road, {"only": pg_database}, bind, USES_PUBLIC)
        run(site, IN_PUBLIC + "CREATE SCHEMA app;")
        site.upgrade(road)
    [found] = compare(roads).values()
    assert "CREATE TABLE app.t " in found
    assert "CREATE TABLE app.alembic_version " in found


SERVERS = """\
    tenancy: schema
    create: true
    servers:
      eu: {url: "${EU_URL}"}
      us: {url: "${US_URL}"}
    tenants:
      list: [{tenant: acme, server: eu}, {tenant: acme, server: us}, {tenant: globex, server: us}]
"""


@pytest.mark.slow
def test_several_servers_in_one_bind(new_site: NewSite, pg_database: DatabaseFactory) -> None:
    roads = {}
    for road in ROADS:
        both = {"eu": pg_database, "us": pg_database}
        site = roads[road] = new_site(road, both, SERVERS, [CREATE_T])
        site.upgrade(road)
    found = compare(roads)
    assert found["eu"].count("CREATE TABLE") == 2
    assert found["us"].count("CREATE TABLE") == 4


FAILS = [
    CREATE_T,
    Revision("two", "one", "op.add_column('t', sa.Column('x', sa.Text()))"),
    Revision("three", "two", "op.execute('INSERT INTO t (id) VALUES (1), (1)')"),
]


@pytest.mark.parametrize(
    ("transaction", "left"), [pytest.param("revision", 2, marks=pytest.mark.slow), ("path", 0)]
)
def test_how_much_a_failure_takes_back(
    new_site: NewSite, pg_database: DatabaseFactory, transaction: str, left: int
) -> None:
    bind = f'    url: "${{ONLY_URL}}"\n    transaction: {transaction}\n'
    roads = {road: new_site(road, {"only": pg_database}, bind, FAILS) for road in ROADS}
    roads["orchestrator"].project.orchestrator("upgrade", "--all", code=1)
    roads["alembic"].project.alembic("upgrade", "head", code=1)
    with pytest.raises(RuntimeError, match="duplicate key"):
        roads["script"].upgrade("script")
    [found] = compare(roads).values()
    assert found.count("CREATE TABLE") == left
    assert ("'two'" in found or "(two)" in found) == (transaction == "revision")


PATH = [
    CREATE_T,
    Revision(
        "two",
        "one",
        "with op.get_context().autocommit_block():\n"
        "    op.execute('-- a comment first\\nCREATE INDEX CONCURRENTLY i ON t (id)')",
        "op.drop_index('i', 't')",
    ),
    Revision("three", "two", "op.execute('INSERT INTO t (id) VALUES (1)')"),
    Revision("four", "three", "op.execute('INSERT INTO t (id) VALUES (2)')"),
]


@pytest.mark.slow
def test_one_transaction_around_an_autocommit_block(
    new_site: NewSite, pg_database: DatabaseFactory
) -> None:
    bind = '    url: "${ONLY_URL}"\n    transaction: path\n'
    roads = {}
    for road in ROADS:
        roads[road] = new_site(road, {"only": pg_database}, bind, PATH)
        roads[road].upgrade(road)
    [found] = compare(roads).values()
    assert "CREATE INDEX i " in found
    for road, site in roads.items():
        site.downgrade(road)
    compare(roads)


LONG = "a_name_that_says_what_the_revision_does_" + "x" * 24
WIDE = [CREATE_T, Revision(LONG, "one")]


_WIDER = (
    "CREATE TABLE alembic_version (version_num varchar(128) NOT NULL,"
    " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


@pytest.mark.parametrize("width", [64, pytest.param(128, marks=pytest.mark.slow)])
def test_long_ids(
    new_site: NewSite, any_database: DatabaseFactory, any_server: RunningServer, width: int
) -> None:
    """version_num_length: 64; a table that is wider already stays as it is."""
    assert len(LONG) == 64
    bind = '    url: "${ONLY_URL}"\n    version_num_length: 64\n'
    bind += f"    flavour: {any_server.flavour}\n"
    roads = {}
    for road in ROADS:
        site = roads[road] = new_site(road, {"only": any_database}, bind, WIDE)
        if width == 128:
            run(site, _WIDER)
        site.upgrade(road)
    [found] = compare(roads).values()
    assert LONG in found
    kind = "character varying" if any_server.family == "postgresql" else "varchar"
    assert f"{kind}({width})" in found
