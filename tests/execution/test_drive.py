"""One target along its path: order, where it stands afterwards, and what a failure says."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.fleet.types import Target
from orchestrator.planning.plan import PlanStep
from tests.cli.small import REPOSITORY, rows
from tests.conftest import DatabaseFactory
from tests.execution.live_project import driven, driving, project_of
from tests.execution.replayed import alone, plan_step, run, step, target_of, versions

CREATE = "CREATE TABLE trace (id int, note varchar(20))"
A = step("r1", None, CREATE)


def insert(name: str, after: str | None, *parts: str) -> PlanStep:
    return plan_step(step(name, after, f"INSERT INTO trace VALUES (1, '{name}')", *parts))


def trace(url: URL) -> list[str]:
    return [row[0] for row in rows(url, "SELECT note FROM trace ORDER BY note")]


PATH = [
    plan_step(A),
    insert("r2", "r1"),
    insert("r3", "r2", "SELECT nothing FROM trace", "SELECT 3"),
    insert("r4", "r3"),
]


def test_a_failure_names_its_line(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    with driving(tmp_path) as context:
        outcome = driven(context, target_of(url), PATH)
    assert (outcome.result, outcome.before, outcome.after) == ("failed", (), ("r2",))
    assert outcome.steps == ("r1", "r2")
    failure = outcome.failure
    assert failure is not None
    assert (failure.revision, failure.where) == ("r3", "/v/r3.py:11")
    assert failure.statement == "SELECT nothing FROM trace"
    assert failure.todo == ""
    assert trace(url) == ["r2"]


def test_what_stays_done_is_said(tmp_path: Path, my_database: DatabaseFactory) -> None:
    url = my_database()
    bad = plan_step(step("r1", None, CREATE, "ALTER TABLE trace ADD more int", "SELECT nothing"))
    with driving(tmp_path) as context:
        outcome = driven(context, target_of(url), [bad])
        assert outcome.failure is not None
        assert outcome.failure.todo == (
            "2 statements stay done: the server commits DDL at once."
            " The next run continues with statement 3."
        )
        rows(url, "DELETE FROM orchestrator_journal")
        bad = plan_step(step("r1", None, "CREATE TABLE two (id int)", "SELECT nothing"))
        outcome = driven(context, target_of(url), [bad])
    assert outcome.failure is not None
    assert outcome.failure.todo == (
        "1 statement stays done: the server commits DDL at once."
        " The next run continues with statement 2."
    )


def test_a_target_that_moved_along_its_path_goes_on(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    url = any_database()
    path = [plan_step(A), insert("r2", "r1"), insert("r3", "r2")]
    run(url, A, step("r2", "r1"))
    with driving(tmp_path) as context:
        outcome = driven(context, target_of(url), path)
        assert (outcome.result, outcome.after, outcome.steps) == ("done", ("r3",), ("r3",))
        assert trace(url) == ["r3"]
        again = driven(context, target_of(url), path)
        assert (again.result, again.after, again.steps) == ("unchanged", ("r3",), ())
        rows(url, "UPDATE alembic_version SET version_num = 'x'")
        away = driven(context, target_of(url), path)
    assert away.result == "failed"
    assert away.failure is not None
    assert "it stands at x, and the plan was made for base: somebody else" in away.failure.message
    assert trace(url) == ["r3"]


def test_it_stops_between_steps(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    seen: list[str] = []
    with driving(
        tmp_path,
        stopping=lambda: len(seen) >= 2,
        on_step=lambda _target, revision: seen.append(revision),
    ) as context:
        outcome = driven(context, target_of(url), [plan_step(A), *PATH[1:2], insert("r3", "r2")])
        assert (outcome.result, outcome.after) == ("not-started", ("r2",))
        assert outcome.steps == ("r1", "r2")
        later = driven(context, target_of(url), PATH)
    assert later.result == "not-started"
    assert seen == ["r1", "r2"]
    assert versions(url) == ["r2"]


def test_the_whole_path_in_one_transaction(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    target = target_of(url, transaction="path")
    with driving(tmp_path) as context:
        outcome = driven(context, target, PATH)
        assert (outcome.result, outcome.after, outcome.steps) == ("failed", (), ())
        assert outcome.failure is not None
        assert outcome.failure.where == "/v/r3.py:11"
        assert rows(url, "SELECT to_regclass('alembic_version')") == [(None,)]
        good = [*PATH[:2], insert("r3", "r2")]
        outcome = driven(context, target, good)
    assert (outcome.result, outcome.steps) == ("done", ("r1", "r2", "r3"))


def test_where_a_path_in_one_transaction_stands_after_an_autocommit_block(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    index = alone("CREATE INDEX CONCURRENTLY i ON trace (id)")
    path = [plan_step(A), insert("r2", "r1"), plan_step(step("r3", "r2", index, "SELECT 1/0"))]
    with driving(tmp_path) as context:
        outcome = driven(context, target_of(url, transaction="path"), path)
    assert (outcome.result, outcome.after) == ("failed", ("r2",))
    assert outcome.steps == ("r1", "r2")
    assert versions(url) == ["r2"]
    assert outcome.failure is not None
    assert outcome.failure.revision == "r3"
    assert "stay done" in outcome.failure.todo


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    url = URL.create("postgresql+psycopg2", "u", "secret", "127.0.0.1", 1, "x")
    with driving(tmp_path) as context:
        outcome = driven(context, target_of(url), PATH)
    assert outcome.result == "failed"
    assert outcome.failure is not None
    assert "secret" not in str(outcome.failure)
    assert "Check its URL" in outcome.failure.todo


READS = """
count = op.get_bind().execute(sa.text("SELECT count(*) FROM trace")).scalar()
op.execute(f"INSERT INTO trace VALUES ({{count}}, '{name}')")
"""


def mixed(root: Path, url: URL, more: str = "") -> tuple[Target, list[PlanStep]]:
    """r1 and r3 compiled, r2 and r4 live."""
    op = "op.execute(\"INSERT INTO trace SELECT count(*), 'r3' FROM trace\")"
    bodies = [f'op.execute("{CREATE}")', READS.format(name="r2"), op, READS.format(name="r4")]
    _project, (target,) = project_of(root, url, bodies, more=more)
    return target, [
        plan_step(A),
        plan_step(step("r2", "r1"), live=True),
        plan_step(step("r3", "r2", "INSERT INTO trace SELECT count(*), 'r3' FROM trace")),
        plan_step(step("r4", "r3"), live=True),
    ]


@pytest.mark.parametrize("transaction", ["revision", "path"])
def test_a_mixed_path_keeps_its_order(
    tmp_path: Path, any_database: DatabaseFactory, transaction: str
) -> None:
    url = any_database()
    target, path = mixed(tmp_path, url, f"transaction: {transaction}")
    with driving(tmp_path) as context:
        outcome = driven(context, target, path)
    assert (outcome.result, outcome.failure) == ("done", None)
    assert outcome.steps == ("r1", "r2", "r3", "r4")
    assert rows(url, "SELECT id, note FROM trace ORDER BY id") == [(0, "r2"), (1, "r3"), (2, "r4")]
    assert versions(url) == ["r4"]


def test_a_live_step_is_not_run_twice_where_the_target_moved(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    url = any_database()
    target, path = mixed(tmp_path, url)
    run(url, A, step("r2", "r1", "INSERT INTO trace VALUES (0, 'theirs')"))
    with driving(tmp_path) as context:
        outcome = driven(context, target, path[1:], ("r1",))
        assert (outcome.result, outcome.steps) == ("done", ("r3", "r4"))
        rows(url, "UPDATE alembic_version SET version_num = 'r1'")
        away = driven(context, target, path[3:], ("r3",))
        rows(url, "DROP TABLE alembic_version")
        gone = driven(context, target, path[3:], ("r3",))
    assert gone.failure is not None
    assert "it stands at base (its version table is empty, or not there), and" in (
        gone.failure.message
    )
    assert trace(url) == ["r3", "r4", "theirs"]
    assert away.result == "failed"
    assert away.failure is not None
    assert "it stands at r1, and the plan was made for r3" in away.failure.message


MOOD = 'op.create_table("{}", sa.Column("mood", sa.Enum("a", "b", name="mood")))'
ENUMS = [
    MOOD.format("one"),
    'op.get_bind().execute(sa.text("SELECT count(*) FROM one")).scalar()\n' + MOOD.format("two"),
    'op.create_table("three", sa.Column("id", sa.Integer()))',
]


def test_types_that_alembic_remembers_end_like_stock(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    ends = []
    for name in ("ours", "stock"):
        url, root = pg_database(), tmp_path / name
        root.mkdir()
        project, _targets = project_of(root, url, ENUMS)
        project.write("alembic.ini", "[alembic]\nscript_location = migrations\n")
        if name == "ours":
            said = project.run("upgrade", "--all")
            assert said.code == 0, said.all
        else:
            subprocess.run(
                [sys.executable, "-m", "alembic", "upgrade", "head"],
                cwd=root,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                check=True,
                capture_output=True,
            )
        query = "SELECT table_name, column_name, udt_name FROM information_schema.columns"
        ends.append(rows(url, f"{query} WHERE table_schema = 'public' ORDER BY 1, 2"))
        assert versions(url) == ["r3"]
    assert ends[0] == ends[1]
    assert ("two", "mood", "mood") in ends[0]


def test_a_path_without_live_steps_behind_remembered_types_is_replayed(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    """No worker is asked: there is no project that one could open."""
    url = pg_database()
    path = [replace(plan_step(A), remembered=True), insert("r2", "r1")]
    with driving(tmp_path / "nowhere") as context:
        assert driven(context, target_of(url), path).result == "done"
