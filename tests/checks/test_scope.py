"""What of a schema counts. No database."""

from __future__ import annotations

import json

import pytest

from orchestrator.checks.places import COLUMN_ORDER, PARENT, Whole
from orchestrator.checks.scope import is_ignored, shape_of
from orchestrator.checks.types import Item, Scope


def table(name: str, *columns: str, **more: str) -> Item:
    facts = {COLUMN_ORDER: json.dumps(columns), **more}
    return Item("table", "", name, tuple(sorted(facts.items())))


def column(of: str, name: str, kind: str = "integer") -> Item:
    return Item("column", of, name, (("type", kind),))


ITEMS = (
    table("orders", "id", "state"),
    column("orders", "id"),
    column("orders", "state", "status"),
    Item("index", "orders", "ix_state"),
    Item("primary key", "orders", "orders_pkey"),
    Item("sequence", "orders", "orders_id_seq"),
    Item("trigger", "orders", "touched"),
    table("notes", "id", "orders", "mood"),
    column("notes", "id"),
    column("notes", "orders"),
    column("notes", "mood", '"Mood"[]'),
    Item("view", "", "recent"),
    Item("index", "recent", "ix_recent"),
    Item("enum", "", "status"),
    Item("enum", "", "Mood"),
    Item("enum", "", "unused"),
    Item("sequence", "", "tickets"),
    Item("function", "", "twice(integer, text)"),
)


def left(scope: Scope, *, home: str = "", items: tuple[Item, ...] = ITEMS) -> set[str]:
    """The names of what counts, with their tables."""
    shape = shape_of(Whole(items, home), scope)
    assert list(shape.items) == sorted(shape.items)
    return {f"{one.table}.{one.name}" if one.table else one.name for one in shape.items}


EVERYTHING = left(Scope())
OF_ORDERS = {name for name in EVERYTHING if name.split(".")[0] == "orders"}


def gone(scope: Scope, *, home: str = "") -> set[str]:
    return EVERYTHING - left(scope, home=home)


def test_everything_counts_by_default() -> None:
    assert len(EVERYTHING) == len(ITEMS)


def test_a_hidden_table_takes_all_of_its_own_along_and_the_type_that_only_it_uses() -> None:
    assert gone(Scope(hidden=frozenset({"orders"}))) == OF_ORDERS | {"status"}
    assert gone(Scope(hidden=frozenset({"notes"}))) == {
        "notes",
        "notes.id",
        "notes.orders",
        "notes.mood",
        "Mood",
    }


def test_a_type_that_another_table_uses_stays() -> None:
    items = (*ITEMS, table("more", "x"), column("more", "x", "status"))
    assert "status" in left(Scope(hidden=frozenset({"orders"})), items=items)


def test_a_view_is_hidden_like_a_table() -> None:
    assert gone(Scope(hidden=frozenset({"recent"}))) == {"recent", "recent.ix_recent"}


def test_hidden_names_are_no_patterns_and_only_of_tables() -> None:
    assert gone(Scope(hidden=frozenset({"*", "ord*", "status", "tickets", "id"}))) == set()


def test_hidden_tables_take_their_partitions_along() -> None:
    items = (
        table("logs", "at"),
        table("logs_1", "at", **{PARENT: "logs"}),
        table("logs_1_a", "at", **{PARENT: "logs_1"}),
        column("logs_1_a", "at"),
        table("Bills", "at"),
        table("bills_1", "at", **{PARENT: '"Bills"'}),
    )
    assert left(Scope(hidden=frozenset({"logs"})), items=items) == {"Bills", "bills_1"}
    assert left(Scope(ignore=("Bills",)), items=items) == {
        "logs",
        "logs_1",
        "logs_1_a",
        "logs_1_a.at",
    }


def test_the_schema_of_a_target_without_its_own_may_stand_before_hidden_names() -> None:
    assert gone(Scope(hidden=frozenset({"public.recent"})), home="public") == {
        "recent",
        "recent.ix_recent",
    }
    assert gone(Scope(hidden=frozenset({"public.recent"}))) == set()


@pytest.mark.parametrize(
    ("glob", "ignored"),
    [
        ("orders", OF_ORDERS),
        ("*.orders", {*OF_ORDERS, "notes.orders"}),
        ("ord*", OF_ORDERS),
        ("ORDERS", set()),
        ("t_acme.orders", set()),
        ("orders.state", {"orders.state"}),
        ("*.orders.state", {"orders.state"}),
        ("state", set()),
        ("*.state", {"orders.state"}),
        ("orders.*", OF_ORDERS - {"orders"}),
        ("ix_*", {"orders.ix_state", "recent.ix_recent"}),
        ("*.ix_state", {"orders.ix_state"}),
        ("orders.ix_state", {"orders.ix_state"}),
        ("orders_pkey", {"orders.orders_pkey"}),
        ("touched", {"orders.touched"}),
        ("tickets", {"tickets"}),
        ("[tu]*", {"orders.touched", "tickets", "twice(integer, text)", "unused"}),
        ("twice", {"twice(integer, text)"}),
        ("*.twice", {"twice(integer, text)"}),
        ("twice(integer, text)", {"twice(integer, text)"}),
        ("recent", {"recent", "recent.ix_recent"}),
        ("status", {"status"}),
    ],
)
def test_what_a_glob_takes(glob: str, ignored: set[str]) -> None:
    assert gone(Scope(ignore=(glob,))) == ignored


def test_globs_add_up() -> None:
    assert gone(Scope(ignore=("status", "orders.id"))) == {"status", "orders.id"}


def test_the_default_schema_of_a_target_without_its_own_has_a_name() -> None:
    scope = Scope(ignore=("public.recent", "other.tickets", "public.orders.state"))
    assert gone(scope, home="public") == {"recent", "recent.ix_recent", "orders.state"}


def test_the_order_of_columns_is_that_of_those_that_count() -> None:
    whole = Whole(ITEMS)
    orders = {
        one.name: dict(one.facts)
        for one in shape_of(whole, Scope(ignore=("notes.orders",))).items
        if one.kind == "table"
    }
    assert orders["notes"][COLUMN_ORDER] == '["id", "mood"]'
    assert orders["orders"][COLUMN_ORDER] == '["id", "state"]'
    without = shape_of(whole, Scope(column_order=False))
    assert all(COLUMN_ORDER not in dict(one.facts) for one in without.items)


def test_one_item_can_be_asked_for() -> None:
    assert is_ignored(("orders",), column("orders", "state"))
    assert is_ignored(("orders.st*",), column("orders", "state"))
    assert not is_ignored(("state",), column("orders", "state"))
    assert not is_ignored((), column("orders", "state"))
