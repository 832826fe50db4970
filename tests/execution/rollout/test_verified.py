"""Targets whose schemas are not like their cohort's: before, meanwhile, and afterwards."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import DatabaseFactory
from tests.execution.rollout.fleet import Fleet

PAUSED = "{waves: [{name: one, count: 2, pause: true}, {name: rest}]}"
ODD = """
op.execute("INSERT INTO applied VALUES ('r2')")
op.execute(
    "DO $$ BEGIN IF EXISTS (SELECT 1 FROM items WHERE name = 'odd') THEN "
    "ALTER TABLE items ADD COLUMN note text; END IF; END $$"
)
op.add_column("items", sa.Column("price", sa.Integer))
"""


def later(fleet: Fleet) -> str:
    """A tenant whose turn has not come."""
    name = fleet.rows("waiting")[-1].tenant
    assert name is not None
    return name


def test_one_that_never_was_like_the_others_is_shown_and_taken(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    fleet = Fleet.make(tmp_path, [any_database()], 6, "{}")
    fleet.sql("t4", "ALTER TABLE {at}.items ADD COLUMN old integer")
    started = fleet.start()
    assert started.end()["status"] == "done", started.told()
    at_start, in_wave = started.of("differs")
    for one in (at_start, in_wave):
        assert (one["target"], one["when"], one["stops"]) == ("shop/t4", "before", False)
        assert "column old" in one["words"][0]
    assert list(fleet.applied()) == [1]


def test_one_that_is_changed_before_its_turn_stops_the_wave(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    fleet = Fleet.make(tmp_path, [any_database()], 6, PAUSED)
    assert fleet.start().end()["status"] == "paused"
    name = later(fleet)
    fleet.sql(name, "ALTER TABLE {at}.items ADD COLUMN old integer")
    resumed = fleet.drive("resume")
    end = resumed.end()
    assert end["status"] == "stopped", resumed.told()
    assert end["reason"] == f"wave rest: 1 target is not as expected: shop/{name}"
    (row,) = fleet.rows("different")
    assert row.target == f"shop/{name}"
    assert "changed since it was planned: " in row.error
    assert "column old" in row.error
    assert not resumed.of("started")
    # Not repaired, and not accepted either.
    assert fleet.drive("resume").end()["status"] == "stopped"
    fleet.sql(name, "ALTER TABLE {at}.items DROP COLUMN old")
    assert fleet.drive("resume").end()["status"] == "done"
    assert list(fleet.applied()) == [1]


def test_one_that_differs_may_be_accepted(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [pg_database()], 6, PAUSED)
    assert fleet.start().end()["status"] == "paused"
    fleet.sql(later(fleet), "ALTER TABLE {at}.items ADD COLUMN old integer")
    assert fleet.drive("resume").end()["status"] == "stopped"
    accepted = fleet.drive("resume", "accept")
    assert accepted.end()["status"] == "done", accepted.told()
    assert not fleet.rows("different", "waiting")
    assert list(fleet.applied()) == [1]


def test_one_that_comes_out_otherwise_stops_the_wave(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    """Equal before, the same steps, and a step that looks at data."""
    rules = "{concurrency: 1, waves: [{name: one, count: 3}, {name: rest}]}"
    fleet = Fleet.make(tmp_path, [pg_database()], 9, rules, body=ODD)
    fleet.sql("t5", "UPDATE {at}.items SET name = 'odd' WHERE id = 1")
    started = fleet.start()
    end = started.end()
    assert end["status"] == "stopped", started.told()
    (row,) = fleet.rows("different")
    assert row.target == "shop/t5"
    assert "column note is extra" in row.error or "column note" in row.error
    (told,) = [one for one in started.of("differs") if one["stops"]]
    assert (told["when"], told["target"]) == ("after", "shop/t5")
    # At its end already: it is only compared again.
    fleet.sql("t5", "ALTER TABLE {at}.items DROP COLUMN note, DROP COLUMN price")
    fleet.sql("t5", "ALTER TABLE {at}.items ADD COLUMN price integer")
    resumed = fleet.drive("resume")
    assert resumed.end()["status"] == "done", resumed.told()
    assert list(fleet.applied()) == [1]


def test_without_verify_nothing_is_compared(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [pg_database()], 4, "{verify: false}", body=ODD)
    fleet.sql("t1", "UPDATE {at}.items SET name = 'odd' WHERE id = 1")
    assert fleet.start().end()["status"] == "done"
    assert {(row.before, row.after) for row in fleet.rows()} == {("", "")}


def test_one_wave_alone_may_be_verified(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    """The others are not compared, before or after."""
    waves = "[{name: one, count: 3}, {name: two, count: 3, checks: [verify]}]"
    rules = f"{{verify: false, waves: {waves}}}"
    fleet = Fleet.make(tmp_path, [pg_database()], 9, rules, body=ODD)
    started = fleet.start()
    assert started.end()["status"] == "done", started.told()
    assert [one["name"] for one in started.of("checked")] == ["verify"]
    compared = {row.wave for row in fleet.rows() if row.before and row.after}
    assert compared == {1}
    assert all(row.wave == 1 for row in fleet.rows() if row.before or row.after)
