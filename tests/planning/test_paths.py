"""Destinations of commands, and the steps they mean for each target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.config import Config
from orchestrator.config.load import load_config
from orchestrator.errors import HistoryError, UsageError
from orchestrator.planning.paths import set_goal
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
