"""The plan file, written and read, and taken up again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orchestrator.config import Flavour
from orchestrator.errors import UsageError
from orchestrator.fleet.state import FleetState
from orchestrator.fleet.types import State, Target
from orchestrator.planning.cohorts import assemble, group
from orchestrator.planning.planfile import PlanFile, plan_document, read_plan, write_plan
from orchestrator.planning.planfile_resume import Resumed, resume, wanted_again
from orchestrator.revisions.history import History
from orchestrator.revisions.recordings import Compiled
from tests.planning.fleet import bind, compiled, goal, history, states, tenants

LINE = {"r1": None, "r2": "r1", "r3": "r2"}


@dataclass(frozen=True)
class Planned:
    """A plan file of five tenants: a, b, c at base, d at r1, e at head; r2 is live."""

    file: PlanFile
    text: str
    targets: list[Target]
    past: History

    def resume(
        self,
        revisions: Sequence[str | None],
        *,
        strict: bool = False,
        targets: Sequence[Target] | None = None,
        fleet: FleetState | None = None,
        text: str = "CREATE TABLE {} (i int)",
        live: Sequence[str] = ("r2",),
        source: str = "",
        whole: bool = True,
    ) -> Resumed:
        files = {("shop", one.revision): Path(one.path) for one in self.past.scripts()}
        wanted = wanted_again(self.file, files, "plan.json")
        now: list[tuple[Compiled, ...]] = [
            tuple(
                replace(one, source=source or one.source)
                for one in compiled(path.steps, live, text)
            )
            for path in wanted
        ]
        chosen = self.targets if targets is None else targets
        return resume(
            self.file,
            chosen,
            fleet or states(chosen, revisions),
            wanted,
            now,
            name="plan.json",
            strict=strict,
            whole=whole,
        )


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    shop = bind("shop", tmp_path)
    past = history(shop, LINE)
    targets = tenants(shop, ["a", "b", "c", "d", "e"])
    now = states(targets, [None, None, None, "r1", "r3"])
    routes = group(targets, now, {"shop": past}, goal("shop"))
    plan = assemble(routes, [compiled(one.steps, live=["r2"]) for one in routes.cohorts])
    text = write_plan(plan_document(plan, tmp_path, {"binds": ["shop"]}))
    return Planned(read_plan(text, "plan.json"), text, targets, past)


def left(resumed: Resumed) -> dict[str, list[str]]:
    """The steps that each target still takes."""
    return {
        str(target.tenant): [one.step.revision for one in cohort.steps]
        for cohort in resumed.plan.cohorts
        for target in cohort.targets
    }


def test_a_file_is_read_as_it_was_written(planned: Planned, tmp_path: Path) -> None:
    file = planned.file
    assert file.verb == "upgrade"
    assert file.selection == {"binds": ["shop"]}
    assert [(one.state, one.targets) for one in file.cohorts] == [
        ((), ("shop/a", "shop/b", "shop/c")),
        (("r1",), ("shop/d",)),
        (("r3",), ("shop/e",)),
    ]
    first, second, third = file.cohorts[0].steps
    assert (first.revision, first.file, first.live) == ("r1", "versions/shop/r1.py", False)
    assert first.segments[0].statements == ("CREATE TABLE r1 (i int)",)
    assert (second.live, second.segments) == (True, ())
    assert third.message == "message of r3"
    assert str(tmp_path) not in json.dumps({**json.loads(planned.text), "live": None})


def test_the_order_of_targets_does_not_change_the_digest(planned: Planned, tmp_path: Path) -> None:
    order = [4, 2, 0, 3, 1]
    targets = [planned.targets[number] for number in order]
    revisions = [None, None, None, "r1", "r3"]
    now = states(targets, [revisions[number] for number in order])
    routes = group(targets, now, {"shop": planned.past}, goal("shop"))
    plan = assemble(routes, [compiled(one.steps, live=["r2"]) for one in routes.cohorts])
    assert plan_document(plan, tmp_path, {})["digest"] == planned.file.digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data["cohorts"][0]["targets"].append("shop/x"), "digest"),
        (lambda data: data["paths"][0]["steps"].pop(), "digest"),
        (lambda data: data.update(format=9), "format 9"),
        (lambda data: data.pop("digest"), "no plan file"),
    ],
)
def test_an_edited_file_is_refused(planned: Planned, change: object, said: str) -> None:
    data = json.loads(planned.text)
    change(data)  # type: ignore[operator]
    with pytest.raises(UsageError, match=said) as caught:
        read_plan(json.dumps(data), "plan.json")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "\x00"])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"plan\.json"):
        read_plan(text, "plan.json")


def test_a_reader_may_add_words_of_his_own(planned: Planned) -> None:
    data = json.loads(planned.text) | {"approved by": "the DBA"}
    assert read_plan(json.dumps(data), "plan.json") == planned.file


def test_the_first_run_takes_everything(planned: Planned) -> None:
    resumed = planned.resume([None, None, None, "r1", "r3"])
    assert left(resumed) == {
        "a": ["r1", "r2", "r3"],
        "b": ["r1", "r2", "r3"],
        "c": ["r1", "r2", "r3"],
        "d": ["r2", "r3"],
        "e": [],
    }
    assert resumed.passed == 0
    assert not resumed.differences
    assert planned.resume([None, None, None, "r1", "r3"], strict=True) == resumed


def test_a_second_run_continues_and_skips(planned: Planned) -> None:
    resumed = planned.resume(["r3", "r2", None, "r3", "r3"])
    assert left(resumed) == {"a": [], "b": ["r3"], "c": ["r1", "r2", "r3"], "d": [], "e": []}
    assert resumed.passed == 3
    states_now = {cohort.targets[0].tenant: cohort.state for cohort in resumed.plan.cohorts}
    assert states_now["b"] == ("r2",)


def test_a_target_elsewhere_is_refused_alone(planned: Planned) -> None:
    resumed = planned.resume(["zz", None, None, None, "r1"])
    assert {one.target.tenant: one.problem.what for one in resumed.plan.blocked} == {
        "a": "it stands at zz, which is not on the plan's path from base to r3",
        "d": "it stands at base, which is not on the plan's path from r1 to r3",
        "e": "it stands at r1, which is not on the plan's path from r3 to r3",
    }
    assert {one.problem.todo.partition(" (")[0] for one in resumed.plan.blocked} == {
        "Take it to a state of that path"
    }
    assert sorted(left(resumed)) == ["b", "c"]


def test_a_place_that_is_gone_is_said(planned: Planned) -> None:
    """A plan that begins at base makes it, where the bind says so; any other cannot."""
    fleet = FleetState((State("missing", detail="no schema"),) * 5)
    resumed = planned.resume([], fleet=fleet)
    problems = {one.target.tenant: one.problem for one in resumed.plan.blocked}
    assert sorted(map(str, problems)) == ["d", "e"]
    place = planned.targets[3].schema
    assert problems["d"].what == (
        f"the schema {place} does not exist, and the plan takes it from r1 to r3"
    )
    assert problems["d"].todo.startswith("Bring it back as it was")


def test_targets_that_came_and_went_are_listed(planned: Planned) -> None:
    new = tenants(planned.targets[0].bind, ["new"])
    targets = [*planned.targets[1:], *new]
    revisions = [None, None, "r1", "r3", None]
    resumed = planned.resume(revisions, targets=targets)
    assert (resumed.extra, resumed.gone) == (("shop/new",), ("shop/a",))
    assert "new" not in left(resumed)
    assert not resumed.plan.blocked
    narrowed = planned.resume([None], targets=planned.targets[1:2], whole=False)
    assert narrowed.gone == ()


def test_another_flavour_is_refused(planned: Planned) -> None:
    fleet = states(
        planned.targets,
        [None, None, None, "r1", "r3"],
        {("shop", "one"): Flavour("postgresql", (17, 1))},
    )
    resumed = planned.resume([], fleet=fleet)
    assert not resumed.plan.cohorts
    assert "postgresql-17 now" in resumed.plan.blocked[0].problem.what


def test_a_server_that_does_not_answer_is_said(planned: Planned) -> None:
    fleet = FleetState((State("unreachable", detail="gone"),) * 5)
    resumed = planned.resume([], fleet=fleet)
    assert {one.problem.what for one in resumed.plan.blocked} == {"unreachable: gone"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": "CREATE TABLE {} (j int)"}, "its statements are not those"),
        ({"source": "another digest"}, "the revision file is not the one"),
        ({"live": ()}, "the step is compiled now"),
        ({"live": ("r1", "r2")}, "the step is live now"),
    ],
)
def test_changed_files_and_statements_refuse_all(
    planned: Planned, change: Mapping[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        planned.resume([None, None, None, "r1", "r3"], **change)  # type: ignore[arg-type]
    assert "versions/shop/r" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_that_is_gone_refuses_all(planned: Planned) -> None:
    with pytest.raises(UsageError, match=r"takes revision r2, .*versions/shop/r2\.py is not there"):
        wanted_again(planned.file, {("shop", "r1"): Path(), ("shop", "r3"): Path()}, "plan.json")


@pytest.mark.parametrize(
    "revisions",
    [["r1", None, None, "r1", "r3"], ["zz", None, None, "r1", "r3"]],
)
def test_strict_refuses_any_difference(planned: Planned, revisions: Sequence[str | None]) -> None:
    with pytest.raises(UsageError):
        planned.resume(revisions, strict=True)


def test_strict_refuses_targets_that_came_or_went(planned: Planned) -> None:
    with pytest.raises(UsageError, match="shop/e: in the plan, and not in the fleet"):
        planned.resume([None, None, None, "r1"], targets=planned.targets[:4], strict=True)
