"""CREATE INDEX CONCURRENTLY in many tenants of one database at once, and beside people who wait."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.execution.replay import watching
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target
from orchestrator.planning.plan import PlanStep
from tests.cli.small import REPOSITORY, rows
from tests.conftest import DatabaseFactory
from tests.execution.journalled_postgresql import open_transaction, until
from tests.execution.live_project import driven, driving
from tests.execution.replayed import alone, plan_step, step, target_of

TENANTS = 8
TABLE = step("r1", None, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
INDEXES = step(
    "r2",
    "r1",
    "INSERT INTO t VALUES (2)",
    alone("CREATE INDEX CONCURRENTLY i ON t (id)", "CREATE UNIQUE INDEX CONCURRENTLY u ON t (id)"),
    "ALTER TABLE t ADD note varchar(20)",
)
AFTER = step("r3", "r2", "ALTER TABLE t ADD more int", alone("DROP INDEX CONCURRENTLY i"))
PATH: list[PlanStep] = [plan_step(one) for one in (TABLE, INDEXES, AFTER)]
VALID = "SELECT count(*) FROM pg_index WHERE indexrelid::regclass::text ~ '(u|i)$' AND indisvalid"


@pytest.mark.parametrize("transaction", ["revision", "path"])
def test_eight_tenants_of_one_database(
    tmp_path: Path,
    pg_database: DatabaseFactory,
    monkeypatch: pytest.MonkeyPatch,
    transaction: str,
) -> None:
    url = pg_database()
    for number in range(TENANTS):
        rows(url, f"CREATE SCHEMA t{number}")
    rows(url, "CREATE TABLE public.busy (id int)")
    one = target_of(url, transaction=transaction)
    targets = [
        dataclasses.replace(one, tenant=f"t{number}", schema=f"t{number}")
        for number in range(TENANTS)
    ]
    monkeypatch.setattr(watching, "FIRST", 0.5)
    monkeypatch.setattr(watching, "AGAIN", 0.5)
    told: list[str] = []
    with (
        driving(tmp_path, on_wait=lambda _target, words: told.append(words)) as context,
        open_transaction(
            url, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT * FROM busy"
        ) as other,
        ThreadPoolExecutor(TENANTS) as pool,
    ):
        pid = other.info.backend_pid

        def upgrade(target: Target) -> Outcome:
            return driven(context, target, PATH)

        running = [pool.submit(upgrade, target) for target in targets]
        time.sleep(2)
        assert not any(one.done() for one in running)
        other.commit()
        outcomes = [one.result() for one in running]
    assert [(one.result, one.after) for one in outcomes] == [("done", ("r3",))] * TENANTS
    assert any(f"waits for {url.username}" in one and f"session {pid}" in one for one in told)
    assert any(one.startswith("one CONCURRENTLY statement at a time") for one in told)
    assert rows(url, VALID) == [(TENANTS,)]
    for number in range(TENANTS):
        assert rows(url, f"SELECT id FROM t{number}.t ORDER BY id") == [(1,), (2,)]
        assert rows(url, f"SELECT count(*) FROM t{number}.orchestrator_journal") == [(0,)]


CHILD = """
import sys
from sqlalchemy import make_url
from tests.execution.cutting_postgresql import run_cut
from tests.execution.test_builds import INDEXES
run_cut(make_url(sys.stdin.readline().strip()), [INDEXES], start=("r1",))
"""


def test_what_a_killed_process_began_is_ended_by_the_server_alone(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    """kill -9 in the middle of a build: the next run waits for its session, says so, and takes the
    index that was built meanwhile."""
    url = pg_database()
    told: list[str] = []
    with driving(tmp_path, on_wait=lambda _target, words: told.append(words)) as context:
        assert driven(context, target_of(url), PATH[:1]).result == "done"
        with open_transaction(url, "INSERT INTO t VALUES (7)") as other:
            child = subprocess.Popen(
                [sys.executable, "-c", CHILD],
                stdin=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY}/script"},
                cwd=REPOSITORY,
            )
            assert child.stdin is not None
            child.stdin.write(url.render_as_string(hide_password=False) + "\n")
            child.stdin.close()
            until(
                url,
                "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%'"
                " AND wait_event = 'virtualxid'",
            )
            child.send_signal(signal.SIGKILL)
            child.wait()
            built = rows(url, "SELECT to_regclass('i')::oid")
            outcomes: list[Outcome] = []
            thread = threading.Thread(
                target=lambda: outcomes.append(driven(context, target_of(url), PATH[1:2], ("r1",)))
            )
            thread.start()
            time.sleep(1.5)
            assert thread.is_alive()
            other.commit()
            thread.join()
        outcome = outcomes[0]
    assert (outcome.result, outcome.after) == ("done", ("r2",)), outcome.failure
    assert any(
        one.startswith("waiting for its lock") and "CREATE INDEX CONCURRENTLY i" in one
        for one in told
    )
    assert built == rows(url, "SELECT to_regclass('i')::oid")
    assert rows(url, VALID) == [(2,)]
    assert rows(url, "SELECT id FROM t ORDER BY id") == [(1,), (2,), (7,)]
