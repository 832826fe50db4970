"""Fleets whose targets were altered by hand, for tests that look for drift.

Enters: a database, and what its tenants' histories do.  Leaves: tenants in schemas (PostgreSQL) or
databases (MySQL) of it, each at a revision, and a way to run SQL in each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from orchestrator.checks.differences import words
from orchestrator.execution.apply import apply
from orchestrator.execution.drift_types import Drift, Judged
from orchestrator.execution.drifting import Asked, Heard, find_drift
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import all_targets, target_named
from orchestrator.fleet.types import Target
from tests.cli.small import SmallProject, shown, small_project

MODELS = """
import sqlalchemy as sa

metadata = sa.MetaData()
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("total", sa.Numeric(10, 2), nullable=False, server_default="0"),
    sa.Column("note", sa.String(200)),
)
items = sa.Table(
    "items",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("order_id", sa.Integer, sa.ForeignKey("orders.id", name="fk_order"), index=True),
)
"""
R1 = """
op.create_table(
    "orders",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("total", sa.Numeric(10, 2), nullable=False, server_default="0"),
    sa.Column("note", sa.String(200)),
)
"""
R2 = """
op.create_table(
    "items",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("order_id", sa.Integer, sa.ForeignKey("orders.id", name="fk_order")),
)
op.create_index("ix_items_order_id", "items", ["order_id"])
"""
_FILE = """
apps: {{packages: [apps]}}
{more}
binds:
  shop:
    url: {url}
    tenancy: {tenancy}
    name: "{prefix}{{tenant}}"
    tenants: {{file: tenants.txt}}
"""


@dataclass(frozen=True)
class Fleet:
    """A bind `shop`, whose tenants are there."""

    folder: SmallProject
    project: Project
    url: URL
    prefix: str

    def target(self, tenant: str) -> Target:
        """One of them."""
        return target_named(self.project.config, f"shop/{tenant}")

    def do(self, tenants: str | Iterable[str], *statements: str) -> None:
        """Run SQL on one, or on each of several; `{p}.` stands before its tables."""
        engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for tenant in [tenants] if isinstance(tenants, str) else tenants:
                for statement in statements:
                    connection.exec_driver_sql(statement.format(p=f"{self.prefix}{tenant}"))

    def upgrade(self, tenant: str, to: str = "heads") -> None:
        """Bring one to a revision."""
        target = self.target(tenant)
        steps = self.project.history("shop").upgrade(to)
        outcome = apply(self.project.job(target, steps, destination=to))
        assert outcome.failure is None, outcome.failure

    def drift(self, asked: Asked | None = None, heard: Heard | None = None) -> Drift:
        """Look at all of them."""
        config = self.project.config
        targets = all_targets(config, config.binds.values())
        return find_drift(self.project, targets, asked or Asked(), heard or (lambda _text: None))


def fleet(
    root: Path,
    url: URL,
    tenants: Mapping[str, str],
    *,
    revisions: Mapping[str, str] | None = None,
    more: str = "",
    models: str = MODELS,
) -> Fleet:
    """Make tenants, each at its revision ("": only its schema or database is made, "base": its
    version table too). revisions: the
    bodies of a straight history; more: further sections of databases.yaml."""
    on_schemas = url.get_backend_name() == "postgresql"
    prefix = "t_" if on_schemas else f"{url.database}_"
    tenancy = "schema" if on_schemas else "database"
    text = _FILE.format(url=shown(url), tenancy=tenancy, prefix=prefix, more=more)
    folder = small_project(root, text, models=models)
    before = None
    for name, body in (revisions or {"r1": R1, "r2": R2}).items():
        folder.revision("shop", name, body, after=before)
        before = name
    folder.write("tenants.txt", "\n".join(tenants) + "\n")
    made = Fleet(folder, Project.open(root=root), url, prefix)
    made.do(tenants, f"CREATE {'SCHEMA' if on_schemas else 'DATABASE'} {{p}}")
    for tenant, revision in tenants.items():
        if revision == "base":
            made.do(tenant, "CREATE TABLE {p}.alembic_version (version_num varchar(32) NOT NULL)")
        elif revision:
            made.upgrade(tenant, revision)
    return made


def named(one: Judged) -> list[str]:
    """The tenants of a group."""
    return [str(target.tenant) for target in one.group.targets]


def told(found: Drift) -> dict[str, list[str]]:
    """What is said of each group that is not as it should be, by its first tenant."""
    return {
        named(one)[0]: [words(each) for each in one.differences]
        for one in found.groups
        if one.verdict == "drifted"
    }
