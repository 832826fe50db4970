"""statement_timeout on every server: whoever keeps the limit, the words are the same."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.config import Flavour
from orchestrator.execution.drive import drive
from orchestrator.execution.sessions import SessionStore
from orchestrator.execution.types import Outcome
from orchestrator.fleet.sessions import MySQLSession
from orchestrator.planning.plan import PlanStep
from servers import RunningServer
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.live_project import driving
from tests.execution.replayed import plan_step, step, target_of, versions


def sleeping(url: URL, seconds: float) -> str:
    """A statement that runs so long, and fails when it is ended."""
    if url.get_backend_name() == "postgresql":
        return f"SELECT pg_sleep({seconds})"
    return f"INSERT INTO slow SELECT * FROM (SELECT SLEEP({seconds})) AS pause"


class Limited:
    """Runs steps on a server under a statement_timeout."""

    def __init__(self, root: Path, server: RunningServer) -> None:
        self._root = root
        self._flavour = Flavour.parse(server.flavour)

    def run(
        self, url: URL, limit: float, *steps: PlanStep, cancel_after: float | None = None
    ) -> Outcome:
        with driving(self._root) as context:
            timer = threading.Timer(cancel_after or 0, context.sessions.cancel)
            if cancel_after is not None:
                timer.start()
            target = target_of(url, statement_timeout=limit)
            outcome = drive(context, target, self._flavour, (), steps)
            timer.cancel()
        return outcome


@pytest.fixture
def limited(tmp_path: Path, any_server: RunningServer) -> Limited:
    return Limited(tmp_path, any_server)


def test_a_statement_that_runs_too_long_fails_for_good(
    limited: Limited, any_database: DatabaseFactory
) -> None:
    url = any_database()
    steps = [
        plan_step(step("r1", None, "CREATE TABLE slow (id int)")),
        plan_step(step("r2", "r1", "INSERT INTO slow VALUES (1)", sleeping(url, 60))),
    ]
    began = time.monotonic()
    outcome = limited.run(url, 1.5, *steps)
    assert time.monotonic() - began < 20
    assert (outcome.result, outcome.after, outcome.attempts) == ("failed", ("r1",), 1)
    assert outcome.failure is not None
    assert outcome.failure.message.startswith("statement_timeout of 1.5 s: ")
    assert rows(url, "SELECT count(*) FROM slow") == [(0,)]


def test_each_statement_has_the_whole_time(limited: Limited, any_database: DatabaseFactory) -> None:
    """Three of them in one round trip take longer together than one may."""
    url = any_database()
    steps = [
        plan_step(step("r1", None, "CREATE TABLE slow (id int)")),
        plan_step(step("r2", "r1", *[sleeping(url, 0.7)] * 3)),
    ]
    outcome = limited.run(url, 1.5, *steps)
    assert outcome.result == "done", outcome.failure
    assert versions(url) == ["r2"]


def test_words_are_kept_for_the_limit(limited: Limited, any_database: DatabaseFactory) -> None:
    """A statement that a person cancelled did not run too long."""
    url = any_database()
    rows(url, "CREATE TABLE slow (id int)")
    outcome = limited.run(url, 50, plan_step(step("r1", None, sleeping(url, 60))), cancel_after=1)
    assert outcome.failure is not None
    assert "statement_timeout" not in outcome.failure.message


def watchdogs() -> int:
    return sum(thread.name == "orchestrator-watchdog" for thread in threading.enumerate())


@pytest.mark.parametrize("limit", [0.0, 30.0])
def test_the_thread_runs_only_where_it_is_needed(
    any_database: DatabaseFactory, limit: float
) -> None:
    url = any_database()
    store = SessionStore()
    with store.lend(target_of(url, statement_timeout=limit)) as session:
        needed = isinstance(session, MySQLSession) and session.running.needs_watching
        assert watchdogs() == int(needed)
        if limit and isinstance(session, MySQLSession):
            (version,) = session.rows("SELECT version()")[0]
            assert needed == ("MariaDB" not in version)
    store.close()
    assert watchdogs() == 0
