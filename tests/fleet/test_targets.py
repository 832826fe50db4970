"""Which targets a selection names, and the names of tenants that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config import Config
from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError, EmptySelection, UsageError
from orchestrator.fleet.targets import (
    Selection,
    all_targets,
    select_targets,
    selected_binds,
)

FLEET = """
apps: {packages: [apps]}
default_bind: main
binds:
  main: {url: "postgresql://app@h/main"}
  audit: {url: "mysql://app@h/audit", apps: [audit]}
  shop:
    tenancy: schema
    name: "t_{tenant}"
    apps: [orders]
    servers:
      eu1: {url: "postgresql://app@eu/shop", labels: {region: eu, tier: none}}
      us1: {url: "postgresql://app@us/shop", labels: {region: us}}
    tenants:
      list:
        - {tenant: acme, server: eu1, tier: internal}
        - {tenant: acorn, server: us1, tier: gold}
        - {tenant: globex, server: us1, tier: gold}
        - {tenant: acme, server: us1, tier: silver}
  billing:
    tenancy: database
    apps: [billing]
    url: "mysql://app@h/"
    tenants: {list: [acme, globex]}
"""


def loaded(folder: Path, text: str) -> Config:
    file = folder / "databases.yaml"
    file.write_text(text, encoding="utf-8")
    return load_config(file, environ={})


@pytest.fixture
def fleet(tmp_path: Path) -> Config:
    return loaded(tmp_path, FLEET)


def ids(config: Config, selection: Selection) -> list[str]:
    return [target.id for target in select_targets(config, selection)]


EVERYTHING = [
    "main",
    "audit",
    "shop/acme@eu1",
    "shop/acorn@us1",
    "shop/globex@us1",
    "shop/acme@us1",
    "billing/acme",
    "billing/globex",
]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), EVERYTHING),
        (Selection(everything=True), EVERYTHING),
        # Values of one option widen.
        (Selection(binds=("audit", "main")), ["main", "audit"]),
        (
            Selection(tenants=("globex", "acorn")),
            ["shop/acorn@us1", "shop/globex@us1", "billing/globex"],
        ),
        (Selection(servers=("eu1", "us1")), EVERYTHING[2:6]),
        (
            Selection(labels=(("tier", "internal"), ("tier", "silver"))),
            ["shop/acme@eu1", "shop/acme@us1"],
        ),
        # Different options narrow; so do labels of different names.
        (Selection(binds=("shop",), tenants=("acme",)), ["shop/acme@eu1", "shop/acme@us1"]),
        (
            Selection(binds=("shop",), tenants=("acme",), servers=("us1",)),
            ["shop/acme@us1"],
        ),
        (
            Selection(labels=(("tier", "gold"), ("tier", "internal"), ("region", "us"))),
            ["shop/acorn@us1", "shop/globex@us1"],
        ),
        (Selection(everything=True, binds=("main",)), ["main"]),
        # Globs on the tenant's name, not on the schema's; case counts.
        (
            Selection(tenants=("ac*",)),
            ["shop/acme@eu1", "shop/acorn@us1", "shop/acme@us1", "billing/acme"],
        ),
        (Selection(tenants=("[ag]?o*",)), ["shop/acorn@us1", *EVERYTHING[4:5], *EVERYTHING[7:]]),
        (Selection(tenants=("*",)), EVERYTHING[2:]),
        # A tenant's own label is nearer than its server's.
        (Selection(labels=(("region", "eu"),)), ["shop/acme@eu1"]),
        (Selection(limit=1), ["main"]),
        (Selection(tenants=("*",), limit=2), ["shop/acme@eu1", "shop/acorn@us1"]),
        (Selection(limit=99), EVERYTHING),
        # What a run left: by bind, server and tenant, and within what the others say.
        (
            Selection(among=frozenset([("main", "default", None), ("shop", "us1", "acme")])),
            ["main", "shop/acme@us1"],
        ),
        (
            Selection(
                tenants=("acme",),
                among=frozenset([("main", "default", None), ("shop", "us1", "acme")]),
            ),
            ["shop/acme@us1"],
        ),
    ],
)
def test_same_options_widen_and_different_ones_narrow(
    fleet: Config, selection: Selection, expected: list[str]
) -> None:
    assert ids(fleet, selection) == expected


@pytest.mark.parametrize(
    "selection",
    [
        Selection(tenants=("nobody",)),
        Selection(tenants=("ACME",)),
        Selection(tenants=("t_acme",)),
        Selection(labels=(("tier", "none"),)),
        Selection(labels=(("nothing", "x"),)),
        Selection(binds=("main",), tenants=("acme",)),
        Selection(binds=("billing",), servers=("eu1",)),
        Selection(among=frozenset()),
        Selection(everything=True, among=frozenset([("shop", "none", "acme")])),
    ],
)
def test_a_selection_that_names_nothing(fleet: Config, selection: Selection) -> None:
    with pytest.raises(EmptySelection) as caught:
        select_targets(fleet, selection)
    assert caught.value.exit_code == 2
    assert select_targets(fleet, selection, allow_empty=True) == ()


def test_given(fleet: Config) -> None:
    assert not Selection().given
    assert Selection(everything=True).given
    assert Selection(limit=1).given
    assert Selection(among=frozenset()).given
    assert Selection(labels=(("a", "b"),)).given


def test_unknown_binds_and_servers_are_told_all_at_once(fleet: Config) -> None:
    with pytest.raises(UsageError) as caught:
        selected_binds(fleet, Selection(binds=("shpo", "main", "zzz")))
    assert [one.what for one in caught.value.problems] == [
        "there is no bind 'shpo'; did you mean 'shop'?",
        "there is no bind 'zzz'",
    ]
    assert caught.value.problems[0].todo == "Use one of: main, audit, shop, billing."
    with pytest.raises(UsageError) as caught:
        select_targets(fleet, Selection(servers=("eu2", "zzz")))
    assert [one.what for one in caught.value.problems] == [
        "there is no server 'eu2'; did you mean 'eu1'?",
        "there is no server 'zzz'",
    ]


def test_where_a_target_is(fleet: Config) -> None:
    found = {target.id: target for target in all_targets(fleet, fleet.binds.values())}
    shop, billing, main = found["shop/acme@eu1"], found["billing/acme"], found["main"]
    assert (shop.schema, shop.database, shop.tenant) == ("t_acme", None, "acme")
    assert shop.labels == {"region": "eu", "tier": "internal"}
    assert (billing.schema, billing.database, billing.tenant) == (None, "acme", "acme")
    assert (main.schema, main.database, main.tenant) == (None, None, None)


def one_bind(folder: Path, tenants: str, *, mysql: bool = False, more: str = "") -> Config:
    url = "mysql://app@h/" if mysql else "postgresql://app@h/shop"
    (folder / "tenants.json").write_text(tenants)
    return loaded(
        folder,
        f"""
apps: {{packages: [apps]}}
binds:
  shop:
    url: "{url}"
    tenancy: {"database" if mysql else "schema"}
    tenants: {{file: tenants.json}}
    {more}
""",
    )


@pytest.mark.parametrize(
    ("on_mysql", "name", "fault"),
    [
        (False, "x" * 63, None),
        (False, "x" * 64, "has 64 bytes, and postgresql takes 63"),
        (False, "ü" * 32, "has 64 bytes, and postgresql takes 63"),
        (True, "ü" * 64, None),
        (True, "x" * 65, "has 65 characters, and mysql takes 64"),
        (False, "ac\\nme", "holds a control character"),
        (True, "ac\\u0000me", "holds a control character"),
        (False, "ac\\u007fme", "holds a control character"),
        (False, "ac\\u0085me", "holds a control character"),
        (False, "ac\\u2028me", "holds a control character"),
        (False, "ac\\ud800me", "holds a control character"),
        (True, "ac\\u001b[31mme", "holds a control character"),
        (False, " ", "a tenant's name is empty"),
        (False, "acme ", None),
        (True, "acme ", "ends with a space"),
        (True, "caf\\u00e9", None),
        (True, "\\ud83c\\udf55", "above U+FFFF"),
        (False, "\\ud83c\\udf55", None),
        (False, "pg_acme", "starts with pg_"),
        (True, "pg_acme", None),
        (False, "information_schema", "belongs to the server itself"),
        (True, "MySQL", "belongs to the server itself"),
        (False, 'quo\\"te; DROP SCHEMA x; --%s', None),
    ],
)
def test_names_that_a_server_cannot_carry(
    tmp_path: Path, on_mysql: bool, name: str, fault: str | None
) -> None:
    config = one_bind(tmp_path, f'["good",\n"{name}"]', mysql=on_mysql)
    if fault is None:
        assert len(all_targets(config, config.binds.values())) == 2
        return
    with pytest.raises(ConfigError) as caught:
        all_targets(config, config.binds.values())
    [problem] = caught.value.problems
    assert fault in problem.what
    assert problem.where.endswith("tenants.json:2")
    assert problem.key == "binds.shop.tenants"
    assert problem.what.isprintable()


def test_the_whole_name_is_measured(tmp_path: Path) -> None:
    config = one_bind(tmp_path, f'["{"x" * 62}"]', more='name: "t_{tenant}"')
    with pytest.raises(ConfigError, match="has 64 bytes"):
        all_targets(config, config.binds.values())


def test_every_bad_tenant_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "tenant,server\nacme,eu1\nglobex,mars\ninitech,\nacme,eu1\nacme,us1\n\x1b,eu1\n"
    )
    config = loaded(
        tmp_path,
        """
apps: {packages: [apps]}
binds:
  shop:
    tenancy: schema
    servers: {eu1: {url: "postgresql://h/a"}, us1: {url: "postgresql://h/b"}}
    tenants: {file: t.csv}
""",
    )
    with pytest.raises(ConfigError) as caught:
        all_targets(config, config.binds.values())
    lines = [one.where.rpartition(":")[2] for one in caught.value.problems]
    words = [one.what for one in caught.value.problems]
    assert lines == ["3", "4", "5", "7"]
    assert "names the server 'mars', which bind shop does not have (eu1, us1)" in words[0]
    assert "names no server, and the bind has eu1, us1" in words[1]
    assert "'acme' stands here twice (first at " in words[2]
    assert words[2].endswith("t.csv:2)")
    assert "control character" in words[3]


def test_two_tenants_of_two_binds_in_one_place(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
apps: {packages: [apps]}
default_bind: a
binds:
  a: {url: "postgresql://app@h:5432/x", tenancy: schema, tenants: {file: t.txt}}
  b: {url: "postgresql+psycopg2://other@h/x", tenancy: schema, tenants: {file: t.txt}}
""",
    )
    (tmp_path / "t.txt").write_text("acme\nglobex\n")
    with pytest.raises(ConfigError) as caught:
        select_targets(config, Selection())
    assert [one.what.partition(" (")[0] for one in caught.value.problems] == [
        "b/acme is the same place as a/acme",
        "b/globex is the same place as a/globex",
    ]
