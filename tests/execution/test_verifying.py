"""Fingerprints before and after, on fleets of real tenants, some of which somebody touches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from orchestrator.checks.differences import words
from orchestrator.execution.planner import Planner, Request
from orchestrator.execution.project import Project
from orchestrator.execution.run import Runner
from orchestrator.execution.scopes import scope_of
from orchestrator.execution.types import Mismatch, Outcome
from orchestrator.execution.verifying import EMPTY, Verifier
from orchestrator.fleet.targets import Selection
from orchestrator.fleet.types import Target
from orchestrator.ledger.rollout_types import RolloutTarget
from orchestrator.planning.paths import Verb
from orchestrator.planning.plan import Plan
from tests.conftest import DatabaseFactory
from tests.execution.rollout.fleet import Fleet

BATCH = 100


def nothing(_target: Target, _revision: str) -> None:
    """What is done as a step begins, when nothing is."""


class Work:
    """A fleet's project, and what one process does with it."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.project = Project.open(root=fleet.project.root)
        self.verifier = Verifier(scope_of(self.project))

    def plan(self, verb: Verb = "upgrade", to: str = "head", *tenants: str) -> Plan:
        """Of all tenants, or of some."""
        selection = Selection(tenants=tenants) if tenants else Selection(everything=True)
        return Planner.of(self.project, Request(selection, verb, (to,))).plan()

    def run(
        self, plan: Plan, on_step: Callable[[Target, str], None] = nothing
    ) -> Iterator[Mismatch]:
        """Run a plan, and compare its targets batch by batch."""
        runner = Runner(self.project, size=8, on_step=on_step)
        outcomes: list[Outcome] = []
        try:
            outcomes += runner.run(plan)
        finally:
            runner.close()
        assert {one.result for one in outcomes} <= {"done", "unchanged"}, outcomes
        for first in range(0, len(outcomes), BATCH):
            yield from self.verifier.after(outcomes[first : first + BATCH])

    def meddler(self, statements: dict[str, str]) -> Callable[[Target, str], None]:
        """Somebody who runs a statement on some tenants just before their first step does."""

        def meddle(target: Target, _revision: str) -> None:
            statement = statements.pop(target.tenant or "", "")
            if statement:
                self.fleet.sql(target.tenant or "", statement)

        return meddle


def told(mismatches: Sequence[Mismatch]) -> list[tuple[str, str, list[str]]]:
    return [
        (one.target.id, one.like, [words(two) for two in one.differences]) for one in mismatches
    ]


ADD = "ALTER TABLE {at}.items ADD COLUMN legacy integer"


@pytest.mark.parametrize("tenants", [12, pytest.param(300, marks=pytest.mark.slow)])
def test_the_one_that_is_touched_meanwhile_is_found(
    tmp_path: Path, any_database: DatabaseFactory, tenants: int
) -> None:
    """A statement by hand while the run goes on, and one from before."""
    work = Work(Fleet.make(tmp_path, [any_database()], tenants, "{}"))
    work.fleet.sql("t7", "ALTER TABLE {at}.items ADD COLUMN note varchar(20)")
    touched = f"t{tenants - 3}"
    plan = work.plan()
    before = work.verifier.before(plan)
    assert told(before) == [("shop/t7", "shop/t0", ["table items: column note is not expected"])]
    assert not before[0].stops
    assert len(work.verifier.digests) == tenants
    assert len(set(work.verifier.digests.values())) == 2
    wrong = list(work.run(plan, work.meddler({touched: ADD})))
    assert [one.target.id for one in wrong] == [f"shop/{touched}"]
    assert wrong[0].stops
    assert (wrong[0].when, told(wrong)[0][2]) == (
        "after",
        ["table items: column legacy is not expected"],
    )
    assert len(work.verifier.after_digests) == tenants
    # Of those that were equal, and of the one that was not.
    assert len(work.verifier.references) == 2


def test_a_statement_by_hand_meanwhile_is_found_wherever_it_goes(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    work = Work(Fleet.make(tmp_path, [any_database()], 12, "{}"))
    statements = {
        "t3": "DROP TABLE {at}.applied",
        "t8": "CREATE INDEX mine ON {at}.items (id)",
    }
    # The table is needed by the step: it goes when the step has run.
    meddle = work.meddler({"t8": statements["t8"]})
    plan = work.plan()
    assert work.verifier.before(plan) == ()
    runner = Runner(work.project, size=1, on_step=meddle)
    outcomes = list(runner.run(plan))
    runner.close()
    work.fleet.sql("t3", statements["t3"])
    assert sorted(told(work.verifier.after(outcomes))) == [
        ("shop/t3", "shop/t0", ["table applied is missing"]),
        ("shop/t8", "shop/t0", ["table items: index mine is not expected"]),
    ]


def test_a_downgrade_is_compared_too(tmp_path: Path, any_database: DatabaseFactory) -> None:
    fleet = Fleet.make(tmp_path, [any_database()], 6, "{}")
    fleet.project.revision("shop", "r3", 'op.create_table("more", sa.Column("id", sa.Integer))',
                           after="r2", down='op.drop_table("more")')  # fmt: skip
    work = Work(fleet)
    assert list(work.run(work.plan())) == []
    again = Work(fleet)
    plan = again.plan("downgrade", "r2")
    assert again.verifier.before(plan) == ()
    wrong = list(again.run(plan, again.meddler({"t2": ADD})))
    assert told(wrong) == [
        ("shop/t2", wrong[0].like, ["table items: column legacy is not expected"])
    ]


def test_those_that_are_made_by_the_run_are_compared_as_well(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    fleet = Fleet.make(tmp_path, [any_database()], 2, "{}")
    new = ["n0", "n1", "n2"]
    fleet.enlist(["t0", "t1", *new])
    work = Work(fleet)
    plan = work.plan()
    try:
        assert work.verifier.before(plan) == ()
        assert {work.verifier.digests[f"shop/{name}"] for name in new} == {EMPTY.digest}
        meddle = work.meddler({"n1": "CREATE TABLE {at}.mine (id integer)"})
        wrong = list(work.run(plan, meddle))
        assert told(wrong) == [("shop/n1", wrong[0].like, ["table mine is not expected"])]
    finally:
        for name in [] if fleet.schemas else new:
            fleet.sql("t0", f"DROP DATABASE IF EXISTS {fleet.place(name)}")


def test_what_somebody_changes_between_two_looks_is_told(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    work = Work(Fleet.make(tmp_path, [any_database()], 5, "{}"))
    work.fleet.sql("t1", "ALTER TABLE {at}.items ADD COLUMN odd integer")
    plan = work.plan()
    assert [one.target.id for one in work.verifier.before(plan)] == ["shop/t1"]
    assert [one.stops for one in work.verifier.again(plan)] == [False]
    work.fleet.sql("t4", ADD)
    first, second = work.verifier.again(plan)
    assert (first.target.id, first.like, first.stops, first.when) == (
        "shop/t4",
        "shop/t4",
        True,
        "before",
    )
    assert told([first])[0][2] == ["table items: column legacy is not expected"]
    assert (second.target.id, second.stops) == ("shop/t1", False)


def rows_of(verifier: Verifier, plan: Plan, done: Sequence[str]) -> list[RolloutTarget]:
    """What a ledger would keep of a rollout."""
    return [
        RolloutTarget(
            number,
            0,
            target.id,
            target.bind.name,
            target.server.name,
            target.tenant,
            "r1",
            "r2",
            state="done" if target.tenant in done else "waiting",
            before=verifier.digests[target.id],
            after=verifier.after_digests.get(target.id, ""),
        )
        for number, target in enumerate(plan.targets)
    ]


def test_another_process_compares_with_what_the_first_one_did(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    fleet = Fleet.make(tmp_path, [any_database()], 6, "{}")
    first = Work(fleet)
    whole = first.plan()
    first.verifier.before(whole)
    assert list(first.run(first.plan("upgrade", "head", "t0", "t1"))) == []
    rows = rows_of(first.verifier, whole, ["t0", "t1"])

    second = Work(fleet)
    left = second.plan()
    second.verifier.remember(rows, left)
    assert second.verifier.digests == first.verifier.digests
    fleet.sql("t5", "ALTER TABLE {at}.items ADD COLUMN odd integer")
    (changed,) = second.verifier.again(left)
    assert (changed.target.id, changed.stops) == ("shop/t5", True)
    # Nobody remembers the shape that it had: it is read from one that still is like it.
    assert told([changed])[0][2] == ["table items: column odd is not expected"]
    wrong = list(second.run(left, second.meddler({"t2": ADD, "t3": ADD, "t4": ADD})))
    assert {one.target.id: one.like for one in wrong} == {
        f"shop/t{number}": "shop/t0" for number in (2, 3, 4, 5)
    }


def test_what_differs_is_told_when_no_target_is_as_it_was(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    """All the others have moved on, and the process that saw them before is gone."""
    fleet = Fleet.make(tmp_path, [any_database()], 3, "{}")
    first = Work(fleet)
    whole = first.plan()
    first.verifier.before(whole)
    assert list(first.run(first.plan("upgrade", "head", "t0", "t1"))) == []
    rows, kept = rows_of(first.verifier, whole, ["t0", "t1"]), first.verifier.kept

    second = Work(fleet)
    left = second.plan()
    second.verifier.remember(rows, left, kept)
    fleet.sql("t2", "ALTER TABLE {at}.items ADD COLUMN odd integer")
    (changed,) = second.verifier.again(left)
    assert told([changed])[0][2] == ["table items: column odd is not expected"]


def test_what_cannot_be_read_is_told(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    work = Work(Fleet.make(tmp_path, [pg_database()], 3, "{}"))
    plan = work.plan()
    work.fleet.sql("t1", "ALTER SCHEMA t1 RENAME TO elsewhere")
    (unread,) = work.verifier.before(plan)
    assert (unread.target.id, unread.differences, unread.stops) == ("shop/t1", (), False)
    assert unread.problem.startswith("its schema cannot be read: ")
    done = [Outcome(target, "done") for target in plan.targets]
    (after,) = work.verifier.after(done)
    assert (after.target.id, after.when, after.stops) == ("shop/t1", "after", True)
