"""A driving process that is killed: another one goes on, and nothing is applied twice."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import DatabaseFactory
from tests.execution.rollout.fleet import Driven, Fleet

RULES = (
    "{concurrency: 3, waves: [{name: canary, count: 3, soak: 2s}, {name: some, percent: 40}, "
    "{name: rest}]}"
)


def pace(family: str) -> str:
    """r2, which takes a while."""
    nap = "SELECT pg_sleep(0.1)" if family == "postgresql" else "DO SLEEP(0.1)"
    return f"""
op.execute("INSERT INTO applied VALUES ('r2')")
op.add_column("items", sa.Column("price", sa.Integer))
op.execute("{nap}")
op.create_index("ix_items_name", "items", ["name"], unique=True)
"""


def in_wave(driven: Driven, wave: str) -> None:
    """Kill it when it has brought a first target of this wave to its end."""
    driven.until("wave", wave=wave)
    driven.until("ended")
    driven.kill()


def test_a_process_killed_in_each_wave_and_in_a_soak(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    url = any_database()
    body = pace(url.get_backend_name())
    fleet = Fleet.make(tmp_path, [url], 18, RULES, body=body)
    driven = fleet.start()
    in_wave(driven, "canary")
    digest = driven.digest_of_plan()
    assert fleet.view.status == "interrupted"
    driven = fleet.drive("resume")
    driven.until("soaking")
    driven.kill()
    assert fleet.view.waves[0].state == "soaking"
    until = fleet.view.waves[0].soak_until
    for wave in ("some", "rest"):
        driven = fleet.drive("resume")
        in_wave(driven, wave)
        assert driven.digest_of_plan() == digest
    driven = fleet.drive("resume")
    assert driven.end()["status"] == "done", driven.told()
    assert driven.digest_of_plan() == digest
    # The soak went on while nobody was there, and was not begun anew.
    assert fleet.view.waves[0].soak_until == until
    assert sorted(fleet.applied()) == [1]
    assert {row.state for row in fleet.rows()} == {"done"}
    assert all(row.before and row.after for row in fleet.rows())
    assert len(fleet.rollouts.runs(fleet.view.row.id)) == 5


def test_what_ended_unseen_is_verified_too(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    """Targets that were done when the process was killed, but not in the ledger yet."""
    fleet = Fleet.make(tmp_path, [pg_database()], 40, "{concurrency: 1}", body=pace("postgresql"))
    driven = fleet.start()
    for _ in range(3):
        driven.until("ended")
    soon = time.monotonic() + 10
    while not (compared := [one for one in fleet.rows("done") if one.after]):
        assert time.monotonic() < soon
        time.sleep(0.1)
    driven.kill()
    row = fleet.rows()[-1]
    assert row.tenant is not None
    # As if its outcome had been lost.
    fleet.sql(row.tenant, "INSERT INTO {at}.applied VALUES ('r2')")
    fleet.sql(row.tenant, "UPDATE {at}.alembic_version SET version_num = 'r2'")
    # And one that was done, and killed before it was compared.
    seen = compared[0]
    assert seen.tenant is not None
    fleet.rollouts.put(fleet.view.row.id, [replace(seen, after="")])
    fleet.sql(seen.tenant, "ALTER TABLE {at}.items ADD COLUMN note text")
    resumed = fleet.drive("resume")
    assert resumed.end()["status"] == "stopped", resumed.told()
    # Before anything else is started.
    (different,) = fleet.rows("different")
    assert different.target == seen.target
    assert "column note" in different.error
    assert not resumed.of("started")
    fleet.sql(seen.tenant, "ALTER TABLE {at}.items DROP COLUMN note")
    resumed = fleet.drive("resume")
    assert resumed.end()["status"] == "stopped", resumed.told()
    (different,) = fleet.rows("different")
    assert different.target == row.target
    assert "column price is missing" in different.error
    assert sorted(fleet.applied()) in ([1], [0, 1])


@pytest.mark.parametrize("how", ["pause", "abort"])
def test_a_soak_hears_another_terminal(
    tmp_path: Path, pg_database: DatabaseFactory, how: str
) -> None:
    rules = "{waves: [{name: canary, count: 1, soak: 60s}, {name: rest}]}"
    fleet = Fleet.make(tmp_path, [pg_database()], 3, rules)
    driven = fleet.start()
    driven.until("soaking")
    fleet.rollouts.ask(fleet.view.row.id, how)  # type: ignore[arg-type]
    end = driven.end()
    assert end["status"] == {"pause": "paused", "abort": "aborted"}[how]
    assert len(driven.of("soaking")) < 15
    assert fleet.view.waves[0].state == "soaking"
    assert len(fleet.rows("done")) == 1


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_a_rollout_killed_again_and_again(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """At moments that nobody chose, until it is done."""
    url = any_database()
    fleet = Fleet.make(tmp_path, [url], 40, RULES, body=pace(url.get_backend_name()))
    chance = random.Random(5)
    driven = fleet.start()
    for _ in range(12):
        driven.until("rollout")
        time.sleep(chance.uniform(0.0, 4.0))
        driven.kill()
        if fleet.view.status == "done":
            break
        driven = fleet.drive("resume")
    else:
        assert driven.end()["status"] == "done", driven.told()
    assert fleet.view.status == "done"
    assert sorted(fleet.applied()) == [1]
    assert {row.state for row in fleet.rows()} == {"done"}
    assert all(row.before and row.after for row in fleet.rows())
