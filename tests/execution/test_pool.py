"""The pool: caps, turns, stopping. No server."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

from orchestrator.config import Bind, Server, Where
from orchestrator.execution.pool import ThreadPool, Work
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target

HERE = Where(Path("databases.yaml"), 1)


def server(name: str, cap: int = 8, host: str | None = None) -> Server:
    url = make_url(f"postgresql+psycopg2://u@{host or name}/x")
    return Server(name, url, HERE, max_connections=cap)


def targets(count: int, *servers: Server, bind: str = "shop") -> list[Target]:
    """So many on each server."""
    made = Bind(bind, HERE, {one.name: one for one in servers}, ())
    return [Target(made, one, f"{one.name}{number}") for one in servers for number in range(count)]


class Busy:
    """Work that counts how many of each server run at once."""

    def __init__(self, seconds: Callable[[Target], float]) -> None:
        self._guard = threading.Lock()
        self._seconds = seconds
        self._now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.most_in_all = 0

    def work(self, of: list[Target]) -> list[Work]:
        return [Work(target, partial(self.run, target)) for target in of]

    def run(self, target: Target) -> Outcome:
        url = target.server.migration_url
        assert url is not None
        host = str(url.host)
        with self._guard:
            self._now[host] += 1
            self.most[host] = max(self.most[host], self._now[host])
            self.most_in_all = max(self.most_in_all, self._now.total())
        time.sleep(self._seconds(target))
        with self._guard:
            self._now[host] -= 1
        return Outcome(target, "done")


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 12)), min_size=1, max_size=4),
    st.integers(1, 10),
)
def test_caps_are_never_exceeded_and_everything_runs_once(
    servers: list[tuple[int, int]], size: int
) -> None:
    wanted = [
        target
        for number, (cap, count) in enumerate(servers)
        for target in targets(count, server(f"s{number}", cap))
    ]
    busy = Busy(lambda _target: 0.001)
    outcomes = list(ThreadPool(size).run(busy.work(wanted)))
    assert sorted(one.target.id for one in outcomes) == sorted(one.id for one in wanted)
    assert busy.most_in_all <= size
    for number, (cap, _count) in enumerate(servers):
        assert busy.most[f"s{number}"] <= cap


def test_one_server_under_two_names_has_one_cap() -> None:
    """Two binds on it: the lower cap counts for both."""
    wanted = targets(10, server("a", 3, "db")) + targets(10, server("b", 5, "db"), bind="other")
    busy = Busy(lambda _target: 0.01)
    assert len(list(ThreadPool(8).run(busy.work(wanted)))) == 20
    assert busy.most["db"] == 3


def test_the_cap_is_used_to_the_full() -> None:
    busy = Busy(lambda _target: 0.05)
    assert len(list(ThreadPool(8).run(busy.work(targets(12, server("a", 4)))))) == 12
    assert busy.most["a"] == 4


def test_a_slow_server_does_not_hold_the_others() -> None:
    """It comes first, and could take every thread by itself."""
    busy = Busy(lambda target: 0.4 if target.server.name == "slow" else 0.002)
    wanted = targets(8, server("slow"), server("fast"))
    wanted += targets(40, server("fast"), bind="more")
    order = [one.target.server.name for one in ThreadPool(4).run(busy.work(wanted))]
    assert order[:40].count("slow") <= 4
    assert busy.most["slow"] <= 4


def test_servers_take_turns() -> None:
    """With one thread: none is finished before another has begun."""
    one_by_one = Busy(lambda _target: 0.0)
    wanted = targets(5, server("a"), server("b"), server("c"))
    order = [one.target.server.name for one in ThreadPool(3).run(one_by_one.work(wanted))]
    assert sorted(order) == ["a"] * 5 + ["b"] * 5 + ["c"] * 5
    assert {one_by_one.most[name] for name in "abc"} <= {1, 2, 3}


def test_what_has_not_begun_when_it_is_stopped_does_not_begin() -> None:
    pool = ThreadPool(2)
    began: list[str] = []

    def run(target: Target) -> Outcome:
        began.append(target.id)
        pool.stop()
        return Outcome(target, "done")

    wanted = targets(20, server("a"))
    outcomes = list(pool.run([Work(one, partial(run, one)) for one in wanted]))
    results = Counter(one.result for one in outcomes)
    assert results["done"] == len(began) <= 2
    assert results["not-started"] == 20 - len(began)
    assert pool.stopping


def test_a_hold_starts_nothing_new_and_stops_nothing() -> None:
    pool = ThreadPool(2)
    began: list[str] = []

    def run(target: Target) -> Outcome:
        began.append(target.id)
        pool.hold()
        return Outcome(target, "not-started" if pool.stopping else "done")

    wanted = targets(20, server("a"))
    outcomes = list(pool.run([Work(one, partial(run, one)) for one in wanted]))
    results = Counter(one.result for one in outcomes)
    assert results["done"] == len(began) <= 2
    assert results["not-started"] == 20 - len(began)
    assert pool.closed
    assert not pool.stopping


def test_the_taker_hears_ticks_while_it_waits() -> None:
    heard: list[str] = []
    pool = ThreadPool(1, lambda: heard.append(threading.current_thread().name))
    busy = Busy(lambda _target: 0.35)
    assert len(list(pool.run(busy.work(targets(1, server("a")))))) == 1
    assert heard
    assert set(heard) == {threading.current_thread().name}


def test_a_defect_reaches_the_caller_and_stops_the_rest() -> None:
    pool = ThreadPool(2)
    began: list[str] = []

    def run(target: Target) -> Outcome:
        began.append(target.id)
        if len(began) == 3:
            raise KeyError("a defect")
        time.sleep(0.01)
        return Outcome(target, "done")

    work = [Work(one, partial(run, one)) for one in targets(100, server("a"))]
    with pytest.raises(KeyError, match="a defect"):
        list(pool.run(work))
    assert pool.stopping
    assert len(began) < 100


def test_no_work_is_no_wait() -> None:
    assert list(ThreadPool(4).run([])) == []


def test_threads_end_with_their_work() -> None:
    busy = Busy(lambda _target: 0.0)
    list(ThreadPool(6).run(busy.work(targets(6, server("a"), server("b", 1)))))
    end = time.monotonic() + 5
    while any(one.name.startswith("orchestrator-") for one in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)
