"""What counts of a PostgreSQL schema, on real servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from orchestrator.checks.types import Scope, Shape
from servers import RunningServer
from tests.checks.fleets import apart, facts, in_schemas, item, read, shapes, whole
from tests.checks.rich_schema import ALTERATIONS, RICH, UNCOUNTED
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.databases.fresh import fresh_database

NAMES = ("zebra", "Upper Case", 'with."dots', "orders", "état", "status", "text", "id", "a'b%s:c")
"""Names of schemas: some are also those of a table, a type or a column."""


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def build(url: URL, name: str, statements: str) -> None:
    """Make a schema, and run statements in it."""
    rows(url, f"CREATE SCHEMA {quoted(name)}; SET search_path TO {quoted(name)}; {statements}")


def alter(url: URL, name: str, statements: str) -> None:
    rows(url, f"SET search_path TO {quoted(name)}; {statements}")


@pytest.fixture(scope="module")
def rich(postgres: RunningServer) -> Iterator[URL]:
    """A database with a rich schema of each name."""
    with fresh_database(postgres) as url:
        for name in NAMES:
            build(url, name, RICH)
        yield url


@pytest.fixture
def twin(rich: URL) -> Iterator[URL]:
    """The same database with one more rich schema, called twin."""
    build(rich, "twin", RICH)
    try:
        yield rich
    finally:
        rows(rich, "DROP SCHEMA twin CASCADE")


def test_equal_schemas_have_equal_shapes_whatever_they_are_called(rich: URL) -> None:
    found = read(in_schemas(rich, NAMES))
    assert not found.problems
    assert len(set(found.digests)) == 1
    (shape,) = found.shapes.values()
    assert "zebra" not in repr(shape)
    assert {one.kind for one in shape.items} == {
        "table",
        "column",
        "index",
        "primary key",
        "unique constraint",
        "foreign key",
        "check constraint",
        "exclusion constraint",
        "enum",
        "domain",
        "type",
        "sequence",
        "view",
        "materialized view",
        "function",
        "procedure",
        "trigger",
    }


@pytest.mark.parametrize("statement", ALTERATIONS)
def test_an_alteration_is_seen_and_nothing_else(twin: URL, statement: str) -> None:
    alter(twin, "twin", statement)
    before, after = shapes(in_schemas(twin, ["zebra", "twin"]))
    assert before.digest != after.digest
    assert apart(before, after) == ALTERATIONS[statement]


@pytest.mark.parametrize("statement", UNCOUNTED)
def test_what_does_not_count_changes_nothing(twin: URL, statement: str) -> None:
    alter(twin, "twin", statement)
    before, after = shapes(in_schemas(twin, ["zebra", "twin"]))
    assert not apart(before, after)


@pytest.fixture(scope="module")
def rich_shape(rich: URL) -> Shape:
    return shapes(in_schemas(rich, ["zebra"]))[0]


def test_facts_are_those_that_a_person_knows(rich_shape: Shape) -> None:
    assert facts(rich_shape, "column", "state", "orders") == {
        "type": "status",
        "nullable": "no",
        "default": "'new'::status",
    }
    assert facts(rich_shape, "column", "id", "customers") == {
        "type": "integer",
        "nullable": "no",
        "default": "nextval('customers_id_seq'::regclass)",
    }
    assert facts(rich_shape, "column", "mail", "customers") == {
        "type": "text",
        "nullable": "yes",
        "collation": '"C"',
        "comment": 'their "mail"',
    }
    assert facts(rich_shape, "column", "twice", "orders")["generated"] == "twice(1) stored"
    assert facts(rich_shape, "column", "id", "orders")["identity"] == "always"
    assert facts(rich_shape, "index", "ix_lower", "customers") == {
        "method": "btree",
        "columns": "lower((name)::text) text_pattern_ops, id desc nulls last",
        "include": "born",
        "unique": "no",
        "where": "((mail IS NOT NULL) AND (length((name)::text) > 2))",
        "comment": "for search",
    }
    assert facts(rich_shape, "foreign key", "orders_customer_id_fkey", "orders") == {
        "columns": "customer_id",
        "references": "customers (id)",
        "on delete": "cascade",
        "deferrable": "initially deferred",
    }
    assert facts(rich_shape, "primary key", "orders_pkey", "orders") == {"columns": "id"}
    assert facts(rich_shape, "enum", "status")["labels"] == "'new', 'it''s', 'paid'"
    assert facts(rich_shape, "sequence", "tickets")["start"] == "5"
    assert facts(rich_shape, "sequence", "orders_id_seq", "orders")["owned by"] == "orders.id"
    assert facts(rich_shape, "table", "logs_1")["partition of"] == "logs"
    assert facts(rich_shape, "function", "pinned()")["settings"] == "search_path=<own schema>"


def test_what_points_into_another_schema_is_a_difference(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    common = (
        "CREATE TABLE customers (id integer PRIMARY KEY); CREATE TYPE status AS ENUM ('a');"
        "CREATE SEQUENCE tickets;"
        "CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1';"
    )
    own = (
        "CREATE TABLE orders (id integer REFERENCES {0}customers, state {1}status,"
        " number bigint DEFAULT nextval('{2}tickets'), CHECK (id > {3}one()));"
        "CREATE VIEW those AS SELECT id FROM {0}customers"
    )
    build(url, "shared", common)
    build(url, "a", common + own.format("", "", "", ""))
    build(url, "b", common + own.format("a.", "a.", "a.", "a."))
    build(url, "c", common + own.format("shared.", "shared.", "shared.", "shared."))
    build(url, "d", common + own.format("d.", "d.", "d.", "d."))
    first, second, third, fourth = shapes(in_schemas(url, ["a", "b", "c", "d"]))
    assert first == fourth
    other = {
        ("foreign key", "orders", "orders_id_fkey"),
        ("column", "orders", "state"),
        ("column", "orders", "number"),
        ("check constraint", "orders", "orders_id_check"),
        ("view", "", "those"),
    }
    assert apart(first, second) == apart(first, third) == apart(second, third) == other
    assert facts(second, "foreign key", "orders_id_fkey", "orders")["references"] == (
        "a.customers (id)"
    )
    assert facts(third, "column", "state", "orders")["type"] == "shared.status"


def test_a_table_named_like_a_type_of_the_server_hides_nothing(
    pg_database: DatabaseFactory,
) -> None:
    url = pg_database()
    own = (
        "CREATE TABLE text (id integer);"
        "CREATE FUNCTION lower(x pg_catalog.text) RETURNS pg_catalog.text IMMUTABLE"
        " LANGUAGE sql AS 'SELECT x';"
        "CREATE TABLE t (own {0}.text, builtin pg_catalog.text,"
        " CHECK ({0}.lower(builtin) <> pg_catalog.lower(builtin)))"
    )
    for name in ("a", "b"):
        build(url, name, own.format(name))
    first, second = shapes(in_schemas(url, ["a", "b"]))
    assert first == second
    assert facts(first, "column", "own", "t")["type"] == "text"
    assert facts(first, "column", "builtin", "t")["type"] == "pg_catalog.text"


def test_an_invalid_index_is_a_difference(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    for name in ("a", "b"):
        build(url, name, "CREATE TABLE t (x integer); INSERT INTO t VALUES (1), (1)")
    rows(url, "CREATE INDEX CONCURRENTLY ix ON a.t (x)")
    rows(url, "CREATE INDEX CONCURRENTLY ix ON b.t (x)")
    first, second = shapes(in_schemas(url, ["a", "b"]))
    assert first == second
    rows(url, "DROP INDEX a.ix")
    rows(url, "DROP INDEX b.ix")
    rows(url, "DELETE FROM a.t")
    rows(url, "CREATE UNIQUE INDEX CONCURRENTLY ix ON a.t (x)")
    with pytest.raises(DBAPIError, match="could not create unique index"):
        rows(url, "CREATE UNIQUE INDEX CONCURRENTLY ix ON b.t (x)")
    first, second = shapes(in_schemas(url, ["a", "b"]))
    assert apart(first, second) == {("index", "t", "ix")}
    assert "valid" not in facts(first, "index", "ix", "t")
    assert facts(second, "index", "ix", "t")["valid"] == "no"


def test_members_of_extensions_are_left_out(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    build(url, "a", "CREATE TABLE t (x integer)")
    build(url, "b", "CREATE EXTENSION hstore SCHEMA b; CREATE TABLE t (x integer)")
    first, second = shapes(in_schemas(url, ["a", "b"]))
    assert first == second


def test_types_of_extensions_are_told_with_the_schema_that_they_stand_in(
    pg_database: DatabaseFactory,
) -> None:
    url = pg_database()
    rows(url, "CREATE EXTENSION hstore SCHEMA public")
    build(url, "a", "CREATE TABLE t (x public.hstore)")
    (shape,) = shapes(in_schemas(url, ["a"]))
    assert facts(shape, "column", "x", "t")["type"] == "public.hstore"


def test_the_order_of_columns_counts_unless_it_shall_not(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    build(url, "a", "CREATE TABLE t (x integer, y integer); CREATE INDEX ix ON t (y)")
    build(url, "b", "CREATE TABLE t (y integer, x integer); CREATE INDEX ix ON t (y)")
    targets = in_schemas(url, ["a", "b"])
    first, second = shapes(targets)
    assert apart(first, second) == {("table", "", "t")}
    first, second = shapes(targets, Scope(column_order=False))
    assert first == second


def test_hidden_tables_take_everything_of_theirs_along(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    own = "CREATE TYPE ours AS ENUM ('a'); CREATE TABLE t (x ours);"
    build(url, "a", own)
    build(
        url,
        "b",
        own + "CREATE TYPE theirs AS ENUM ('b');"
        "CREATE TABLE u (id serial PRIMARY KEY, x theirs[], o ours, CHECK (id > 1));"
        "CREATE INDEX ON u (x);"
        "CREATE TABLE v (at date) PARTITION BY RANGE (at);"
        'CREATE TABLE "V 1" PARTITION OF v DEFAULT',
    )
    first, second = shapes(in_schemas(url, ["a", "b"]), Scope(hidden=frozenset({"u", "v"})))
    assert first == second
    assert item(second, "enum", "ours")


def test_a_target_without_a_schema_of_its_own_is_its_default_schema_and_those_named(
    pg_database: DatabaseFactory,
) -> None:
    url = pg_database()
    rows(url, "CREATE TABLE t (x integer); CREATE TABLE spatial_ref_sys (x integer)")
    build(url, "reporting", "CREATE TABLE t (x integer, y public.t); CREATE SEQUENCE s")
    build(url, "unrelated", "CREATE TABLE t (x integer)")
    scope = Scope(
        hidden=frozenset({"reporting.u"}),
        ignore=("public.spatial_ref_sys",),
        schemas=("reporting", "public", "missing"),
    )
    (shape,) = shapes([whole(url)], scope)
    assert [(one.kind, one.table, one.name) for one in shape.items if one.kind != "column"] == [
        ("sequence", "", "reporting.s"),
        ("table", "", "reporting.t"),
        ("table", "", "t"),
    ]
    assert facts(shape, "column", "y", "reporting.t")["type"] == "public.t"
    (shape,) = shapes([whole(url, ("unrelated",))])
    assert [one.name for one in shape.items] == ["x", "t"]


def test_not_null_constraints_are_facts_of_their_columns(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    build(url, "a", "CREATE TABLE t (x integer NOT NULL)")
    build(url, "b", "CREATE TABLE t (x integer); ALTER TABLE t ALTER x SET NOT NULL")
    build(url, "c", "CREATE TABLE t (x integer CONSTRAINT named NOT NULL)")
    first, second, third = shapes(in_schemas(url, ["a", "b", "c"]))
    assert first == second == third
    assert {one.kind for one in first.items} == {"table", "column"}


def test_not_null_that_is_not_proven_is_told(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    if rows(url, "SELECT current_setting('server_version_num')::int < 180000")[0][0]:
        pytest.skip("PostgreSQL 18 has NOT NULL constraints that are not valid")
    build(url, "a", "CREATE TABLE t (x integer); ALTER TABLE t ADD NOT NULL x NOT VALID")
    (shape,) = shapes(in_schemas(url, ["a"]))
    assert facts(shape, "column", "x", "t")["nullable"] == "no, not valid"


def test_operators_of_a_schema_are_never_run(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    trap = (
        "CREATE FUNCTION same(x oid, y oid) RETURNS boolean LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'ran'; END $$;"
        "CREATE FUNCTION text(x pg_catalog.oid) RETURNS pg_catalog.text LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'ran'; END $$;"
        "CREATE OPERATOR = (FUNCTION = same, LEFTARG = oid, RIGHTARG = oid);"
        "CREATE TABLE t (x integer); CREATE VIEW v AS SELECT x FROM t;"
        "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING"
    )
    for name in ("a", "b"):
        build(url, name, trap)
    first, second = shapes(in_schemas(url, ["a", "b"]))
    assert first == second
    assert "FROM t" in facts(first, "view", "v")["definition"]
