"""Plans in which each target goes back to where it was: grouped, written, and taken up again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.config import Wave
from orchestrator.fleet.types import Target
from orchestrator.planning.cohorts import Routes, assemble, group
from orchestrator.planning.paths import EACH, Goal, WayBack
from orchestrator.planning.plan import Plan
from orchestrator.planning.planfile import plan_document, read_plan, write_plan
from orchestrator.planning.planfile_resume import Resumed, resume, wanted_again
from orchestrator.planning.waves import backwards
from orchestrator.revisions.history import History
from orchestrator.revisions.types import Direction
from tests.planning.fleet import bind, compiled, history, states, tenants

LINE = {"r1": None, "r2": "r1", "r3": "r2", "r4": "r3"}

WAYS = {
    "a": WayBack((), ("r3",)),
    "b": WayBack(("r1",), ("r3",)),
    "c": WayBack(("r1",), ("r3",)),
    "d": WayBack(("r1",), ("r3",)),
    "e": WayBack(("r1",), ("r3",)),
    "f": WayBack(("r2",), ("r3",)),
    "g": WayBack(("r2",), ("r3",)),
}
NOW = {"a": "r3", "b": "r3", "c": "r2", "d": "r1", "e": "r4", "f": "r3", "g": None}


@dataclass(frozen=True)
class Back:
    """The revert of seven tenants. c: half the way back; d: where it was; e, g: moved since."""

    past: History
    targets: list[Target]
    routes: Routes
    plan: Plan

    def resumed(self, *at: str | None) -> Resumed:
        """Its plan file, taken up again with the tenants at these states."""
        file = read_plan(write_plan(plan_document(self.plan, Path("/"), {})), "plan.json")
        files = {("shop", one.revision): Path(one.path) for one in self.past.scripts()}
        wanted = wanted_again(file, files, "plan.json")
        again = [compiled(path.steps) for path in wanted]
        return resume(file, self.targets, states(self.targets, at), wanted, again, name="plan.json")


@pytest.fixture
def back(tmp_path: Path) -> Back:
    shop = bind("shop", tmp_path)
    past, targets = history(shop, LINE), tenants(shop, list(WAYS))
    ways = {f"shop/{name}": way for name, way in WAYS.items()}
    goal = Goal("downgrade", {"shop": EACH}, ways)
    routes = group(targets, states(targets, list(NOW.values())), {"shop": past}, goal)
    plan = assemble(routes, [compiled(route.steps) for route in routes.cohorts])
    return Back(past, targets, routes, plan)


def taken(plan: Plan) -> dict[str, list[str]]:
    """The steps of each target; all of them downgrades."""
    steps = {}
    for cohort in plan.cohorts:
        assert all(one.step.direction is Direction.DOWNGRADE for one in cohort.steps)
        for target in cohort.targets:
            steps[target.id.removeprefix("shop/")] = [one.step.revision for one in cohort.steps]
    return steps


def test_each_goes_back_to_where_it_was(back: Back) -> None:
    assert taken(back.plan) == {
        "a": ["r3", "r2", "r1"],
        "b": ["r3", "r2"],
        "c": ["r2"],
        "d": [],
        "f": ["r3"],
    }
    # One path for each state and way back.
    assert len(back.plan.cohorts) == 5


def test_those_that_were_moved_since_are_blocked(back: Back) -> None:
    told = {one.target.id: one.problem.what for one in back.plan.blocked}
    assert told == {
        "shop/e": "it stands at r4, which is not on the way from r1 to r3",
        "shop/g": "it stands at base, which is not on the way from r2 to r3",
    }


def test_the_plan_file_keeps_the_ways(back: Back) -> None:
    document = plan_document(back.plan, Path("/"), {})
    file = read_plan(write_plan(document), "plan.json")
    assert (file.verb, file.destinations) == ("downgrade", {"shop": EACH})
    assert {
        target: [step.revision for step in one.steps]
        for one in file.cohorts
        for target in one.targets
    } == {f"shop/{name}": steps for name, steps in taken(back.plan).items()}
    turned = Plan(back.plan.goal, back.plan.cohorts[::-1], back.plan.blocked)
    assert plan_document(turned, Path("/"), {})["digest"] == document["digest"]


def test_it_is_taken_up_again_on_the_way(back: Back) -> None:
    left = back.resumed("r1", "r3", None, "r1", "r4", "r2", None)
    assert taken(left.plan) == {"a": ["r1"], "b": ["r3", "r2"], "d": [], "f": []}
    told = {one.target.id: one.problem.what for one in left.plan.blocked}
    assert told == {
        "shop/c": "it stands at base, which is not on the plan's path from r2 to r1",
    }
    assert set(left.extra) == {"shop/e", "shop/g"}, "they were blocked, and not planned"


def test_waves_go_backwards(back: Back) -> None:
    waves = (Wave("canary"), Wave("empty"), Wave("rest"))
    places = {target.id: 0 if target.id in ("shop/a", "shop/b") else 2 for target in back.targets}
    found = backwards(back.targets, waves, places)
    assert [one.wave.name for one in found] == ["rest", "canary"]
    assert [{target.id[-1] for target in one.targets} for one in found] == [
        set("cdefg"),
        set("ab"),
    ]
    assert found == backwards(back.targets[::-1], waves, places)
