"""The statements around a migration's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from orchestrator.config import Bind, Flavour, Server, Where
from orchestrator.fleet.types import Target
from orchestrator.planning.statements import (
    Place,
    create_version_table,
    literal,
    place_of,
    states_along,
    transactions,
    version_statements,
)
from orchestrator.revisions.types import Segment, VersionChange

HERE = Where(Path("databases.yaml"), 1)
PG = Flavour("postgresql", (16,))
MY = Flavour("mysql", (8, 4))
CHANGES = (
    VersionChange("insert", new="a"),
    VersionChange("update", "a", "b'"),
    VersionChange("delete", old="b'"),
)


def test_names_are_quoted_for_their_dialect() -> None:
    assert Place("x", PG, 'a"b', version_table="v.t").versions == '"a""b"."v.t"'
    assert Place("x", MY, database="d", version_table="v`t").versions == "`v``t`"


def test_the_version_table_is_alembics() -> None:
    assert create_version_table(Place("x", PG, "s", version_num_length=64)) == (
        'CREATE TABLE IF NOT EXISTS "s"."alembic_version" (\n'
        "    version_num VARCHAR(64) NOT NULL, \n"
        '    CONSTRAINT "alembic_version_pkc" PRIMARY KEY (version_num)\n)'
    )


def test_every_change_of_a_row_has_its_statement() -> None:
    assert list(version_statements(Place("x", MY), CHANGES)) == [
        "INSERT INTO `alembic_version` (version_num) VALUES ('a')",
        "UPDATE `alembic_version` SET version_num = 'b''' WHERE version_num = 'a'",
        "DELETE FROM `alembic_version` WHERE version_num = 'b'''",
    ]


@given(st.text())
def test_a_literal_has_no_quote_of_its_own_inside(text: str) -> None:
    assert literal(text)[1:-1].replace("''", "").count("'") == 0


def test_rows_go_with_the_last_transaction() -> None:
    first, last = Segment(("1",)), Segment(("2", "3"))
    block = Segment(("x",), transactional=False)
    rows = ["r"]
    for segments, expected in [
        ([], [Segment(("r",))]),
        ([first], [Segment(("1", "r"))]),
        ([block], [block, Segment(("r",))]),
        ([first, block], [first, block, Segment(("r",))]),
        ([block, last], [block, Segment(("2", "3", "r"))]),
        ([first, block, last], [first, block, Segment(("2", "3", "r"))]),
    ]:
        assert transactions(segments, rows) == expected
    assert transactions([], []) == []
    assert transactions([block, Segment(())], []) == [block]


def test_states_follow_the_changes() -> None:
    merge = (VersionChange("delete", old="x"), VersionChange("update", "y", "m"))
    fork = (VersionChange("insert", new="z"),)
    assert states_along(("y", "x"), [merge, fork, (VersionChange("delete", old="m"),)]) == [
        ("x", "y"),
        ("m",),
        ("m", "z"),
        ("z",),
    ]
    assert states_along((), []) == [()]


def test_the_place_of_a_target() -> None:
    server = Server("one", make_url("mysql+pymysql://u@h/of_url"), HERE)
    bind = Bind(
        "b",
        HERE,
        {"one": server},
        (),
        create=True,
        transaction="path",
        version_table="v",
        search_path=("public",),
    )
    target = Target(bind, server)
    single = place_of(target, MY)
    assert (single.database, single.create, single.one_transaction) == ("of_url", False, True)
    tenant = place_of(replace(target, tenant="t", database="own"), MY)
    assert (tenant.database, tenant.create, tenant.version_table) == ("own", True, "v")
    schema = place_of(replace(target, tenant="t", schema="s"), PG)
    assert (schema.schema, schema.database, schema.search_path) == ("s", None, ("public",))
