"""Names of tenants are data: whatever they hold, on each road they name a place and no more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from servers import RunningServer
from tests.conftest import DatabaseFactory
from tests.databases.dump import dump
from tests.roads.history import Revision, lay_out
from tests.roads.project import Project
from tests.roads.site import ROADS, Road, Site, compare, full

NAMES = (
    "acme",
    "ACME",
    "select",
    "public2",
    "two words",
    "it's",
    'say "hi"',
    "back`tick",
    "100%",
    "%s %(x)s %%",
    "a.b",
    "a/b",
    "a\\b",
    ":x",
    "$1 $$",
    "{tenant}",
    "é日本😀",
    "--",
    '"; DROP SCHEMA public; --',
    "`; DROP DATABASE mysql; --",
    "'; DROP TABLE t; --",
    "x" * 48,
)
HISTORY = [
    Revision("one", None, "op.create_table('t', sa.Column('id', sa.Integer(), primary_key=True))"),
    Revision(
        "two",
        "one",
        "op.bulk_insert(sa.table('t', sa.column('id', sa.Integer())), [{'id': 1}])",
        "op.execute('DELETE FROM t')",
    ),
]
BIND = """\
binds:
  shop:
    url: "${SHOP_URL}"
    flavour: "${FLAVOUR}"
    tenancy: %s
    name: %s
    create: true
    tenants: {file: tenants.json}
"""

NewSite = Callable[..., Site]


@pytest.fixture
def site(tmp_path: Path) -> NewSite:
    """A project whose tenants have the names above; their places begin with a prefix."""

    def new(road: Road, make: DatabaseFactory, flavour: str, tenancy: str) -> Site:
        database = make()
        # MySQL keeps no names beyond the three-byte characters of Unicode.
        names = [name for name in NAMES if "postgres" in flavour or max(name) < "\U00010000"]
        prefix = f"{database.database}_" if tenancy == "database" else ""
        project = Project(tmp_path / road, {"SHOP_URL": full(database), "FLAVOUR": flavour})
        lay_out(project, BIND % (tenancy, json.dumps(prefix + "{tenant}")), {"shop": HISTORY})
        project.write("tenants.json", json.dumps(names))
        return Site(project, {"shop": database})

    return new


@pytest.mark.parametrize("tenancy", ["schema", pytest.param("database", marks=pytest.mark.slow)])
def test_postgresql(
    site: NewSite, pg_database: DatabaseFactory, postgres: RunningServer, tenancy: str
) -> None:
    roads = {road: site(road, pg_database, postgres.flavour, tenancy) for road in ROADS}
    for road, one in roads.items():
        one.upgrade(road)
    found = compare(roads)
    if tenancy == "database":
        assert len(found) == len(NAMES) + 1
    else:
        assert _schemas(roads["orchestrator"]) == {*NAMES, "public"}
    said = roads["script"].project.orchestrator("status", "--exit-code")
    assert said.out.count("(head)") == len(NAMES)


def test_mysql(site: NewSite, my_database: DatabaseFactory, mysql: RunningServer) -> None:
    roads = {road: site(road, my_database, mysql.flavour, "database") for road in ROADS}
    for road, one in roads.items():
        one.upgrade(road)
    found = compare(roads)
    assert len(found) == len(NAMES)  # All but one of the names, and the bind's own database.
    said = roads["script"].project.orchestrator("status", "--exit-code")
    assert said.out.count("(head)") == len(NAMES) - 1


@pytest.mark.slow
def test_one_tenant_by_stock_alembic(
    site: NewSite, pg_database: DatabaseFactory, postgres: RunningServer
) -> None:
    one = site("alembic", pg_database, postgres.flavour, "schema")
    one.project.alembic(
        "-x", "bind=shop", "-x", 'tenant="; DROP SCHEMA public; --', "upgrade", "head"
    )
    assert _schemas(one) == {"public", '"; DROP SCHEMA public; --'}
    assert dump(one.databases["shop"], "public").count("CREATE TABLE") == 0


def _schemas(site: Site) -> set[str]:
    engine = create_engine(site.databases["shop"], poolclass=NullPool)
    with engine.connect() as connection:
        return set(
            connection.execute(
                text(
                    "SELECT nspname FROM pg_namespace"
                    " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
                )
            ).scalars()
        )
