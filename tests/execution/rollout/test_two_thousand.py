"""2,000 tenants over two servers, of which 5 % fail: as large as it is meant to be."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import URL

from servers import start
from tests.conftest import DatabaseFactory
from tests.databases.fresh import fresh_database
from tests.execution.rollout.fleet import Driven, Fleet

TENANTS = 2_000
CONCURRENCY = 8
RULES = (
    f"{{concurrency: {CONCURRENCY}, max_failures: '1%', waves: [{{name: canary, count: 1}}, "
    "{name: tenth, percent: 10}, {name: rest}]}"
)


def started(fleet: Fleet) -> Driven:
    driven = fleet.start()
    end = driven.end()
    assert end["status"] == "stopped", driven.told()
    return driven


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_two_thousand_tenants_stop_where_the_budget_is_spent(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    second = start("pg18")
    try:
        with fresh_database(second) as url:
            _roll_out(tmp_path, [pg_database(), url])
    finally:
        second.stop()


def _roll_out(root: Path, urls: Sequence[URL]) -> None:
    fleet = Fleet.make(root, urls, TENANTS, RULES)
    broken = [f"t{number}" for number in range(7, TENANTS, 20)]
    assert len(broken) == TENANTS // 20
    fleet.break_(broken)
    began = time.monotonic()
    driven = started(fleet)
    print(f"stopped after {time.monotonic() - began:.1f} s: {driven.events[-1]}")
    view = fleet.view
    wave = view.waves[view.row.wave]
    count = view.counts[view.row.wave]
    before = view.counts[: view.row.wave]
    # 5 % fail, and 1 % may: the first wave that is large enough to tell is where it stops.
    assert wave.max_failures < count.failed <= wave.max_failures + CONCURRENCY, count
    assert all(one.failed <= two.max_failures for one, two in zip(before, view.waves, strict=False))
    assert sum(one.waiting for one in before) == 0
    assert all(one.waiting == one.total for one in view.counts[view.row.wave + 1 :])
    through = sum(one.done + one.failed for one in view.counts)
    assert len(driven.of("started")) == through
    fleet.fix(broken)
    resumed = fleet.drive("resume")
    assert resumed.end()["status"] == "done", resumed.told()
    print(f"done after {time.monotonic() - began:.1f} s")
    assert resumed.digest_of_plan() == driven.digest_of_plan()
    left = fleet.rows("failed")
    assert all(row.wave < wave.number for row in left)
    if left:
        assert fleet.drive("retry").end()["status"] == "done"
    assert {row.state for row in fleet.rows()} == {"done"}
    applied = fleet.applied()
    assert {times: len(names) for times, names in applied.items()} == {1: TENANTS}
