"""`--verify`: what it says of targets that are not like their cohort, and when it fails a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import DatabaseFactory
from tests.execution.rollout.fleet import Fleet

ODD_PG = """
op.execute(
    "DO $$ BEGIN IF EXISTS (SELECT 1 FROM items WHERE name = 'odd') THEN "
    "ALTER TABLE items ADD COLUMN note text; END IF; END $$"
)
op.add_column("items", sa.Column("price", sa.Integer))
"""
ODD = """
odd = op.get_bind().execute(sa.text("SELECT count(*) FROM items WHERE name = 'odd'")).scalar()
op.add_column("items", sa.Column("price", sa.BigInteger if odd else sa.Integer))
"""


@pytest.mark.parametrize("tenants", [60, pytest.param(300, marks=pytest.mark.slow)])
def test_of_many_tenants_the_different_one_is_told(
    tmp_path: Path, pg_database: DatabaseFactory, tenants: int
) -> None:
    """One altered by hand before, one that its own data leads elsewhere."""
    fleet = Fleet.make(tmp_path, [pg_database()], tenants, "{}", body=ODD_PG)
    fleet.sql("t3", "ALTER TABLE {at}.items ADD COLUMN legacy integer")
    fleet.sql("t50", "UPDATE {at}.items SET name = 'odd' WHERE id = 1")
    said = fleet.project.run("upgrade", "--all", "--verify")
    assert said.code == 1, said.all
    assert f"verify: reading {tenants} schemas" in said.err
    lines = said.out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("shop/t50: its schema is not"))
    assert "which was equal before and took the same steps" in lines[at]
    assert lines[at + 1] == "    table items: column note is not expected"
    assert "shop/t3: its schema is not like that of shop/t0, at the same revision" in lines
    assert "    table items: column legacy is not expected" in lines
    assert f"upgrade: {tenants} targets, {tenants} changed" in lines
    assert (
        f"verify: {tenants} schemas compared, 1 not as expected, 1 not like their cohort before"
        in lines
    )
    # The ledger says the same, and nothing is left to run again.
    shown = fleet.project.run("runs", "show", "last")
    assert "failed" in shown.out
    assert "column note is not expected" in shown.out, shown.all
    assert fleet.project.run("upgrade", "--all", "--verify").code == 0


def test_for_machines(tmp_path: Path, any_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [any_database()], 4, "{}", body=ODD)
    fleet.sql("t1", "ALTER TABLE {at}.items ADD COLUMN legacy integer")
    fleet.sql("t2", "UPDATE {at}.items SET name = 'odd' WHERE id = 1")
    said = fleet.project.run("upgrade", "--all", "--verify", "--json", "--log-format", "json")
    assert said.code == 1, said.all
    found = {one["target"]: one["mismatches"] for one in said.json()}
    assert found["shop/t0"] == found["shop/t3"] == []
    (before,), (after,) = found["shop/t1"], found["shop/t2"]
    assert (before["when"], before["stops"], after["when"], after["stops"]) == (
        "before",
        False,
        "after",
        True,
    )
    (changed,) = after["differences"]
    assert (changed["what"], changed["table"], changed["name"], changed["fact"]) == (
        "changed",
        "items",
        "price",
        "type",
    )
    events = [json.loads(line) for line in said.err.splitlines()]
    told = [one for one in events if one["event"] == "mismatch"]
    assert all(one["time"].endswith("Z") for one in told)
    assert [(one["target"], one["stops"]) for one in told] == [
        ("shop/t1", False),
        ("shop/t2", True),
    ]


def test_all_well(tmp_path: Path, any_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [any_database()], 5, "{}")
    said = fleet.project.run("upgrade", "--all", "--verify")
    assert said.code == 0, said.all
    assert "verify: 5 schemas compared, all as expected" in said.out
    again = fleet.project.run("upgrade", "--all", "--verify")
    assert again.code == 0, again.all
    assert "verify: 0 schemas compared, all as expected" in again.out


def test_on_the_way_back(tmp_path: Path, any_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [any_database()], 3, "{}")
    fleet.project.revision(
        "shop", "r3", 'op.add_column("items", sa.Column("more", sa.Integer))', after="r2",
        down='op.drop_column("items", "more")',
    )  # fmt: skip
    assert fleet.project.run("upgrade", "--all").code == 0
    fleet.sql("t1", "ALTER TABLE {at}.items ADD COLUMN legacy integer")
    said = fleet.project.run("downgrade", "--all", "--to", "r2", "--yes", "--verify")
    # It was not like the others before, so it may be unlike them now.
    assert said.code == 0, said.all
    assert "verify: 3 schemas compared, all as expected, 1 not like their cohort before" in said.out
    assert "    table items: column legacy is not expected" in said.out


def test_without_it_nothing_is_read(tmp_path: Path, any_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [any_database()], 2, "{}")
    said = fleet.project.run("upgrade", "--all", "--json")
    assert said.code == 0, said.all
    assert "verify" not in said.err
    assert all("mismatches" not in one for one in said.json())


def test_it_needs_a_run(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [pg_database()], 1, "{}")
    said = fleet.project.run("upgrade", "--all", "--sql", "--from", "r1", "--verify")
    assert said.code == 2, said.all
    assert "--sql runs nothing" in said.err
