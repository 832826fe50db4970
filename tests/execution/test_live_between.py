"""A worker that has a target takes the few compiled steps that lie before the next live one too."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.execution.live_types import taken_together
from orchestrator.execution.types import Outcome
from orchestrator.fleet.sessions import open_session
from orchestrator.planning.plan import PlanStep
from orchestrator.revisions.types import Segment
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.live_project import driven, driving, project_of
from tests.execution.replayed import alone, plan_step, step, target_of, versions

NOTES = "CREATE TABLE notes (step text, backend int, path text, wait text, locks bigint, kept bool)"
NOTE = (
    "INSERT INTO public.notes SELECT '{}', pg_backend_pid(), current_setting('search_path'),"
    " current_setting('lock_timeout'), (SELECT count(*) FROM pg_locks"
    " WHERE locktype = 'advisory' AND pid = pg_backend_pid()), to_regclass('pg_temp.t') IS NOT NULL"
)
LEAVES = (
    f'op.execute("{NOTE.format("r1")}")\n'
    "op.execute('CREATE TEMP TABLE t (id int)')\n"
    "op.execute('SET search_path = pg_catalog, public')\n"
    "op.execute(\"SET lock_timeout = '77s'\")\n"
)
POSTGRESQL = URL.create("postgresql+psycopg2", host="h", database="d")


def path_of(text: str) -> list[PlanStep]:
    """Steps named r1, r2, ...: L live, c compiled, b with an autocommit block, e ending its own
    transaction, s a stamp."""
    parts: dict[str, str | Segment] = {"b": alone("SELECT 2"), "e": "COMMIT"}
    found = []
    for number, kind in enumerate(text, 1):
        compiled = step(f"r{number}", f"r{number - 1}", "SELECT 1", parts.get(kind, "SELECT 2"))
        made = plan_step(compiled, live=kind == "L")
        found.append(PlanStep(made.step, made.recording) if kind == "s" else made)
    return found


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("L", 1),
        ("LL", 2),
        ("LcL", 3),
        ("Lcc", 1),
        ("LccLcc", 4),
        ("LccccL", 6),
        ("LcccccL", 1),
        ("LLcccccL", 2),
        ("LbL", 1),
        ("LcLbL", 3),
        ("LeL", 1),
        ("LsL", 1),
    ],
)
def test_how_far_a_worker_goes(text: str, taken: int) -> None:
    assert len(taken_together(target_of(POSTGRESQL), path_of(text))) == taken


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql"])
def test_other_drivers_go_step_by_step(driver: str) -> None:
    target = target_of(POSTGRESQL.set(drivername=driver))
    assert len(taken_together(target, path_of("LcL"))) == 1


def run(
    root: Path,
    url: URL,
    second: Sequence[str],
    first: str = LEAVES,
    *heard: list[str],
    more: str = "",
) -> Outcome:
    """r1 and r3 live, r2 compiled as these statements. heard: the steps, and the words."""
    third = f'op.execute("{NOTE.format("r3")}")'
    _project, (target,) = project_of(root, url, [first, "pass", third], more=more)
    path = [
        plan_step(step("r1", None), live=True),
        plan_step(step("r2", "r1", *second)),
        plan_step(step("r3", "r2"), live=True),
    ]
    steps, words = [*heard, [], []][:2]
    with driving(
        root,
        on_step=lambda _target, revision: steps.append(revision),
        on_wait=lambda _target, told: words.append(told),
        stopping=lambda: "stop" in words,
    ) as context:
        return driven(context, target, path)


def test_it_keeps_the_lock_and_nothing_else(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    rows(url, NOTES)
    steps: list[str] = []
    outcome = run(tmp_path, url, [NOTE.format("r2"), "CREATE TABLE made (id int)"], LEAVES, steps)
    assert outcome.failure is None, outcome
    assert outcome.result == "done"
    assert (outcome.before, outcome.after) == ((), ("r3",))
    assert outcome.steps == ("r1", "r2", "r3")
    assert outcome.statements == 2
    assert steps == ["r1", "r2", "r3"]
    found = rows(url, "SELECT DISTINCT path, wait, locks, kept FROM notes")
    assert found == [('"$user", public', "5s", 1, False)]
    assert rows(url, "SELECT count(*), count(DISTINCT backend) FROM notes") == [(3, 1)]
    assert rows(url, "SELECT to_regclass('public.made') IS NOT NULL") == [(True,)]


def test_a_refused_statement_is_told_with_its_place(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    rows(url, NOTES)
    outcome = run(tmp_path, url, [NOTE.format("r2"), "SELECT nothing", "SELECT 1"])
    assert (outcome.result, outcome.after, outcome.steps) == ("failed", ("r1",), ("r1",))
    failure = outcome.failure
    assert failure is not None
    assert failure.message == 'column "nothing" does not exist (42703)'
    assert (failure.revision, failure.statement) == ("r2", "SELECT nothing")
    assert failure.where.endswith(":11")
    assert rows(url, "SELECT step FROM notes") == [("r1",)]
    assert versions(url) == ["r1"]


def test_a_target_that_moved_under_way_is_refused(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    moves = "op.execute(\"INSERT INTO alembic_version VALUES ('theirs')\")"
    outcome = run(tmp_path, url, ["CREATE TABLE made (id int)"], moves)
    assert outcome.result == "failed"
    assert outcome.failure is not None
    assert "it stands at r1, theirs, and the plan was made for r1" in outcome.failure.message
    assert rows(url, "SELECT to_regclass('public.made')") == [(None,)]


def test_it_stops_between_two_steps(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    slow = "from orchestrator.execution import live_run\nlive_run._tell('stop')\ntime.sleep(2)"
    outcome = run(tmp_path, url, ["CREATE TABLE made (id int)"], slow)
    assert (outcome.result, outcome.after, outcome.steps) == ("not-started", ("r1",), ("r1",))
    assert rows(url, "SELECT to_regclass('public.made')") == [(None,)]


def test_what_passes_is_tried_again_from_where_it_stands(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    rows(url, NOTES)
    rows(url, "CREATE TABLE busy (id int)")
    words: list[str] = []
    session = open_session(url)
    session.batch(["BEGIN", "SELECT * FROM busy"])
    ended = threading.Event()

    def give_back() -> None:
        while not ended.wait(0.05):
            if any("lock timeout: attempt 2" in one for one in words):
                break
        session.close()

    thread = threading.Thread(target=give_back)
    thread.start()
    try:
        alter = "ALTER TABLE busy ADD COLUMN note text"
        more = "lock_timeout: 1s, attempts: 10"
        outcome = run(tmp_path, url, [alter], LEAVES, [], words, more=more)
    finally:
        ended.set()
        thread.join()
    assert outcome.failure is None, outcome
    assert outcome.attempts > 1
    assert rows(url, "SELECT step FROM notes ORDER BY step") == [("r1",), ("r3",)]
    assert versions(url) == ["r3"]
