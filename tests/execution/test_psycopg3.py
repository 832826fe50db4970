"""URLs of psycopg 3: compiled steps and live ones, and what the server's refusals are taken for."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from orchestrator.config import Flavour
from orchestrator.execution.drive import drive
from orchestrator.fleet.engines import failed_state
from orchestrator.safety.passing import answered, limit_words, passing
from servers import RunningServer
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.live_project import driving, project_of
from tests.execution.replayed import plan_step, step, versions

READS = 'op.get_bind().exec_driver_sql("SELECT 1").scalar()\n'
HELD = 5
"""Seconds for which somebody holds the table: a worker's start, and some of lock_timeout."""


@pytest.fixture
def url(pg_database: DatabaseFactory) -> URL:
    """An empty database, by a URL of psycopg 3."""
    return pg_database().set(drivername="postgresql+psycopg")


def test_a_live_step_waits_for_a_lock_and_is_tried_again(
    tmp_path: Path, postgres: RunningServer, url: URL
) -> None:
    rows(url, "CREATE TABLE busy (id int)")
    bodies = [READS + 'op.execute("ALTER TABLE busy ADD note text")\n']
    _project, (target,) = project_of(tmp_path, url, bodies, more="lock_timeout: 500ms")
    holder = create_engine(url, poolclass=NullPool).connect()
    holder.exec_driver_sql("SELECT * FROM busy")
    release = threading.Timer(HELD, holder.close)
    release.start()
    with driving(tmp_path) as context:
        outcome = drive(
            context,
            target,
            Flavour.parse(postgres.flavour),
            (),
            [plan_step(step("r1", None), live=True)],
        )
    release.join()
    assert (outcome.result, outcome.steps) == ("done", ("r1",)), outcome.failure
    assert outcome.attempts > 1
    assert versions(url) == ["r1"]


def test_a_live_statement_that_runs_too_long(
    tmp_path: Path, postgres: RunningServer, url: URL
) -> None:
    bodies = [READS + 'op.execute("SELECT pg_sleep(60)")\n']
    _project, (target,) = project_of(tmp_path, url, bodies, more="statement_timeout: 1s")
    with driving(tmp_path) as context:
        outcome = drive(
            context,
            target,
            Flavour.parse(postgres.flavour),
            (),
            [plan_step(step("r1", None), live=True)],
        )
    assert (outcome.result, outcome.attempts) == ("failed", 1)
    assert outcome.failure is not None
    assert outcome.failure.message.startswith("statement_timeout of 1 s: "), outcome.failure
    assert outcome.failure.message.endswith("(57014)")
    assert rows(url, "SELECT to_regclass('alembic_version')::text") == [(None,)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SET lock_timeout = '50ms'; LOCK TABLE busy", "lock timeout"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "connection lost"),
        ("SELECT 1 / 0", None),
    ],
    ids=["lock", "ended", "wrong"],
)
def test_what_passes_by_itself(url: URL, text: str, expected: str | None) -> None:
    rows(url, "CREATE TABLE busy (id int)")
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with (
        create_engine(url, poolclass=NullPool).connect() as holder,
        psycopg.connect(plain) as connection,
    ):
        holder.exec_driver_sql("LOCK TABLE busy")
        with pytest.raises(psycopg.Error) as raised:
            connection.execute(text)
        if not connection.closed:
            connection.rollback()
    assert passing(raised.value) == expected
    assert answered(raised.value)
    assert limit_words(raised.value, 1) == ""


def test_a_database_that_is_not_there(url: URL) -> None:
    engine = create_engine(url.set(database="nobody_made_it"))
    with pytest.raises(Exception, match="does not exist") as raised:
        engine.connect()
    assert failed_state(raised.value).kind == "missing"
