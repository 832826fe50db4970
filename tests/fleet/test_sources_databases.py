"""Tenants that databases tell: a query on another bind, and names in a server's catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.config import Config
from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError, DatabaseError
from orchestrator.fleet.targets import Found, Selection, all_targets, find_targets
from tests.cli.small import rows, shown
from tests.conftest import DatabaseFactory

NASTY = [
    '"; DROP SCHEMA public; --',
    "it's",
    "`tick`",
    "50%",
    "%s",
    "a.b",
    "Up Per",
    "select",
    "Zürich東京",
    ":name",
    "back\\slash",
]


def loaded(root: Path, binds: str) -> Config:
    file = root / "databases.yaml"
    file.write_text("apps: {packages: [apps]}\ndefault_bind: main\n" + binds, encoding="utf-8")
    return load_config(file, environ={})


def asking(root: Path, main: URL, sql: str, *, servers: str = "", more: str = "") -> Config:
    """main, and shop whose tenants this query lists."""
    where = servers or f"url: {shown(main)}"
    return loaded(
        root,
        f"binds:\n  main: {{url: {shown(main)}}}\n"
        f"  shop: {{{where}, tenancy: database, name: 'shop {{tenant}}', "
        f"tenants: {{query: {{bind: main, sql: {json.dumps(sql)}}}}}{more}}}\n",
    )


def found_in(config: Config) -> Found:
    return find_targets(config, Selection(binds=("shop",)))


def test_a_query_gives_tenants_servers_and_labels(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    url = any_database()
    rows(url, "CREATE TABLE customers (slug varchar(50), shard varchar(9), tier int, beta char(1))")
    rows(url, "INSERT INTO customers VALUES ('b','eu1',1,NULL), ('a','us1',2,'y'), ('x',NULL,3,'')")
    servers = f"servers: {{eu1: {{url: {shown(url)}}}, us1: {{url: {shown(url.set(port=1))}}}}}"
    sql = (
        "SELECT slug AS tenant, shard AS server, tier, beta FROM customers "
        "WHERE slug NOT LIKE 'x%' ORDER BY tier"
    )
    found = found_in(asking(tmp_path, url, sql, servers=servers)).targets
    assert [(one.id, one.database, dict(one.labels)) for one in found] == [
        ("shop/b@eu1", "shop b", {"tier": "1"}),
        ("shop/a@us1", "shop a", {"tier": "2", "beta": "y"}),
    ]


def test_names_are_data(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    rows(url, "CREATE TABLE customers (id int, slug varchar(99))")
    for number, name in enumerate(NASTY):
        literal = name.replace("'", "''")
        literal = literal.replace("\\", "\\\\") if url.get_backend_name() == "mysql" else literal
        rows(url, f"INSERT INTO customers VALUES ({number}, '{literal}')")
    config = asking(tmp_path, url, "SELECT slug AS tenant FROM customers ORDER BY id")
    assert [one.tenant for one in found_in(config).targets] == NASTY


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT slug AS tenant FROM no_such_table",
        "SELECT no_such_column AS tenant FROM customers",
        "SELECT tenant FROM no_such_schema.customers",
    ],
)
def test_too_early_is_no_error(tmp_path: Path, any_database: DatabaseFactory, sql: str) -> None:
    url = any_database()
    rows(url, "CREATE TABLE customers (slug varchar(50))")
    config = asking(tmp_path, url, sql)
    whole = find_targets(config, Selection())
    assert [one.id for one in whole.targets] == ["main"]
    [unknown] = whole.unknown
    assert (unknown.bind.name, unknown.server, unknown.after) == ("shop", None, ("main",))
    assert unknown.words.startswith("tenants not known until main is applied: ")
    assert "no_such" in unknown.words
    with pytest.raises(DatabaseError, match="until main is applied"):
        all_targets(config, [config.binds["shop"]])


def test_a_database_that_is_not_there_yet(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database().set(database="no_such_database")
    [unknown] = found_in(asking(tmp_path, url, "SELECT 'a' AS tenant")).unknown
    assert unknown.after == ("main",)
    assert "no_such_database" in unknown.words


def test_out_of_reach_is_not_too_early(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database().set(port=1)
    [unknown] = found_in(asking(tmp_path, url, "SELECT 'a' AS tenant")).unknown
    assert unknown.after == ()
    assert unknown.words.startswith("tenants not known: bind main is unreachable: ")
    assert "s3cr" not in unknown.words


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC 1", "the query fails: "),
        ("SELECT 'a' AS name, 1 AS tier", "has no column `tenant` (it has name, tier)"),
        ("SELECT 'a' AS tenant, 'b' AS tenant", "has several columns `tenant`"),
        ("INSERT INTO customers VALUES ('b')", "the query fails: "),
        ("CREATE TABLE other (a int)", "the query fails: "),
    ],
)
def test_a_wrong_query_is_an_error_and_changes_nothing(
    tmp_path: Path, any_database: DatabaseFactory, sql: str, words: str
) -> None:
    url = any_database()
    rows(url, "CREATE TABLE customers (slug varchar(50))")
    with pytest.raises(ConfigError) as caught:
        found_in(asking(tmp_path, url, sql))
    [problem] = caught.value.problems
    assert words in problem.what
    assert problem.key == "binds.shop.tenants.query"
    assert problem.where.endswith("databases.yaml:5")
    assert rows(url, "SELECT * FROM customers") == []


def test_every_bad_row_is_told_with_its_number(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    url = any_database()
    rows(url, "CREATE TABLE customers (id int, slug varchar(99), shard varchar(9))")
    values = "(1,'a','default'),(2,NULL,NULL),(3,'',NULL),(4,'a',NULL),(5,'b','mars')"
    long = "x" * 60
    rows(url, f"INSERT INTO customers VALUES {values},(6,'{long}',NULL),(7,'c\td',NULL)")
    sql = "SELECT slug AS tenant, shard AS server FROM customers ORDER BY id"
    with pytest.raises(ConfigError) as caught:
        found_in(asking(tmp_path, url, sql))
    said = [(one.where.partition("(")[2], one.what) for one in caught.value.problems]
    expected = [
        ("row 2)", "no tenant name"),
        ("row 3)", "no tenant name"),
        ("row 4)", "'a' stands here twice (first at "),
        ("row 5)", "names the server 'mars', which bind shop does not have (default)"),
        ("row 6)", "takes 6"),
        ("row 7)", "control character"),
    ]
    assert [place for place, _ in said] == [place for place, _ in expected]
    for (_, what), (_, words) in zip(said, expected, strict=True):
        assert words in what


def test_a_bind_with_tenants_cannot_be_asked(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = shown(any_database())
    config = loaded(
        tmp_path,
        f"binds:\n  main: {{url: {url}, tenancy: database, tenants: {{list: [a]}}}}\n"
        f"  shop: {{url: {url}, tenancy: database, name: 's_{{tenant}}',\n"
        "    tenants: {query: {bind: main, sql: SELECT 1}}}\n",
    )
    with pytest.raises(ConfigError, match="bind main has tenants itself"):
        find_targets(config, Selection())


def test_the_asked_binds_url_must_be_set(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "binds:\n  main: {url: '${MAIN_URL}'}\n"
        "  shop: {url: 'postgresql://h/x', tenancy: schema,\n"
        "    tenants: {query: {bind: main, sql: SELECT 1}}}\n",
    )
    with pytest.raises(ConfigError, match="MAIN_URL is not set"):
        find_targets(config, Selection(binds=("shop",)))


def test_a_pattern_finds_schemas(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    for name in ("t_b", "t_a", "tax", "T_c", "t_", "t_50%", 't_"x', "orchestrator_scratch_1_a"):
        rows(url, 'CREATE SCHEMA "{}"'.format(name.replace('"', '""')))
    found = {}
    for template, pattern in (("t_{tenant}", "t_%"), ("{tenant}", "t_%"), ("{tenant}", "%")):
        config = loaded(
            tmp_path,
            f"binds:\n  main: {{url: {shown(url)}, tenancy: schema, "
            f"name: '{template}', tenants: {{pattern: '{pattern}'}}}}\n",
        )
        targets = all_targets(config, config.binds.values())
        found[template, pattern] = [(one.tenant, one.schema) for one in targets]
    assert found["t_{tenant}", "t_%"] == [
        ('"x', 't_"x'),
        ("50%", "t_50%"),
        ("a", "t_a"),
        ("b", "t_b"),
    ]
    assert [schema for _, schema in found["{tenant}", "t_%"]] == [
        "t_",
        't_"x',
        "t_50%",
        "t_a",
        "t_b",
    ]
    assert [schema for _, schema in found["{tenant}", "%"]] == [
        "T_c",
        "t_",
        't_"x',
        "t_50%",
        "t_a",
        "t_b",
        "tax",
    ]


def test_a_pattern_finds_databases_on_each_server(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    url = any_database()
    mark = "`" if url.get_backend_name() == "mysql" else '"'
    for name in ("b", "a", "50%"):
        rows(url, f"CREATE DATABASE {mark}{url.database}_{name}{mark}")
    binds = (
        "binds:\n  main:\n    tenancy: database\n"
        f"    name: '{url.database}_{{tenant}}'\n    tenants: {{pattern: '{url.database}_%'}}\n"
        f"    servers:\n      here: {{url: {shown(url)}}}\n"
        f"      gone: {{url: {shown(url.set(port=1))}}}\n"
    )
    config = loaded(tmp_path, binds)
    found = find_targets(config, Selection())
    assert [one.id for one in found.targets] == ["main/50%@here", "main/a@here", "main/b@here"]
    [unknown] = found.unknown
    assert (unknown.server, unknown.after) == ("gone", ())
    assert unknown.words.startswith("tenants on server gone not known: it is unreachable: ")
    # A server that is not selected is not asked either.
    assert find_targets(config, Selection(servers=("here",))).unknown == ()
