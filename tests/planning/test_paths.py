"""Destinations of commands, and the steps they mean for each target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.config import Config
from orchestrator.config.load import load_config
from orchestrator.errors import HistoryError, UsageError
from orchestrator.fleet.targets import all_targets
from orchestrator.fleet.types import State
from orchestrator.planning.paths import TargetPlan, Verb, plan_targets, set_goal
from orchestrator.revisions.history import History, load_histories
from orchestrator.revisions.tree import alembic_config
from tests.cli.small import small_project

Loaded = tuple[Config, Mapping[str, History]]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """main: main1 -> main2. shop: shop1 -> shop2. split: two heads."""
    project = small_project(
        tmp_path,
        """
        apps: {packages: [apps]}
        default_bind: main
        binds:
          main: {url: "postgresql://h/x"}
          shop: {url: "postgresql://h/y", tenancy: schema, tenants: {list: [a, b]}}
          split: {url: "postgresql://h/z"}
        """,
    )
    for bind in ("main", "shop"):
        project.revision(bind, f"{bind}1")
        project.revision(bind, f"{bind}2", after=f"{bind}1")
    project.revision("split", "left", more='branch_labels = "west"\n')
    project.revision("split", "right")
    config = load_config(tmp_path / "databases.yaml")
    return config, load_histories(config, alembic_config(config))


def two(loaded: Loaded) -> dict[str, History]:
    return {name: loaded[1][name] for name in ("main", "shop")}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (("head",), {"main": "head", "shop": "head"}),
        (("+1",), {"main": "+1", "shop": "+1"}),
        (("main1",), {"main": "main1"}),
        (("shop1", "main2"), {"shop": "shop1", "main": "main2"}),
        (("main:main1", "head"), {"main": "main1", "shop": "head"}),
        (("shop:head-1",), {"shop": "head-1"}),
    ],
)
def test_a_destination_is_for_every_bind_that_knows_it(
    loaded: Loaded, written: tuple[str, ...], expected: dict[str, str]
) -> None:
    assert dict(set_goal(loaded[0], two(loaded), "upgrade", written).destinations) == expected


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("zzzz", ["no such revision: zzzz"]),
        ("main:shop1", ["no such revision: shop1"]),
        ("main:", ["no such revision: "]),
        ("mian:head", ["there is no bind 'mian'; did you mean 'main'?"]),
        ("split:heads", ["split:heads is for bind split, which the selection leaves out"]),
    ],
)
def test_destinations_that_mean_nothing(loaded: Loaded, written: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        set_goal(loaded[0], two(loaded), "upgrade", [written])
    assert [one.what for one in caught.value.problems] == words


def test_several_heads(loaded: Loaded) -> None:
    with pytest.raises(HistoryError, match="it has 2 heads: left, right"):
        set_goal(loaded[0], loaded[1], "upgrade", ["head"])
    goal = set_goal(loaded[0], loaded[1], "upgrade", ["split:west@head"])
    assert dict(goal.destinations) == {"split": "west@head"}
    set_goal(loaded[0], loaded[1], "upgrade", ["heads"])


def test_nothing_selected(loaded: Loaded) -> None:
    assert dict(set_goal(loaded[0], {}, "upgrade", ["head"]).destinations) == {}


def plans(
    loaded: Loaded, verb: Verb, written: str, *states: State, purge: bool = False
) -> list[TargetPlan]:
    config, histories = loaded
    targets = all_targets(config, [config.binds["shop"]])
    goal = set_goal(config, {"shop": histories["shop"]}, verb, [written])
    return list(plan_targets(targets, states, histories, goal, purge=purge))


def test_each_target_from_where_it_is(loaded: Loaded) -> None:
    one, other = plans(loaded, "upgrade", "head", State("missing"), State("known", ("shop1",)))
    assert [step.revision for step in one.steps] == ["shop1", "shop2"]
    assert [step.revision for step in other.steps] == ["shop2"]
    one, other = plans(
        loaded, "downgrade", "base", State("no-version-table"), State("known", ("shop2",))
    )
    assert one.steps == ()
    assert one.problem is None
    assert [step.revision for step in other.steps] == ["shop2", "shop1"]


def test_a_target_that_cannot_be_planned_hides_no_other(loaded: Loaded) -> None:
    good = State("known", ("shop1",))
    for bad, words in (
        (State("denied", detail="no USAGE"), "denied: no USAGE"),
        (State("unreachable", detail="refused"), "unreachable: refused"),
        (State("known", ("gone",)), "it stands at gone, which bind shop has no file for"),
        (State("known", ("shop1", "shop2")), "overlaps with other requested revisions"),
    ):
        first, second = plans(loaded, "upgrade", "head", bad, good)
        assert first.problem is not None
        assert words in first.problem.what
        assert first.problem.where == "target shop/a"
        assert first.steps == ()
        assert second.problem is None
        assert [step.revision for step in second.steps] == ["shop2"]


def test_purge_forgets_what_nobody_knows(loaded: Loaded) -> None:
    lost = State("known", ("gone",))
    first, _ = plans(loaded, "stamp", "head", lost, lost, purge=True)
    assert first.problem is None
    assert [step.revision for step in first.steps] == ["shop2"]


def test_binds_that_take_no_part_have_no_plan(loaded: Loaded) -> None:
    config, histories = loaded
    targets = all_targets(config, config.binds.values())
    goal = set_goal(config, histories, "upgrade", ["main:head"])
    found = plan_targets(targets, [State("known")] * len(targets), histories, goal)
    assert [plan.target.id for plan in found] == ["main"]
