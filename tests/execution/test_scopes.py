"""What counts of a target's schema: told without any connection."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.checks.types import Scope
from orchestrator.config.ledger_tables import LEDGER_TABLES
from orchestrator.errors import DiscoveryError
from orchestrator.execution.project import Project
from orchestrator.execution.scopes import scope_of
from orchestrator.fleet.targets import all_targets, target_named
from tests.cli.small import small_project

MODELS = """
import sqlalchemy as sa

for bind, tables in {{{tables}}}.items():
    metadata = sa.MetaData(info={{"bind_key": bind}})
    for name in tables:
        schema, _, name = name.rpartition(".")
        column = sa.Column("id", sa.Integer, primary_key=True)
        sa.Table(name, metadata, column, schema=schema or None)
    globals()[bind] = metadata
"""


pytestmark = pytest.mark.usefixtures("own_apps")

ALWAYS = LEDGER_TABLES | {"alembic_version", "orchestrator_journal"}


def opened(root: Path, binds: str, tables: str = "", *, more: str = "") -> Project:
    """A project with these binds and the tables of their models."""
    text = f"apps: {{packages: [apps]}}\n{more}\nbinds:\n{binds}\n"
    small_project(root, text, models=MODELS.format(tables=tables))
    return Project.open(root=root)


def scopes(project: Project) -> dict[str, Scope]:
    """The scope of every target, by its id."""
    of = scope_of(project)
    return {one.id: of(one) for one in all_targets(project.config, project.config.binds.values())}


def test_tables_of_the_program_are_hidden(tmp_path: Path) -> None:
    project = opened(
        tmp_path,
        "  one: {url: mysql://u@h/one, version_table: v1}\n"
        "  two: {url: mysql://u@h/two, journal_table: j2}",
    )
    hidden = LEDGER_TABLES | {"v1", "alembic_version", "orchestrator_journal", "j2"}
    assert {one.hidden for one in scopes(project).values()} == {hidden}


def test_the_drift_section_travels_on(tmp_path: Path) -> None:
    binds = "  one: {url: mysql://u@h/one}"
    more = "drift: {ignore: ['*.old', tmp_x], column_order: false}"
    project = opened(tmp_path, binds, more=more)
    [found] = scopes(project).values()
    assert found == Scope(ALWAYS, ("*.old", "tmp_x"), False)
    [target] = all_targets(project.config, project.config.binds.values())
    assert scope_of(project, column_order=True)(target).column_order


def test_column_order_counts_by_default(tmp_path: Path) -> None:
    [found] = scopes(opened(tmp_path, "  one: {url: mysql://u@h/one}")).values()
    assert found.column_order


def test_neighbours_hide_each_others_tables_and_never_their_own(tmp_path: Path) -> None:
    project = opened(
        tmp_path,
        "  one: {url: postgresql://u@h/shared, version_table: v1}\n"
        "  two: {url: postgresql://u2@h:5432/shared, version_table: v2}\n"
        "  far: {url: postgresql://u@h/other}",
        '"one": ["a", "both"], "two": ["b", "both"], "far": ["c"]',
    )
    always = ALWAYS | {"v1", "v2"}
    found = {name: one.hidden - always for name, one in scopes(project).items()}
    assert found == {"one": {"b"}, "two": {"a"}, "far": set()}


@pytest.mark.parametrize(
    ("tenancy", "place", "url"),
    [
        ("schema", "public", "postgresql://u@h/shared"),
        ("database", "shared", "mysql://u@h/shared"),
    ],
)
def test_a_tenant_has_a_neighbour_where_it_meets_one(
    tmp_path: Path, tenancy: str, place: str, url: str
) -> None:
    project = opened(
        tmp_path,
        f"  one: {{url: '{url}'}}\n"
        f"  many: {{url: '{url}', tenancy: {tenancy}, version_table: v2, "
        f"tenants: {{list: [{place}, elsewhere]}}}}",
        '"one": ["a"], "many": ["b"]',
    )
    found = {name: one.hidden - ALWAYS - {"v2"} for name, one in scopes(project).items()}
    assert found == {"one": {"b"}, f"many/{place}": {"a"}, "many/elsewhere": set()}


def test_tenants_that_cannot_be_told_are_taken_for_neighbours(tmp_path: Path) -> None:
    project = opened(
        tmp_path,
        "  many: {url: 'mysql://u@h/x', tenancy: database, name: 'm_{tenant}', version_table: v2,"
        " tenants: {command: [./nothing]}}\n"
        "  one: {url: mysql://u@h/m_acme}\n"
        "  two: {url: mysql://u@h/other}",
        '"one": ["a"], "two": ["c"], "many": ["b"]',
    )
    of = scope_of(project)
    found = {
        name: of(target_named(project.config, name)).hidden - ALWAYS - {"v2"}
        for name in ("one", "two")
    }
    assert found == {"one": {"b"}, "two": set()}


@pytest.mark.parametrize("tenancy", ["", ", tenancy: database, tenants: {list: [t]}"])
def test_schemas_of_the_models_count_on_postgresql(tmp_path: Path, tenancy: str) -> None:
    project = opened(
        tmp_path,
        f"  one: {{url: postgresql://u@h/x{tenancy}}}",
        '"one": ["a", "crm.b", "app.c"]',
    )
    [found] = scopes(project).values()
    assert found.schemas == ("app", "crm")


def test_models_are_left_alone_where_nothing_depends_on_them(tmp_path: Path) -> None:
    project = opened(
        tmp_path,
        "  shop: {url: postgresql://u@h/x, tenancy: schema, tenants: {list: [a, b]}}\n"
        "  audit: {url: mysql://u@h/x}",
    )
    (tmp_path / "apps/things/models.py").write_text("import nowhere_at_all\n", encoding="utf-8")
    found = scopes(project)
    assert found["shop/a"] is found["shop/b"]
    assert found["audit"].hidden == ALWAYS


def test_broken_models_are_told_where_they_are_needed(tmp_path: Path) -> None:
    project = opened(tmp_path, "  one: {url: postgresql://u@h/x}")
    (tmp_path / "apps/things/models.py").write_text("import nowhere_at_all\n", encoding="utf-8")
    with pytest.raises(DiscoveryError, match="nowhere_at_all"):
        scopes(project)
