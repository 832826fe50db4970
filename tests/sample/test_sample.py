"""The sample project at the repository's root is what the README says it is, and holds together.

Pure: databases.yaml, models and revision files are read; no database is touched.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config as AlembicConfig
from alembic.script import Script, ScriptDirectory

from orchestrator.config.load import load_config
from orchestrator.config.types import Config
from orchestrator.discovery.discover import discover
from orchestrator.discovery.types import Models

ROOT = Path(__file__).parents[2]
BINDS = ("main", "audit", "shop", "billing")

# Reads that a recording cannot answer; each of them would make a step of the sample live.
READS = re.compile(r"\.(scalars?|fetchall|fetchone|first|all|mappings|rowcount)\(|\binspect\(")


@pytest.fixture(scope="module")
def config() -> Config:
    """The sample's databases.yaml, read without any variable set."""
    return load_config(ROOT / "databases.yaml", environ={})


@pytest.fixture(scope="module")
def models(config: Config) -> Iterator[Models]:
    """What discovery finds in the sample's apps.

    Other tests' projects call their package `apps` too, so what was imported is forgotten again.
    """
    path, modules = list(sys.path), dict(sys.modules)
    for name in _apps_modules():
        del sys.modules[name]
    yield discover(config)
    sys.path[:] = path
    for name in _apps_modules():
        del sys.modules[name]
    sys.modules.update({name: module for name, module in modules.items() if _is_apps(name)})


def _apps_modules() -> list[str]:
    return [name for name in sys.modules if _is_apps(name)]


def _is_apps(module: str) -> bool:
    return module.split(".")[0] == "apps"


def history(bind: str) -> ScriptDirectory:
    """One bind's revision files, as stock Alembic reads them."""
    alembic = AlembicConfig(ROOT / "alembic.ini")
    alembic.set_main_option("version_locations", str(ROOT / "migrations" / "versions" / bind))
    return ScriptDirectory.from_config(alembic)


def revisions(bind: str) -> list[Script]:
    """A bind's revisions, oldest first."""
    return list(history(bind).walk_revisions())[::-1]


def source(revision: Script) -> ast.Module:
    """The parsed text of a revision file."""
    return ast.parse(Path(revision.path).read_text(encoding="utf-8"))


def calls(revision: Script) -> set[str]:
    """The operations (`op.NAME`) that a revision's upgrade() calls."""
    [upgrade] = [
        node
        for node in source(revision).body
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
    ]
    return {
        node.func.attr
        for node in ast.walk(upgrade)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def test_configuration_needs_no_variable(config: Config) -> None:
    assert tuple(config.binds) == BINDS
    config.require(binds=BINDS)
    families = {
        name: {server.url.get_backend_name() for server in bind.servers.values() if server.url}
        for name, bind in config.binds.items()
    }
    assert families == {
        "main": {"postgresql"},
        "audit": {"mysql"},
        "shop": {"postgresql"},
        "billing": {"mysql"},
    }


@pytest.mark.parametrize(("bind", "tenancy"), [("shop", "schema"), ("billing", "database")])
def test_tenant_binds_have_tenants_with_labels(config: Config, bind: str, tenancy: str) -> None:
    one = config.binds[bind]
    assert one.tenancy == tenancy
    assert one.create
    assert one.depends_on == ("main",)
    assert one.tenants is not None
    assert len(one.tenants.entries) == 3
    assert {"internal", "standard"} == {entry.labels["tier"] for entry in one.tenants.entries}


def test_variables_replace_the_urls() -> None:
    config = load_config(
        ROOT / "databases.yaml",
        environ={"MAIN_URL": "postgresql://app@db.example/elsewhere", "MYSQL_FLAVOUR": "mariadb"},
    )
    [main] = config.binds["main"].servers.values()
    assert main.url is not None
    assert (main.url.host, main.url.database) == ("db.example", "elsewhere")
    assert str(config.binds["audit"].flavour) == "mariadb"
    assert str(config.binds["billing"].flavour) == "mariadb"


def test_enough_apps_and_tables(models: Models) -> None:
    assert len(models.apps) >= 5
    assert len(models.tables) >= 15


def test_every_model_table_is_placed_once(models: Models) -> None:
    placed = {(one.bind, one.key) for one in models.tables}
    assert len(placed) == len(models.tables)
    assert placed == {(bind, key) for bind in BINDS for key in models.of(bind).table_keys}
    assert all(models.of(bind).table_keys for bind in BINDS)


@pytest.mark.parametrize(
    ("table", "bind"),
    [
        ("organisations", "main"),  # default_bind
        ("user_roles", "main"),  # a plain Table
        ("subscription_plans", "main"),  # __bind_key__, though its app stands under billing
        ("invoices", "billing"),  # the app is listed by the bind; the Base is shared with main
        ("audit_events", "audit"),  # bind_key of the MetaData
        ("orders", "shop"),  # the app is listed; models is a package
        ("customers", "shop"),
    ],
)
def test_each_rule_of_which_bind_is_used(models: Models, table: str, bind: str) -> None:
    assert [one.bind for one in models.tables if one.key == table] == [bind]


def test_every_table_of_the_models_is_created_by_its_bind(models: Models) -> None:
    created = {bind: _created_tables(bind) for bind in BINDS}
    assert created == {bind: models.of(bind).table_keys for bind in BINDS}


def _created_tables(bind: str) -> set[str]:
    return {
        node.args[0].value
        for revision in revisions(bind)
        for node in ast.walk(source(revision))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "create_table"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


@pytest.mark.parametrize("bind", BINDS)
def test_history_is_linear_with_one_head(bind: str) -> None:
    chain = revisions(bind)
    assert len(chain) >= 3
    assert len(history(bind).get_heads()) == 1
    assert [one.down_revision for one in chain] == [None, *(one.revision for one in chain[:-1])]
    dates = [Path(one.path).name[:10] for one in chain]
    assert dates == sorted(dates)


@pytest.mark.parametrize("bind", BINDS)
def test_history_has_a_data_migration(bind: str) -> None:
    assert any("bulk_insert" in calls(one) for one in revisions(bind))


def test_one_bind_builds_an_index_concurrently() -> None:
    assert any("autocommit_block" in calls(one) for one in revisions("shop"))


def test_revision_ids_are_unique_over_all_binds() -> None:
    ids = Counter(one.revision for bind in BINDS for one in revisions(bind))
    assert [revision for revision, count in ids.items() if count > 1] == []
    assert all(re.fullmatch(r"[0-9a-f]{12}", revision) for revision in ids)


@pytest.mark.parametrize("bind", BINDS)
def test_no_revision_reads_from_the_database(bind: str) -> None:
    reading = [
        one.path
        for one in revisions(bind)
        if READS.search(Path(one.path).read_text(encoding="utf-8"))
    ]
    assert reading == []


@pytest.mark.parametrize("bind", ["shop", "billing"])
def test_no_tenant_is_named_in_a_revision(config: Config, bind: str) -> None:
    tenants = config.binds[bind].tenants
    assert tenants is not None
    text = "\n".join(Path(one.path).read_text(encoding="utf-8") for one in revisions(bind))
    assert [entry.name for entry in tenants.entries if entry.name in text] == []
    assert "schema=" not in text


def test_migrations_need_no_web_framework() -> None:
    program = (
        "import sys; sys.modules['fastapi'] = None\n"  # any import of it fails from here on
        "from pathlib import Path\n"
        "from orchestrator.config.load import load_config\n"
        "from orchestrator.discovery.discover import discover\n"
        "print(len(discover(load_config(Path('databases.yaml'))).tables))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) >= 15
