"""A rollout from its first wave to its end, on real servers, driven by processes of its own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.conftest import DatabaseFactory
from tests.execution.rollout.fleet import Fleet

GATED = """
op.execute("INSERT INTO applied VALUES ('r2')")
op.execute(
    "DO $$ BEGIN WHILE (SELECT count(*) FROM public.gate) = 0 LOOP PERFORM pg_sleep(0.05); "
    "END LOOP; END $$"
)
op.add_column("items", sa.Column("price", sa.Integer))
"""
WAVES = "waves: [{name: canary, count: 2}, {name: some, percent: 25}, {name: rest}]"
SLOW = """
op.execute("INSERT INTO applied VALUES ('r2')")
op.execute("SELECT pg_sleep(0.3)")
op.add_column("items", sa.Column("price", sa.Integer))
"""


def test_waves_one_after_the_other(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """On two databases of PostgreSQL; of the MySQL family, each tenant has its own."""
    first = any_database()
    urls = [first, any_database()] if first.get_backend_name() == "postgresql" else [first]
    fleet = Fleet.make(tmp_path, urls, 12, f"{{{WAVES}}}")
    started = fleet.start()
    end = started.end()
    assert (end["status"], end["failed"], end["new"]) == ("done", 0, []), started.told()
    order = [one for one in started.events if one["event"] in ("wave", "ended")]
    names = [one.get("wave") for one in order]
    assert names == ["canary", *[None] * 2, "some", *[None] * 3, "rest", *[None] * 7]
    assert list(fleet.applied()) == [1]
    assert [(one.state, one.ended is not None) for one in fleet.view.waves] == [("done", True)] * 3
    assert fleet.view.status == "done"
    for row in fleet.rows():
        assert (row.state, row.from_revisions, row.to_revisions) == ("done", "r1", "r2")
        assert row.before
        assert row.after not in ("", row.before)
    assert len({row.after for row in fleet.rows()}) == 1
    again = fleet.drive("resume").end()
    assert again["event"] == "refused"
    assert "it is done" in again["what"]


def test_a_spent_budget_stops_its_wave_and_a_repair_ends_it(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    rules = f"{{concurrency: 2, max_failures: 1, {WAVES}}}"
    fleet = Fleet.make(tmp_path, [any_database()], 20, rules)
    broken = ["t3", "t7", "t8", "t11", "t15", "t16"]
    fleet.break_(broken)
    started = fleet.start()
    end = started.end()
    assert end["status"] == "stopped", started.told()
    waves = {one["wave"]: one for one in started.of("wave-ended")}
    last = started.of("wave-ended")[-1]
    # One more than may fail, and what ran beside it.
    assert 2 <= last["count"]["failed"] <= 3, started.told()
    assert all(waves[name]["count"]["failed"] <= 1 for name in list(waves)[:-1])
    reason = f"wave {last['wave']}: {last['count']['failed']} of {last['count']['waiting']}"
    assert end["reason"].startswith(reason.rpartition(" ")[0]), end
    assert "max_failures is 1; " in end["reason"]
    assert fleet.view.row.reason == end["reason"]
    assert len(started.of("started")) <= sum(
        one["count"]["done"] + one["count"]["failed"] for one in waves.values()
    )
    fleet.fix(broken)
    left = {row.target for row in fleet.rows("failed") if row.wave != fleet.view.row.wave}
    resumed = fleet.drive("resume")
    assert resumed.end()["status"] == "done", resumed.told()
    assert resumed.digest_of_plan() == started.digest_of_plan()
    assert {row.target for row in fleet.rows("failed")} == left
    if left:
        assert fleet.drive("retry").end()["status"] == "done"
    assert not fleet.rows("failed", "waiting")
    assert list(fleet.applied()) == [1]


def test_a_wave_waits_for_a_person(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    rules = "{waves: [{name: one, count: 1, pause: true}, {name: rest, pause: true}]}"
    fleet = Fleet.make(tmp_path, [pg_database()], 4, rules)
    end = fleet.start().end()
    assert (end["status"], end["reason"]) == ("paused", "wave one is done, and has `pause: true`")
    assert (fleet.view.status, len(fleet.rows("done"))) == ("paused", 1)
    # The last wave has nobody to wait for.
    assert fleet.drive("resume").end()["status"] == "done"
    assert list(fleet.applied()) == [1]


@pytest.mark.parametrize(("ask", "status"), [("pause", "paused"), ("abort", "aborted")])
def test_another_terminal_ends_it(
    tmp_path: Path, pg_database: DatabaseFactory, ask: str, status: str
) -> None:
    """Running targets end, and no other starts."""
    fleet = Fleet.make(tmp_path, [pg_database()], 30, "{concurrency: 2}", body=SLOW)
    started = fleet.start()
    started.until("ended")
    asked = time.monotonic()
    fleet.rollouts.ask(fleet.view.row.id, ask)  # type: ignore[arg-type]
    end = started.end()
    assert time.monotonic() - asked < 10
    assert end["status"] == status, started.told()
    done = {row.target for row in fleet.rows("done")}
    assert {one["target"] for one in started.of("started")} == done
    assert 1 <= len(done) < 20
    assert len(fleet.rows("waiting")) == 30 - len(done)
    assert fleet.view.row.ask == ""
    again = fleet.drive("resume")
    if ask == "abort":
        assert "it was aborted" in again.end()["what"]
        # Its bind is free.
        assert fleet.start().end()["status"] == "done"
    else:
        assert again.end()["status"] == "done", again.told()
    assert list(fleet.applied()) == [1]


def test_a_signal_leaves_it_to_be_resumed(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [pg_database()], 12, "{concurrency: 2}", body=SLOW)
    started = fleet.start()
    started.until("ended")
    started.process.terminate()
    assert started.end()["status"] == "interrupted", started.told()
    assert (fleet.view.status, fleet.view.row.reason) == ("paused", "interrupted by a signal")
    assert fleet.drive("resume").end()["status"] == "done"
    assert list(fleet.applied()) == [1]


def test_one_bind_is_in_one_rollout_and_one_process_drives_it(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    fleet = Fleet.make(tmp_path, [pg_database()], 6, "{concurrency: 2}", body=GATED)
    fleet.sql("t0", "CREATE TABLE public.gate AS SELECT 1 AS open WHERE false")
    started = fleet.start()
    started.until("started")
    other = fleet.drive("resume").end()
    assert other["event"] == "refused"
    assert "another process drives it" in other["what"]
    second = fleet.start().end()
    assert second["event"] == "refused"
    assert "is running, and a bind is in one rollout at a time" in second["what"]
    fleet.sql("t0", "INSERT INTO public.gate VALUES (1)")
    assert started.end()["status"] == "done", started.told()
    assert list(fleet.applied()) == [1]


def test_of_two_that_go_on_at_once_one_does(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    rules = "{waves: [{name: one, count: 1, pause: true}, {name: rest}]}"
    fleet = Fleet.make(tmp_path, [pg_database()], 8, rules, body=SLOW)
    assert fleet.start().end()["status"] == "paused"
    both = [fleet.drive("resume") for _ in range(2)]
    ends = [one.end() for one in both]
    # The second may come when all is done.
    assert sorted(one["event"] for one in ends) == ["end", "refused"], [one.told() for one in both]
    assert fleet.view.status == "done"
    assert list(fleet.applied()) == [1]


def test_a_ledger_on_a_server(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """Paused from another terminal, and gone on with."""
    rules = f"{{concurrency: 2, {WAVES}}}"
    url = any_database()
    fleet = Fleet.make(tmp_path, [url], 8, rules, ledger=any_database())
    started = fleet.start()
    started.until("wave", wave="some")
    fleet.rollouts.ask(fleet.view.row.id, "pause")
    end = started.end()
    assert end["status"] in ("paused", "done"), started.told()
    assert fleet.view.status == end["status"]
    if end["status"] == "paused":
        assert fleet.drive("resume").end()["status"] == "done"
    assert list(fleet.applied()) == [1]
    assert {row.state for row in fleet.rows()} == {"done"}


def test_what_depends_on_a_bind_that_failed_waits(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    fleet = Fleet.make(
        tmp_path,
        [url],
        6,
        "{max_failures: 5, waves: [{name: one, count: 3}, {name: rest}]}",
        more=f"\n  main: {{url: '{url.render_as_string(hide_password=False)}', apps: []}}",
        shop=", depends_on: [main]",
    )
    fleet.project.revision("main", "m1", 'op.execute("INSERT INTO aside.switch VALUES (1)")')
    started = fleet.start()
    end = started.end()
    assert end["status"] == "stopped", started.told()
    assert "targets wait for bind main, which failed" in end["reason"]
    assert [row.target for row in fleet.rows("failed")] == ["main"]
    assert len(fleet.rows("waiting")) == 6
    assert fleet.applied() == {0: list(fleet.places)}
    fleet.sql("t0", "CREATE SCHEMA aside")
    fleet.sql("t0", "CREATE TABLE aside.switch (on_ integer)")
    assert fleet.drive("resume").end()["status"] == "done"
    assert list(fleet.applied()) == [1]
    assert fleet.sql("t0", "SELECT count(*) FROM aside.switch") == [(1,)]


def test_tenants_that_go_are_told_where_it_stops(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    rules = (
        "{waves: [{name: one, count: 2, pause: true}, {name: two, count: 2, pause: true},"
        " {name: rest}]}"
    )
    fleet = Fleet.make(tmp_path, [pg_database()], 6, rules)
    assert fleet.start().end()["status"] == "paused"
    gone = fleet.rows("waiting")[0]
    fleet.enlist([name for name in fleet.places if name != gone.tenant])
    resumed = fleet.drive("resume")
    assert resumed.end()["status"] == "paused", resumed.told()
    reason = fleet.view.row.reason
    left_alone = f"1 target was not in the fleet any more, and left alone: {gone.target}"
    assert reason.startswith("wave two"), reason
    assert reason.endswith(f"; {left_alone}"), reason


def test_tenants_that_go_and_come_meanwhile(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    rules = "{waves: [{name: one, count: 2, pause: true}, {name: rest}]}"
    fleet = Fleet.make(tmp_path, [url], 6, rules)
    assert fleet.start().end()["status"] == "paused"
    digest = fleet.view.row.digest
    gone = fleet.rows("waiting")[0]
    assert gone.tenant is not None
    names = [name for name in fleet.places if name != gone.tenant]
    fleet.enlist([*names, "fresh", "later", "made"])
    fleet.lay_out(["fresh"])
    resumed = fleet.drive("resume")
    end = resumed.end()
    assert end["status"] == "done", resumed.told()
    # One at r1, and two whose schemas are not there yet.
    assert sorted(end["new"]) == ["shop/fresh", "shop/later", "shop/made"]
    assert fleet.view.row.digest == digest
    (row,) = fleet.rows("unchanged")
    assert (row.target, row.error) == (gone.target, "it is not in the fleet any more")
    left_alone = f"1 target was not in the fleet any more, and left alone: {gone.target}"
    assert fleet.view.row.reason == left_alone
    taken = fleet.drive("resume", "new")
    end = taken.end()
    assert (end["status"], end["new"]) == ("done", []), taken.told()
    assert fleet.view.waves[-1].name == "new"
    assert fleet.view.counts[-1].done == 3
    assert fleet.view.row.digest != digest
    assert list(fleet.applied([*names, "fresh", "later", "made"])) == [1]
    # Nothing is left to take.
    again = fleet.drive("resume", "new").end()
    assert (again["status"], again["new"]) == ("done", [])
    assert len(fleet.view.waves) == 3


def test_changed_files_are_refused_and_change_nothing(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    rules = "{waves: [{name: one, count: 1, pause: true}, {name: rest}]}"
    fleet = Fleet.make(tmp_path, [pg_database()], 4, rules)
    assert fleet.start().end()["status"] == "paused"
    fleet.project.revision("shop", "r2", 'op.execute("SELECT 1")', after="r1")
    end = fleet.drive("resume").end()
    assert end["event"] == "refused"
    assert "the revision file is not the one that was planned" in end["what"]
    assert fleet.view.status == "paused"
    assert fleet.view.row.reason == "wave one is done, and has `pause: true`"


def test_retry_runs_the_failed_targets_and_no_others(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    """Of one that is stopped, which then waits; and of one that is done."""
    rules = "{concurrency: 1, waves: [{name: one, count: 3, max_failures: 1}, {name: rest}]}"
    fleet = Fleet.make(tmp_path, [pg_database()], 8, rules)
    fleet.break_(fleet.places)
    assert fleet.start().end()["status"] == "stopped"
    failed = {row.tenant for row in fleet.rows("failed")}
    assert len(failed) == 2
    fleet.fix(fleet.places)
    retried = fleet.drive("retry")
    end = retried.end()
    assert (end["status"], end["failed"]) == ("paused", 0), retried.told()
    assert {row.tenant for row in fleet.rows("done")} == failed
    assert fleet.view.waves[0].state == "running"
    assert "it has no failed targets" in fleet.drive("retry").end()["what"]
    last = fleet.rows("waiting")[0].tenant
    assert last is not None
    fleet.break_([last])
    end = fleet.drive("resume").end()
    assert (end["status"], end["failed"]) == ("done", 1)
    assert end["reason"] == "1 failed, no more than max_failures"
    fleet.fix([last])
    assert fleet.drive("retry").end()["status"] == "done"
    assert {row.state for row in fleet.rows()} == {"done"}
    assert list(fleet.applied()) == [1]
