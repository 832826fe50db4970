"""Planning on servers: what can be known now, and what each stage brings."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.errors import HistoryError, UsageError
from orchestrator.execution.planner import Planner, Request
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection
from orchestrator.planning.plan import Plan
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.test_run import QUERY, installation

ALL = Selection(everything=True)


def planner(root: Path, request: Request) -> Planner:
    return Planner.of(Project.open(root / "databases.yaml", root), request)


def told(plan: Plan) -> list[tuple[str, int, list[str]]]:
    """Cohorts: bind, number of targets, revisions."""
    return [
        (one.bind, len(one.targets), [step.step.revision for step in one.steps])
        for one in plan.cohorts
    ]


def test_stages_bring_what_the_whole_plan_cannot_know(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    installation(tmp_path, url, QUERY, "pass")
    made = planner(tmp_path, Request(ALL, "upgrade", ["head"], record=False))
    whole = made.plan()
    assert told(whole) == [("main", 1, ["m1"]), ("last", 1, ["l1"])]
    assert [(one.bind, one.after) for one in whole.waiting] == [("shop", ("main",))]
    assert whole.unknown == ()
    stages = made.stages()
    assert told(next(stages)) == [("main", 1, ["m1"])]
    rows(url, "CREATE TABLE customers (slug varchar(9))")
    rows(url, "INSERT INTO customers VALUES ('a'), ('b')")
    shop = next(stages)
    assert told(shop) == [("shop", 2, ["s1"])]
    assert (shop.cohorts[0].missing, shop.waiting) == (2, ())
    assert [told(one) for one in stages] == [[("last", 1, ["l1"])]]


def test_tenants_that_are_not_known_in_their_turn_are_unknown(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    installation(tmp_path, pg_database(), QUERY, "pass")
    made = planner(tmp_path, Request(ALL, "upgrade", ["head"], record=False))
    _main, shop, _last = made.stages()
    assert [one.bind.name for one in shop.unknown] == ["shop"]
    assert shop.waiting == ()


def test_steps_are_recorded_where_they_are_asked_for(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    installation(tmp_path, pg_database(), "list: [a]", "pass")
    narrow = Selection(binds=("shop",))
    [cohort] = planner(tmp_path, Request(narrow, "upgrade", ["head"])).plan().cohorts
    [step] = cohort.steps
    assert (step.live, step.statements) == (False, 1)
    assert len(step.source) == 64


def test_binds_that_do_not_know_the_destination_are_left_alone(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    installation(tmp_path, pg_database(), "list: [a]", "pass")
    made = planner(tmp_path, Request(ALL, "upgrade", ["l1"], record=False))
    assert made.left_alone == ("main", "shop")
    assert told(made.plan())[-1] == ("last", 1, ["l1"])
    assert [one for one in told(made.plan()) if one[2]] == [("last", 1, ["l1"])]


def test_a_revision_that_nobody_knows_is_told_before_anything(tmp_path: Path) -> None:
    nowhere = URL.create("postgresql+psycopg2", "u", host="127.0.0.1", port=1, database="x")
    installation(tmp_path, nowhere, "list: [a]", "pass")
    with pytest.raises((UsageError, HistoryError), match="nonsense"):
        planner(tmp_path, Request(ALL, "upgrade", ["nonsense"]))
