"""What differs between two schemas, said once each, and in words."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from orchestrator.checks.differences import differences, words
from orchestrator.checks.places import COLUMN_ORDER
from orchestrator.checks.types import Difference, Item, ItemKind, Shape


def shape(*items: Item) -> Shape:
    return Shape(tuple(sorted(items)))


def table(name: str, *columns: str, **facts: str) -> Item:
    ordered = {**facts, COLUMN_ORDER: json.dumps(columns)}
    return Item("table", "", name, tuple(sorted(ordered.items())))


def column(of: str, name: str, **facts: str) -> Item:
    return Item("column", of, name, tuple(sorted({"type": "int", **facts}.items())))


def index(of: str, name: str, columns: str) -> Item:
    return Item("index", of, name, (("columns", columns),))


def told(expected: Shape, found: Shape) -> list[str]:
    return [words(one) for one in differences(expected, found)]


ORDERS = shape(
    table("orders", "id", "total", "note"),
    column("orders", "id"),
    column("orders", "total"),
    column("orders", "note"),
    index("orders", "ix_total", "total"),
)


def test_equal_shapes_differ_in_nothing() -> None:
    assert differences(ORDERS, ORDERS) == ()


def test_what_is_not_as_usual_is_said_in_words() -> None:
    usual, other = (
        Item("index", "orders", "ix", (("columns", "id"),)),
        Item("index", "orders", "ix", (("columns", "id"), ("valid", "no"))),
    )
    assert told(shape(usual), shape(other)) == [
        "table orders: index ix: is not valid, expected valid"
    ]
    assert told(shape(other), shape(usual)) == [
        "table orders: index ix: is valid, expected not valid"
    ]


def test_a_missing_table_does_not_list_what_stood_in_it() -> None:
    assert told(ORDERS, shape()) == ["table orders is missing"]
    assert told(shape(), ORDERS) == ["table orders is not expected"]


def test_a_renamed_table_is_missing_and_not_expected() -> None:
    renamed = shape(table("order", "id"), column("order", "id"))
    assert told(ORDERS, renamed) == ["table order is not expected", "table orders is missing"]


def test_a_missing_column_does_not_disturb_the_order_of_the_others() -> None:
    found = shape(
        table("orders", "id", "note"),
        column("orders", "id"),
        column("orders", "note"),
        index("orders", "ix_total", "total"),
    )
    assert told(ORDERS, found) == ["table orders: column total is missing"]


def test_a_column_between_others_is_said_once() -> None:
    found = shape(
        table("orders", "id", "legacy", "total", "note"),
        column("orders", "legacy"),
        *[one for one in ORDERS.items if one.kind != "table"],
    )
    assert told(ORDERS, found) == ["table orders: column legacy is not expected"]


def test_the_order_of_columns_is_told_of_the_table() -> None:
    found = shape(
        table("orders", "total", "id", "note"),
        *[one for one in ORDERS.items if one.kind != "table"],
    )
    assert told(ORDERS, found) == [
        "table orders: column order is total, id, note, expected id, total, note"
    ]


def test_a_view_in_the_place_of_a_table_is_both() -> None:
    found = shape(Item("view", "", "orders", (("definition", "select 1"),)))
    assert told(ORDERS, found) == ["table orders is missing", "view orders is not expected"]


def test_a_collation_that_is_not_said_is_that_of_the_table() -> None:
    mysql = table("a", "x", collation="utf8mb4_bin")
    plain, other = column("a", "x"), column("a", "x", collation="latin1_swedish_ci")
    assert told(shape(mysql, plain), shape(mysql, other)) == [
        "table a: column x: collation is latin1_swedish_ci, expected utf8mb4_bin, the table's own"
    ]
    assert told(shape(mysql, other), shape(mysql, plain)) == [
        "table a: column x: collation is utf8mb4_bin, the table's own, expected latin1_swedish_ci"
    ]
    postgresql, said = table("a", "x"), column("a", "x", collation='"C"')
    assert told(shape(postgresql, plain), shape(postgresql, said)) == [
        'table a: column x: collation is "C", expected its type\'s own'
    ]


def test_things_of_one_name_are_paired() -> None:
    one = Item("function", "", "f", (("arguments", "int"),))
    two = Item("function", "", "f", (("arguments", "text"),))
    assert told(shape(one, two), shape(one)) == ["function f is missing"]


def test_they_are_told_table_by_table() -> None:
    expected = shape(
        table("a", "id"),
        column("a", "id"),
        table("b", "id", "x"),
        column("b", "id"),
        column("b", "x"),
    )
    found = shape(
        table("a", "id", engine="MyISAM"),
        column("a", "id", type="bigint"),
        index("a", "i", "id"),
        table("b", "id"),
        column("b", "id"),
    )
    assert told(expected, found) == [
        "table a: engine is MyISAM, expected none",
        "table a: column id: type is bigint, expected int",
        "table a: index i is not expected",
        "table b: column x is missing",
    ]


@pytest.mark.parametrize(
    ("fact", "expected", "found", "said"),
    [
        ("type", "text", "varchar(20)", "type is varchar(20), expected text"),
        ("nullable", "no", "yes", "is nullable, expected not nullable"),
        ("nullable", "yes", "no", "is not nullable, expected nullable"),
        ("auto increment", "yes", "", "is not auto increment, expected auto increment"),
        ("invisible", "", "yes", "is invisible, expected not invisible"),
        ("default", "0", "", "has no default, expected 0"),
        ("default", "", "0", "default is 0, expected none"),
        ("comment", "a\n b", "a b", r"comment is 'a b', expected 'a\n b'"),
    ],
)
def test_a_changed_fact_in_words(fact: str, expected: str, found: str, said: str) -> None:
    one = Difference("changed", "column", "orders", "note", fact, expected, found)
    assert words(one) == f"table orders: column note: {said}"


def test_long_definitions_are_told_where_they_part() -> None:
    same = "select " + ", ".join(f"column_{n}" for n in range(40))
    one = Difference(
        "changed", "view", "", "v", "definition", f"{same} from a{same}", f"{same} from b{same}"
    )
    said = words(one)
    assert "from b" in said
    assert "from a" in said
    assert len(said) < 250


def test_what_has_no_name_of_its_own() -> None:
    assert words(Difference("missing", "primary key", "orders", "")) == (
        "table orders: primary key is missing"
    )
    assert words(Difference("extra", "sequence", "", "s")) == "sequence s is not expected"


def test_every_kind_has_its_place() -> None:
    everything = shape(*[Item(kind, "", "x") for kind in get_args(ItemKind)])
    assert len(told(shape(), everything)) == len(get_args(ItemKind))
