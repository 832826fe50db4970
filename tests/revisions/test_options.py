"""What env.py may say, and how it meets what databases.yaml says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from orchestrator.config.load import load_config
from orchestrator.discovery.types import MetaDataSet
from orchestrator.errors import EnvironmentScriptError
from orchestrator.revisions.options import (
    DECIDED_HERE,
    EnvironmentOptions,
    configure_options,
    hidden_tables,
)

TEXT = """
apps: {packages: [apps]}
default_bind: main
binds:
  main: {url: "postgresql://h/x", version_table: mine, transaction: path}
  shop: {url: "postgresql://h/y"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "databases.yaml").write_text(TEXT)
    return tmp_path


def configured(
    folder: Path, bind: str = "main", *, schema: str | None = None, **given: Any
) -> dict[str, Any]:
    config = load_config(folder / "databases.yaml")
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer))
    environment = EnvironmentOptions(given.pop("common", {}), given.pop("per_bind", {}))
    return configure_options(
        config.binds[bind],
        schema,
        environment,
        MetaDataSet([metadata]),
        hidden=hidden_tables(config),
        **given,
    )


def test_what_databases_yaml_decides(folder: Path) -> None:
    main, shop = configured(folder, schema="t_a"), configured(folder, "shop")
    assert (main["version_table"], main["version_table_schema"]) == ("mine", "t_a")
    assert (shop["version_table"], shop["version_table_schema"]) == ("alembic_version", None)
    assert (main["transaction_per_migration"], shop["transaction_per_migration"]) == (False, True)
    assert isinstance(main["target_metadata"], MetaData)
    assert "include_schemas" not in main


def test_a_binds_own_options_stand_before_the_common_ones(folder: Path) -> None:
    given: dict[str, Any] = {
        "common": {"compare_type": False, "user_module_prefix": "x."},
        "per_bind": {"main": {"compare_type": True}},
    }
    assert configured(folder, **given)["compare_type"] is True
    assert configured(folder, **given)["user_module_prefix"] == "x."
    assert configured(folder, "shop", **given)["compare_type"] is False


@pytest.mark.parametrize(
    ("name", "kind", "plain", "with_drops"),
    [
        ("orders", "table", True, True),
        ("theirs", "table", False, True),
        ("mine", "table", False, False),
        ("alembic_version", "table", False, False),
        ("orchestrator_journal", "table", False, False),
        ("other", "schema", False, False),
        (None, "schema", True, True),
        ("id", "column", True, True),
    ],
)
def test_which_tables_are_compared(
    folder: Path, name: str | None, kind: str, plain: bool, with_drops: bool
) -> None:
    parents: Mapping[str, str | None] = {"schema_qualified_table_name": name}
    for drops, expected in ((False, plain), (True, with_drops)):
        include = configured(folder, drop_unowned=drops)["include_name"]
        assert include(name, kind, parents) is expected


def test_the_projects_include_name_narrows_further(folder: Path) -> None:
    asked: list[str | None] = []

    def users(name: str | None, _kind: str, _parents: Mapping[str, str | None]) -> bool:
        asked.append(name)
        return name != "orders"

    include = configured(folder, common={"include_name": users})["include_name"]
    assert include("orders", "table", {"schema_qualified_table_name": "orders"}) is False
    assert include("mine", "table", {"schema_qualified_table_name": "mine"}) is False
    assert include("id", "column", {}) is True
    # It is not asked about what is never compared.
    assert asked == ["orders", "id"]


@pytest.mark.parametrize("name", DECIDED_HERE)
def test_refused_options(folder: Path, name: str) -> None:
    config = load_config(folder / "databases.yaml")
    for options in (
        EnvironmentOptions({name: None}),
        EnvironmentOptions(per_bind={"shop": {name: None}}),
    ):
        with pytest.raises(EnvironmentScriptError) as caught:
            options.check(config)
        [problem] = caught.value.problems
        assert problem.what == f"run_migrations() was given {name}, which databases.yaml decides"
        assert DECIDED_HERE[name] in problem.todo
        assert problem.where == str(config.migrations / "env.py")


def test_binds_that_do_not_exist_are_told_with_the_rest(folder: Path) -> None:
    config = load_config(folder / "databases.yaml")
    given = EnvironmentOptions({"url": "x"}, {"shpo": {"connection": None}})
    with pytest.raises(EnvironmentScriptError) as caught:
        given.check(config)
    assert len(caught.value.problems) == 3
    EnvironmentOptions({"compare_type": True}, {"shop": {}}).check(config)
