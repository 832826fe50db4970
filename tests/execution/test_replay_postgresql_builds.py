"""CONCURRENTLY builds of steps: what fails, is cut short, waits or is waited for."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from orchestrator.execution.replay import watching
from orchestrator.execution.replay.types import Locked, ReplayFailed, Waits
from orchestrator.fleet.sessions import Session, open_session
from orchestrator.safety.locks import builds_lock
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.cutting_postgresql import NEVER, run_cut
from tests.execution.journalled_postgresql import (
    BEFORE,
    UNIQUE,
    counted,
    counts,
    fail_to_build,
    in_background,
    index,
    journal,
    open_transaction,
    until,
)
from tests.execution.live_project import driven, driving
from tests.execution.replayed import alone, plan_step, run, step, target_of, versions


def test_what_a_failed_build_leaves_goes_before_it_is_told(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    run(url, BEFORE)
    with pytest.raises(ReplayFailed, match="could not create unique index") as failed:
        run_cut(url, [step("b", "a", alone(UNIQUE))], start=("a",))
    assert (failed.value.statement, failed.value.kept) == (UNIQUE, 0)
    assert index(url) == []
    # Nothing of the step was done, so nothing is half-applied, and its file may be edited.
    assert journal(url) == []
    run_cut(url, [step("b", "a", "DELETE FROM t", alone(UNIQUE))], start=("a",))
    assert (versions(url), index(url)) == (["b"], [(True,)])


@pytest.mark.parametrize("how", ["pg_terminate_backend", "pg_cancel_backend"])
@pytest.mark.parametrize("stopping", [False, True])
def test_a_build_that_is_cut_short(pg_database: DatabaseFactory, how: str, stopping: bool) -> None:
    """It waits for a transaction, with its index made and invalid."""
    url = pg_database()
    run(url, BEFORE)
    made = step("b", "a", counted("one"), alone("CREATE INDEX CONCURRENTLY u ON t (id)"))
    waits = Waits(stopping=lambda: stopping)
    with open_transaction(url, "INSERT INTO t VALUES (7)") as other:
        thread, caught = in_background(lambda: run_cut(url, [made], start=("a",), waits=waits))
        waiting = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%'"
        until(url, f"{waiting} AND wait_event = 'virtualxid'")
        rows(url, f"SELECT {how}(pid) FROM ({waiting}) w")
        other.commit()
        thread.join()
    assert [type(one) for one in caught] == [ReplayFailed]
    gone = how == "pg_cancel_backend" and not stopping
    assert index(url) == ([] if gone else [(False,)])
    told: list[str] = []
    run_cut(url, [made], start=("a",), waits=Waits(told.append))
    assert ("index public.u is invalid: dropped" in told) is not gone
    assert (versions(url), index(url), counts(url)) == (["b"], [(True,)], ["one"])


def test_if_not_exists_does_not_take_an_invalid_index_for_done(
    pg_database: DatabaseFactory,
) -> None:
    url = pg_database()
    run(url, BEFORE)
    fail_to_build(url)
    assert index(url) == [(False,)]
    rows(url, "DELETE FROM t WHERE note = 'y'")
    text = UNIQUE.replace("u ON", "IF NOT EXISTS u ON")
    run_cut(url, [step("b", "a", alone(text))], start=("a",))
    assert index(url) == [(True,)]


def test_time_limits_of_builds(pg_database: DatabaseFactory) -> None:
    """No lock_timeout while one waits; concurrent_timeout ends it; the others keep theirs."""
    url = pg_database()
    run(url, BEFORE)
    made = plan_step(step("b", "a", alone("CREATE INDEX CONCURRENTLY u ON t (id)")))
    show = "INSERT INTO counted SELECT current_setting('lock_timeout')"
    after = plan_step(step("c", "b", alone("DROP INDEX CONCURRENTLY u", show)))
    limits = {"lock_timeout": 0.3, "attempts": 1}
    with (
        driving(Path(), pause=lambda _seconds: None) as context,
        open_transaction(url, "INSERT INTO t VALUES (7)") as other,
    ):
        target = target_of(url, concurrent_timeout=0.7, **limits)
        outcome = driven(context, target, [made], ("a",))
        assert outcome.failure is not None
        assert "statement timeout" in outcome.failure.message
        thread, caught = in_background(
            lambda: driven(context, target_of(url, **limits), [made, after], ("a",))
        )
        time.sleep(1.0)
        assert thread.is_alive()
        other.commit()
        thread.join()
    assert (caught, versions(url), counts(url)) == ([], ["c"], ["300ms"])


def test_whom_a_build_waits_for_is_told(
    pg_database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = pg_database()
    run(url, BEFORE)
    monkeypatch.setattr(watching, "FIRST", 0.3)
    monkeypatch.setattr(watching, "AGAIN", 0.2)
    heard: list[str] = []

    def beside() -> Session:
        return open_session(url)

    texts = ["CREATE INDEX CONCURRENTLY u ON t (id)", "DROP INDEX CONCURRENTLY u"]
    for number, text in enumerate(texts):
        heard.clear()
        made = step(f"b{number}", versions(url)[0], alone(text))
        start = tuple(versions(url))
        with open_transaction(url, "INSERT INTO t VALUES (7)") as other:
            pid = other.info.backend_pid
            waits = Waits(heard.append, beside=beside)
            thread, caught = in_background(
                lambda made=made, start=start, waits=waits: run_cut(
                    url, [made], NEVER, start, waits=waits
                )
            )
            time.sleep(1.0)
            assert thread.is_alive()
            other.commit()
            thread.join()
        assert caught == []
        assert len(heard) >= 2
        assert heard[0].startswith(f"{text}: runs for ")
        assert f"session {pid}, in a transaction for " in heard[0]
        assert "idle in transaction, last: INSERT INTO t" in heard[0]
    assert str(url.password) not in "".join(heard)


def test_one_build_at_a_time_and_who_builds_is_told(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    run(url, BEFORE)
    made = step("b", "a", counted("one"), alone("CREATE INDEX CONCURRENTLY u ON t (id)"))
    told: list[str] = []
    with open_transaction(url, f"SELECT pg_advisory_lock({builds_lock().number})") as other:
        pid = other.info.backend_pid
        other.commit()
        stop = threading.Event()
        waits = Waits(told.append, stop.is_set)
        thread, caught = in_background(lambda: run_cut(url, [made], start=("a",), waits=waits))
        time.sleep(0.5)
        assert told == []  # A turn that comes soon is not worth a line.
        time.sleep(1.5)
        assert thread.is_alive()
        stop.set()
        thread.join()
        # Stopped while it waited: nothing is in doubt for the next run.
        assert [type(one) for one in caught] == [Locked]
        assert told[0].startswith("one CONCURRENTLY statement at a time: waiting for ")
        assert f"session {pid}" in told[0]
        assert index(url) == []
    run_cut(url, [made], start=("a",))
    assert (versions(url), index(url), counts(url)) == (["b"], [(True,)], ["one"])
