"""Waves: every target in exactly one, in an order that depends on nothing but the targets."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import Rollout, Wave
from orchestrator.fleet.types import Target
from orchestrator.planning.waves import WavePlan, budget, split
from tests.planning.fleet import bind, server

ROOT = Path("project")
SERVERS = tuple(server(name, f"postgresql+psycopg2://u@{name}/x") for name in ("eu", "us", "ap"))


def shop(
    count: int, name: str = "shop", tiers: Mapping[int, str] | None = None, **options: object
) -> list[Target]:
    """Tenants of one bind, on three servers in turn."""
    its = bind(name, ROOT, SERVERS, **options)
    return [
        Target(
            its,
            SERVERS[number % 3],
            f"t{number}",
            f"t{number}",
            labels={"tier": (tiers or {}).get(number, "free")},
        )
        for number in range(count)
    ]


def counts(waves: tuple[WavePlan, ...]) -> dict[str, int]:
    return {one.wave.name: len(one.targets) for one in waves}


def ids(waves: tuple[WavePlan, ...]) -> list[list[str]]:
    return [[target.id for target in one.targets] for one in waves]


def test_one_then_a_tenth_then_the_rest() -> None:
    rollout = Rollout(waves=(Wave("canary", count=1), Wave("tenth", percent=10), Wave("more")))
    assert counts(split(shop(2000), rollout, {})) == {"canary": 1, "tenth": 200, "more": 1799}


def test_without_waves_there_is_one() -> None:
    assert counts(split(shop(5), Rollout(), {})) == {"all": 5}


def test_what_no_wave_takes_comes_last() -> None:
    rollout = Rollout(waves=(Wave("rest", count=2), Wave("rest-2", count=1)))
    assert counts(split(shop(5), rollout, {})) == {"rest": 2, "rest-2": 1, "rest-3": 2}
    assert counts(split(shop(3), rollout, {})) == {"rest": 2, "rest-2": 1}
    assert counts(split(shop(1), rollout, {})) == {"rest": 1, "rest-2": 0}


def test_shares_are_of_those_that_match_and_rounded_up() -> None:
    tiers = dict.fromkeys(range(7), "pro")
    waves = (
        Wave("one", {"tier": ("pro",)}, percent=50),
        Wave("other", {"tier": ("pro",)}, percent=50),
        Wave("little", percent=0.1),
    )
    assert counts(split(shop(100, tiers=tiers), Rollout(waves=waves), {})) == {
        "one": 4,
        "other": 3,
        "little": 1,
        "rest": 92,
    }
    # 0.1 % of 1,000, and not a little more because 0.1 is none in binary.
    exact = Rollout(waves=(Wave("little", percent=0.1),))
    assert counts(split(shop(1000), exact, {}))["little"] == 1


def test_a_target_is_in_the_first_wave_that_matches() -> None:
    tiers = {0: "internal", 1: "internal", 2: "pro"}
    waves = (
        Wave("canary", {"tier": ("internal", "pro"), "tenant": ("t[01]",)}),
        Wave("eu", {"server": ("e*",)}),
        Wave("others", {"bind": ("sh?p",)}, count=3),
        Wave("none", {"tenant": ("T*",)}),
        Wave("nor", {"region": ("*",)}),
    )
    found = split(shop(9, tiers=tiers), Rollout(waves=waves), {})
    assert counts(found) == {"canary": 2, "eu": 2, "others": 3, "none": 0, "nor": 0, "rest": 2}
    assert set(ids(found)[0]) == {"shop/t0@eu", "shop/t1@us"}
    assert {target.server.name for target in found[1].targets} == {"eu"}


def test_a_reserved_name_is_no_label() -> None:
    its = bind("main", ROOT)
    target = Target(its, its.servers["one"], labels={"bind": "label", "tenant": "label"})
    waves = (Wave("by-label", {"bind": ("label",)}), Wave("no-tenant", {"tenant": ("*",)}))
    rollout = Rollout(waves=(*waves, Wave("by-bind", {"bind": ("main",)})))
    found = split([target], rollout, {})
    assert counts(found) == {"by-label": 0, "no-tenant": 0, "by-bind": 1}


def test_a_few_are_spread_over_servers() -> None:
    # As a rule most tenants are on one server.
    targets = [one for one in shop(300) if one.server.name == "eu" or int(one.id[6:-3]) < 60]
    rollout = Rollout(waves=(Wave("few", count=30),))
    few, rest = split(targets, rollout, {})
    assert Counter(one.server.name for one in few.targets) == {"eu": 10, "us": 10, "ap": 10}
    for wave in (few, rest):
        assert len({one.server.name for one in wave.targets[:3]}) == 3


def test_one_server_under_two_names_is_one() -> None:
    here = (server("one", "postgresql+psycopg2://u@h/a"), server("two", "postgresql://u@h/b"))
    other = server("three", "postgresql+psycopg2://u@other/a")
    its = bind("shop", ROOT, (*here, other))
    targets = [
        Target(its, one, f"{one.name}{n}", "s") for one in its.servers.values() for n in "ab"
    ]
    few, _rest = split(targets, Rollout(waves=(Wave("few", count=2),)), {})
    assert len({one.server.url.host for one in few.targets if one.server.url}) == 2


def fleet() -> list[Target]:
    """A shared bind, one that depends on it, and one of tenants that depends on that one."""
    main, audit = bind("main", ROOT), bind("audit", ROOT)
    return [
        *shop(10, depends_on=("audit",)),
        Target(audit, audit.servers["one"]),
        Target(main, main.servers["one"]),
    ]


DEPENDS = {"shop": ("audit",), "audit": ("main",), "main": ()}


def test_what_others_depend_on_is_pulled_forward() -> None:
    rollout = Rollout(waves=(Wave("none", {"x": ("y",)}), Wave("canary", {"bind": ("shop",)}, 20)))
    none, canary, rest = split(fleet(), rollout, DEPENDS)
    assert none.targets == ()
    assert canary.pulled == {"audit", "main"}
    assert {one.bind.name for one in canary.targets} == {"shop", "audit", "main"}
    assert len(canary.targets) == 4
    assert (rest.pulled, {one.bind.name for one in rest.targets}) == (frozenset(), {"shop"})


def test_a_bind_between_may_have_no_target() -> None:
    some = [target for target in fleet() if target.bind.name != "audit"]
    rollout = Rollout(waves=(Wave("canary", {"bind": ("shop",)}, count=1),))
    canary, _rest = split(some, rollout, DEPENDS)
    assert canary.pulled == {"main"}


def test_what_is_early_enough_stays() -> None:
    rollout = Rollout(waves=(Wave("first", {"bind": ("main", "audit")}), Wave("then")))
    first, then = split(fleet(), rollout, DEPENDS)
    assert (len(first.targets), len(then.targets)) == (2, 10)
    assert first.pulled | then.pulled == frozenset()


@pytest.mark.parametrize(
    ("written", "targets", "most"),
    [
        ("0", 2000, 0),
        ("3", 2, 3),
        ("1%", 2000, 20),
        ("1%", 99, 0),
        ("2.5%", 40, 1),
        ("0.1%", 1000, 1),
        ("100%", 7, 7),
        ("5 %", 100, 5),
    ],
)
def test_a_budget(written: str, targets: int, most: int) -> None:
    assert budget(written, targets) == most


names = st.sampled_from(("tier", "tenant", "server", "bind", "other"))
globs = st.sampled_from(("*", "t1*", "eu", "[eu]*", "shop", "free", "internal", "?", "main"))
waves = st.lists(
    st.builds(
        Wave,
        name=st.text("abc", min_size=1, max_size=2),
        select=st.dictionaries(names, st.lists(globs, min_size=1, max_size=2).map(tuple)),
        percent=st.none() | st.floats(0.1, 100, allow_nan=False),
        count=st.none() | st.integers(1, 20),
    ).filter(lambda wave: wave.percent is None or wave.count is None),
    max_size=5,
    unique_by=lambda wave: wave.name,
)
_BINDS = ("shop", "main", "audit", "away")


def _without_cycles(needs: dict[str, list[str]]) -> dict[str, list[str]]:
    """databases.yaml has none: a bind needs only those behind it here."""
    return {
        name: [other for other in others if _BINDS.index(other) > _BINDS.index(name)]
        for name, others in needs.items()
    }


depends = st.dictionaries(
    st.sampled_from(_BINDS), st.lists(st.sampled_from(_BINDS), max_size=2)
).map(_without_cycles)


@given(waves, depends, st.integers(0, 40), st.randoms())
def test_every_target_is_in_one_wave(
    some: list[Wave], needs: dict[str, list[str]], count: int, chance: random.Random
) -> None:
    targets = [*shop(count, tiers=dict.fromkeys(range(0, count, 3), "internal")), *fleet()[10:]]
    rollout = Rollout(waves=tuple(some))
    found = split(targets, rollout, needs)
    taken = [target.id for one in found for target in one.targets]
    assert sorted(taken) == sorted(target.id for target in targets)
    assert [one.wave for one in found][: len(some)] == some
    assert len(found) <= len(some) + 1
    chance.shuffle(targets)
    assert split(targets, rollout, needs) == found, "the order in which they come is no matter"
    for one in found:
        assert one.pulled <= {target.id for target in one.targets}
    for name, others in needs.items():
        first = {
            bind_name: next(
                (
                    number
                    for number, one in enumerate(found)
                    if any(target.bind.name == bind_name for target in one.targets)
                ),
                None,
            )
            for bind_name in (name, *others)
        }
        start = first[name]
        for other in others:
            last = max(
                (
                    number
                    for number, one in enumerate(found)
                    if any(target.bind.name == other for target in one.targets)
                ),
                default=None,
            )
            if start is not None and last is not None:
                assert last <= start, f"{name} needs {other}"


@given(st.integers(1, 60), st.floats(0.1, 100, allow_nan=False))
def test_one_tenant_more_moves_few(count: int, percent: float) -> None:
    rollout = Rollout(waves=(Wave("some", percent=percent),))
    before = set(ids(split(shop(count), rollout, {}))[0])
    after = set(ids(split(shop(count + 1), rollout, {}))[0])
    assert len(before - after) <= 1
