"""Stages: which binds come first, and tenants that an earlier stage brings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import Bind, Config, Where
from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError, EmptySelection
from orchestrator.execution.stages import staged_targets, stages
from orchestrator.fleet.targets import Selection
from tests.cli.small import rows, shown
from tests.conftest import DatabaseFactory

HERE = Where(Path("/p/databases.yaml"), 7)


def config_of(depends: dict[str, tuple[str, ...]]) -> Config:
    """Binds with these dependencies, in this order."""
    binds = {name: Bind(name, HERE, {}, (), depends_on=on) for name, on in depends.items()}
    return Config(HERE.file, HERE.file.parent, HERE.file.parent, "", binds)


def names(config: Config, *wanted: str) -> list[str]:
    """The stages of these binds, each as its names behind each other."""
    binds = [config.binds[name] for name in wanted or config.binds]
    return ["".join(bind.name for bind in stage) for stage in stages(config, binds)]


@pytest.mark.parametrize(
    ("depends", "expected"),
    [
        ({}, []),
        ({"a": (), "b": ()}, ["ab"]),
        ({"a": ("b",), "b": ()}, ["b", "a"]),
        ({"a": ("c",), "b": (), "c": ("b",), "d": ()}, ["bd", "c", "a"]),
        ({"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}, ["a", "bc", "d"]),
    ],
)
def test_a_bind_comes_after_what_it_depends_on(
    depends: dict[str, tuple[str, ...]], expected: list[str]
) -> None:
    assert names(config_of(depends)) == expected


def test_a_bind_that_is_left_out_still_orders_the_others() -> None:
    config = config_of({"a": ("b",), "b": ("c",), "c": (), "d": ()})
    assert names(config, "a", "c", "d") == ["cd", "a"]
    assert names(config, "a") == ["a"]


@given(st.lists(st.sets(st.integers(0, 7)), max_size=8), st.sets(st.integers(0, 7)))
def test_every_bind_has_one_stage(dependencies: list[set[int]], chosen: set[int]) -> None:
    """Binds may depend on any with a smaller number, so that there is no cycle."""
    depends = {
        str(number): tuple(str(other) for other in sorted(on) if other < number)
        for number, on in enumerate(dependencies)
    }
    config = config_of(dict(reversed(depends.items())))
    wanted = [name for name in config.binds if int(name) in chosen]
    placed = {
        bind.name: number
        for number, stage in enumerate(stages(config, [config.binds[name] for name in wanted]))
        for bind in stage
    }
    assert sorted(placed) == sorted(wanted)
    for name in wanted:
        for other in depends[name]:
            assert other not in placed or placed[other] < placed[name]


def project(root: Path, text: str) -> Config:
    file = root / "databases.yaml"
    file.write_text(f"apps: {{packages: [apps]}}\ndefault_bind: main\nbinds:\n{text}")
    return load_config(file, environ={})


def installation(root: Path, url: str, more: str = "") -> Config:
    """shop, whose tenants main lists, before main in the file."""
    return project(
        root,
        f"  shop: {{url: {url}, tenancy: schema,\n"
        "    tenants: {query: {bind: main, sql: SELECT slug AS tenant FROM customers}}}\n"
        f"  main: {{url: {url}}}\n{more}",
    )


def test_a_fresh_installation_finds_tenants_when_main_is_there(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    config = installation(tmp_path, shown(url))
    found = staged_targets(config, Selection(everything=True))
    first = next(found)
    assert ([bind.name for bind in first.binds], first.found.unknown) == (["main"], ())
    assert [one.id for one in first.targets] == ["main"]
    rows(url, "CREATE TABLE customers (slug varchar(50))")
    rows(url, "INSERT INTO customers VALUES ('acme'), ('globex')")
    second = next(found)
    assert [one.id for one in second.targets] == ["shop/acme", "shop/globex"]
    assert second.found.unknown == ()
    assert list(found) == []


def test_what_is_still_not_known_is_told_as_such(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    config = installation(tmp_path, shown(pg_database()))
    _main, shop = staged_targets(config, Selection(everything=True))
    assert shop.targets == ()
    [unknown] = shop.found.unknown
    assert unknown.after == ()
    assert unknown.words.startswith("tenants not known: relation ")


def test_a_mistake_in_the_last_stage_is_told_before_the_first(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = shown(pg_database())
    late = (
        f"  late: {{url: {url}, depends_on: [shop], tenancy: schema, version_table: v,\n"
        "    tenants: {file: none.txt}}\n"
    )
    config = installation(tmp_path, url, late)
    with pytest.raises(ConfigError, match=r"none\.txt cannot be read"):
        next(staged_targets(config, Selection(everything=True)))


def test_a_place_that_is_taken_is_told_when_it_comes(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    config = installation(tmp_path, shown(url))
    found = staged_targets(config, Selection(everything=True))
    next(found)
    rows(url, "CREATE TABLE customers (slug varchar(50))")
    rows(url, "INSERT INTO customers VALUES ('public')")
    with pytest.raises(ConfigError, match="shop/public is the same place as main"):
        next(found)


def test_the_limit_is_of_all_stages(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    rows(url, "CREATE TABLE customers (slug varchar(50))")
    rows(url, "INSERT INTO customers VALUES ('a'), ('b'), ('c')")
    config = installation(tmp_path, shown(url))
    found = [
        [one.id for one in stage.targets] for stage in staged_targets(config, Selection(limit=3))
    ]
    assert found == [["main"], ["shop/a", "shop/b"]]


def test_a_selection_that_names_nothing(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    rows(url, "CREATE TABLE customers (slug varchar(50))")
    config = installation(tmp_path, shown(url))
    with pytest.raises(EmptySelection):
        list(staged_targets(config, Selection(tenants=("nobody",))))
    assert list(staged_targets(config, Selection(tenants=("nobody",)), allow_empty=True)) == []


def test_a_selection_that_names_nothing_once_main_is_there(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    config = installation(tmp_path, shown(url))
    found = staged_targets(config, Selection(binds=("shop", "main"), tenants=("nobody",)))
    rows(url, "CREATE TABLE customers (slug varchar(50))")
    with pytest.raises(EmptySelection):
        list(found)
