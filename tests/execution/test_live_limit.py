"""statement_timeout of a live step, whoever keeps it."""

from __future__ import annotations

import time
from pathlib import Path

from orchestrator.config import Flavour
from orchestrator.execution.drive import drive
from servers import RunningServer
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.live_project import driving, project_of
from tests.execution.replayed import plan_step, step, versions

READS = 'op.get_bind().exec_driver_sql("SELECT 1").scalar()\n'


def test_a_live_statement_that_runs_too_long(
    tmp_path: Path, any_server: RunningServer, any_database: DatabaseFactory
) -> None:
    url = any_database()
    postgresql = url.get_backend_name() == "postgresql"
    sleep = "pg_sleep" if postgresql else "SLEEP"

    def slow(seconds: float) -> str:
        return f'op.execute("INSERT INTO slow SELECT 1 FROM (SELECT {sleep}({seconds})) AS p")\n'

    rows(url, "CREATE TABLE slow (id int)")
    # Each statement has the whole time.
    bodies = [READS + slow(0.8) * 3, READS + slow(60)]
    _project, (target,) = project_of(tmp_path, url, bodies, more="statement_timeout: 2s")
    steps = [plan_step(step("r1", None), live=True), plan_step(step("r2", "r1"), live=True)]
    began = time.monotonic()
    with driving(tmp_path) as context:
        outcome = drive(context, target, Flavour.parse(any_server.flavour), (), steps)
    assert time.monotonic() - began < 40
    assert (outcome.result, outcome.steps, outcome.attempts) == ("failed", ("r1",), 1)
    assert outcome.failure is not None
    assert outcome.failure.message.startswith("statement_timeout of 2 s: "), outcome.failure
    assert versions(url) == ["r1"]
    assert rows(url, "SELECT count(*) FROM slow") == [(3,)]
