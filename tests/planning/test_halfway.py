"""Targets that stopped inside a step: which plans may take them on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.fleet.state import FleetState
from orchestrator.fleet.types import State
from orchestrator.planning.cohorts import Routes, assemble, group
from orchestrator.planning.halfway import half_of, half_words
from orchestrator.planning.paths import Verb
from orchestrator.planning.planfile import plan_document, read_plan, write_plan
from orchestrator.planning.planfile_resume import Resumed, resume
from orchestrator.revisions.history import History
from orchestrator.safety.journal import Kind
from tests.planning.fleet import bind, compiled, goal, half_way, history, states, tenants

LINE = {"r1": None, "r2": "r1", "r3": "r2"}
AT_R1 = State("known", ("r1",))


def routes_of(
    root: Path, state: State, verb: Verb = "upgrade", to: str = "head", *, purge: bool = False
) -> Routes:
    """The routes of shop/a in this state, beside shop/b at the same revisions and at rest."""
    shop = bind("shop", root)
    targets = tenants(shop, ["a", "b"])
    past: dict[str, History] = {"shop": history(shop, LINE)}
    fleet = states(targets, [None, None])
    fleet = FleetState((state, replace(state, journal=(), detail="")), fleet.flavours)
    return group(targets, fleet, past, goal("shop", verb=verb, to=to), purge=purge)


def test_a_path_that_begins_with_the_step_goes_on(tmp_path: Path) -> None:
    routes = routes_of(tmp_path, half_way(AT_R1, "r2"))
    (route,) = routes.cohorts
    assert [target.tenant for target in route.targets] == ["a", "b"]
    assert route.continued == ("shop/a",)
    assert not routes.blocked
    plan = assemble(routes, [compiled(route.steps)])
    assert plan.cohorts[0].continued == ("shop/a",)


@pytest.mark.parametrize(
    ("state", "verb", "to", "todo"),
    [
        (half_way(AT_R1, "r2"), "downgrade", "base", "upgrade --bind shop --tenant a --to r2`"),
        (half_way(AT_R1, "r2"), "upgrade", "r1", "upgrade --bind shop --tenant a --to r2`"),
        (half_way(AT_R1, "r2"), "stamp", "r2", "upgrade --bind shop --tenant a --to r2`"),
        (half_way(AT_R1, "r3"), "upgrade", "head", "repair --bind shop --tenant a`"),
        (half_way(AT_R1, "r1", direction="downgrade"), "upgrade", "head", "a --resume`"),
        (
            half_way(State("known", ("r3",)), "r3", direction="downgrade"),
            "upgrade",
            "head",
            "a --resume`",
        ),
    ],
)
def test_any_other_way_is_blocked(
    tmp_path: Path, state: State, verb: Verb, to: str, todo: str
) -> None:
    routes = routes_of(tmp_path, state, verb, to)
    (blocked,) = routes.blocked
    assert blocked.target.tenant == "a"
    assert blocked.problem.where == "target shop/a"
    assert blocked.problem.what.startswith("it is half-way through `")
    assert blocked.problem.what.endswith("stopped in statement 2 of 3")
    assert todo in blocked.problem.todo
    assert [target.tenant for one in routes.cohorts for target in one.targets] == ["b"]


def test_a_purging_stamp_is_blocked_too(tmp_path: Path) -> None:
    routes = routes_of(tmp_path, half_way(AT_R1, "r1"), "stamp", "r1", purge=True)
    assert len(routes.blocked) == 1


def test_a_revision_that_is_gone_is_told_as_half_way(tmp_path: Path) -> None:
    state = half_way(State("known", ("gone",)), "gone", direction="downgrade")
    (blocked, other) = routes_of(tmp_path, state).blocked
    assert "half-way through `downgrade` of gone" in blocked.problem.what
    assert "no file for" in other.problem.what


def test_a_journal_that_cannot_be_read_is_no_rest(tmp_path: Path) -> None:
    (blocked,) = routes_of(tmp_path, replace(AT_R1, detail="no SELECT on journal")).blocked
    assert "half-way through a step: no SELECT on journal" in blocked.problem.what
    assert "SELECT on orchestrator_journal" in blocked.problem.todo
    assert blocked.state.revisions == ("r1",)


@pytest.mark.parametrize(
    ("begun", "kind", "words"),
    [
        (0, "ddl", "upgrade of r2 stopped before its first statement"),
        (2, "ddl", "upgrade of r2 stopped in statement 2 of 3"),
        (2, "data", "upgrade of r2 stopped behind statement 2 of 3"),
        (2, "refused", "upgrade of r2 stopped at statement 2 of 3, which the server refused"),
    ],
)
def test_words(begun: int, kind: Kind, words: str) -> None:
    half = half_of(half_way(AT_R1, "r2", begun=begun, kind=kind))
    assert half is not None
    assert half_words(half) == words


def taken_up(root: Path, state: State) -> Resumed:
    """A plan file from r1 to r3 for shop/a, taken up when it is in this state."""
    shop = bind("shop", root)
    targets = tenants(shop, ["a"])
    past = {"shop": history(shop, LINE)}
    routes = group(targets, states(targets, ["r1"]), past, goal("shop"))
    recorded = [compiled(routes.cohorts[0].steps)]
    file = read_plan(write_plan(plan_document(assemble(routes, recorded), root, {})), "p.json")
    now = FleetState((state,), states(targets, ["r1"]).flavours)
    wanted = [route.wanted for route in routes.cohorts]
    return resume(file, targets, now, wanted, recorded, name="p.json")


def test_a_plan_file_goes_on_inside_its_steps(tmp_path: Path) -> None:
    plan = taken_up(tmp_path, half_way(State("known", ("r2",)), "r3")).plan
    (cohort,) = plan.cohorts
    assert (cohort.state, cohort.continued) == (("r2",), ("shop/a",))


@pytest.mark.parametrize(
    "state",
    [
        half_way(AT_R1, "r3"),
        half_way(State("known", ("r3",)), "r3", direction="downgrade"),
        half_way(State("known", ("r9",)), "r10"),
    ],
)
def test_a_plan_file_goes_on_nowhere_else(tmp_path: Path, state: State) -> None:
    plan = taken_up(tmp_path, state).plan
    assert not plan.cohorts
    (blocked,) = plan.blocked
    assert "half-way through" in blocked.problem.what
