"""From targets and states to cohorts: who shares a path, who has none, and how fast."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from orchestrator.config import Flavour
from orchestrator.fleet.state import FleetState
from orchestrator.fleet.types import State, Target
from orchestrator.planning.cohorts import assemble, group
from orchestrator.planning.plan import Plan
from tests.planning.fleet import bind, compiled, goal, history, server, states, tenants

LINE = {"r1": None, "r2": "r1", "r3": "r2"}


def test_targets_of_one_state_share_a_path(tmp_path: Path) -> None:
    shop = bind("shop", tmp_path)
    past = history(shop, LINE)
    targets = tenants(shop, ["a", "b", "c", "d"])
    routes = group(targets, states(targets, [None, "r1", None, "r3"]), {"shop": past}, goal("shop"))
    assert [
        (one.state, [step.revision for step in one.steps], [t.tenant for t in one.targets])
        for one in routes.cohorts
    ] == [
        ((), ["r1", "r2", "r3"], ["a", "c"]),
        (("r1",), ["r2", "r3"], ["b"]),
        (("r3",), [], ["d"]),
    ]
    assert not routes.blocked


def test_flavours_and_dialects_are_cohorts_of_their_own(tmp_path: Path) -> None:
    servers = [
        server("old", "mysql+pymysql://u@old/x"),
        server("new", "mysql+pymysql://u@new/x"),
        server("named", "mariadb+pymysql://u@named/x"),
    ]
    shop = bind("shop", tmp_path, servers)
    past = history(shop, LINE)
    targets = [one for name in ("old", "new", "named") for one in tenants(shop, ["a"], name)]
    flavours = {
        ("shop", "old"): Flavour("mysql", (8, 4, 3)),
        ("shop", "new"): Flavour("mysql", (8, 4, 7)),
        ("shop", "named"): Flavour("mariadb", (10, 11, 6)),
    }
    routes = group(targets, states(targets, [None] * 3, flavours), {"shop": past}, goal("shop"))
    assert [
        (str(one.flavour), one.dialect, [t.server.name for t in one.targets])
        for one in routes.cohorts
    ] == [("mariadb-10.11", "mariadb", ["named"]), ("mysql-8.4", "mysql", ["old", "new"])]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State("denied", detail="no USAGE"), "denied: no USAGE"),
        (State("unreachable", detail="timeout"), "unreachable: timeout"),
        (State("known", ("zz",)), "it stands at zz, which bind shop has no file for"),
        (State("missing"), "the schema t_a does not exist"),
    ],
)
def test_a_target_without_a_path_stops_no_other(tmp_path: Path, state: State, said: str) -> None:
    shop = bind("shop", tmp_path)
    past = history(shop, LINE)
    targets = tenants(shop, ["a", "b"])
    fleet = states(targets, [None, None])
    fleet = FleetState((state, fleet.states[1]), fleet.flavours)
    routes = group(targets, fleet, {"shop": past}, goal("shop"))
    (blocked,) = routes.blocked
    assert (blocked.target.tenant, blocked.problem.what, blocked.state) == ("a", said, state)
    assert blocked.problem.where == "target shop/a"
    assert blocked.problem.todo
    assert [t.tenant for one in routes.cohorts for t in one.targets] == ["b"]


def test_what_will_be_made_is_counted(tmp_path: Path) -> None:
    shop = bind("shop", tmp_path, create=True)
    past = history(shop, LINE)
    targets = tenants(shop, ["a", "b"])
    fleet = states(targets, [None, None])
    fleet = FleetState((State("missing"), fleet.states[1]), fleet.flavours)
    (route,) = group(targets, fleet, {"shop": past}, goal("shop")).cohorts
    assert (len(route.targets), route.missing) == (2, 1)


def test_a_server_of_another_flavour_than_declared_is_refused(tmp_path: Path) -> None:
    shop = bind("shop", tmp_path, flavour=Flavour("mysql", (8, 4)))
    past = history(shop, LINE)
    targets = tenants(shop, ["a"])
    (blocked,) = group(targets, states(targets, [None]), {"shop": past}, goal("shop")).blocked
    assert "its server is postgresql-16" in blocked.problem.what


def test_binds_that_take_no_part_are_left_out(tmp_path: Path) -> None:
    shop, main = bind("shop", tmp_path), bind("main", tmp_path)
    histories = {"shop": history(shop, LINE), "main": history(main, LINE)}
    targets = [*tenants(main, ["m"]), *tenants(shop, ["a"])]
    routes = group(targets, states(targets, [None, None]), histories, goal("shop"))
    assert [one.bind for one in routes.cohorts] == ["shop"]


def test_purge_plans_from_nothing(tmp_path: Path) -> None:
    shop = bind("shop", tmp_path)
    targets = tenants(shop, ["a"])
    routes = group(
        targets,
        states(targets, ["zz"]),
        {"shop": history(shop, LINE)},
        goal("shop", verb="stamp"),
        purge=True,
    )
    assert [one.state for one in routes.cohorts] == [()]
    assert not routes.blocked


def test_a_plan_joins_paths_and_recordings(tmp_path: Path) -> None:
    shop = bind("shop", tmp_path)
    targets = tenants(shop, ["a"])
    routes = group(targets, states(targets, ["r1"]), {"shop": history(shop, LINE)}, goal("shop"))
    plan = assemble(routes, [compiled(routes.cohorts[0].steps, live=["r3"])])
    (cohort,) = plan.moving
    assert [(one.step.revision, one.live, one.statements) for one in cohort.steps] == [
        ("r2", False, 1),
        ("r3", True, 0),
    ]
    assert cohort.steps[0].source == "digest of r2"
    assert isinstance(plan, Plan)


def planned_fleet(root: Path, size: int) -> Plan:
    """A plan of this many targets, made with their own objects, in fifty states."""
    shop = bind("shop", root, [server(f"s{number}") for number in range(10)])
    revisions: dict[str, str | tuple[str, ...] | None] = {"r0": None}
    revisions |= {f"r{number}": f"r{number - 1}" for number in range(1, 60)}
    past = history(shop, revisions)
    targets = [
        Target(shop, shop.servers[f"s{number % 10}"], f"t{number}", f"t{number}", None, {})
        for number in range(size)
    ]
    fleet = states(targets, [f"r{number % 50}" for number in range(size)])
    routes = group(targets, fleet, {"shop": past}, goal("shop"))
    return assemble(routes, [compiled(one.steps) for one in routes.cohorts])


def test_a_hundred_thousand_targets_are_planned_in_seconds(tmp_path: Path) -> None:
    start = time.process_time()
    plan = planned_fleet(tmp_path, 100_000)
    seconds = time.process_time() - start
    assert len(plan.cohorts) == 50
    assert sum(len(one.targets) for one in plan.cohorts) == 100_000
    assert seconds < 10


def test_memory_is_a_line_a_target(tmp_path: Path) -> None:
    """A tenth of 100,000 targets takes less than a tenth of 600 MB, with all they start with."""
    tracemalloc.start()
    plan = planned_fleet(tmp_path, 10_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert plan.cohorts
    assert peak < 60e6
