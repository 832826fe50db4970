"""How long a target is waited for, under a clock that only sleeping moves. No server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import Bind, Where
from orchestrator.execution.patience import Patience
from orchestrator.execution.replay.types import Locked, Moved, ReplayFailed

HERE = Where(Path("databases.yaml"), 1)


@dataclass
class Time:
    """Moves when somebody sleeps; after `stops_at` the run is being stopped, and wakes sleepers."""

    stops_at: float = 1e9
    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now = min(self.now + seconds, max(self.now, self.stops_at))

    def patience(self, **bind: Any) -> Patience:
        return Patience(
            Bind("main", HERE, {}, (), **bind),
            lambda: self.now >= self.stops_at,
            self.told.append,
            self.pause,
            clock=lambda: self.now,
        )


def passes() -> ReplayFailed:
    return ReplayFailed("too long a wait", lost=False, passing="lock timeout")


def failing(*errors: Exception) -> Callable[[], str]:
    """Work that fails so often, and is then done."""
    left: Iterator[Exception] = iter(errors)

    def work() -> str:
        for error in left:
            raise error
        return "done"

    return work


def always(error: Callable[[], Exception]) -> Callable[[], str]:
    def work() -> str:
        raise error()

    return work


def test_what_passes_is_tried_again_until_it_is_done() -> None:
    time = Time()
    patience = time.patience()
    assert patience.persist(failing(passes(), passes(), passes()), lambda: 0) == "done"
    assert patience.attempts == 4
    assert patience.waited == pytest.approx(sum(time.slept))
    assert [words.split(" in ")[0] for words in time.told] == [
        f"lock timeout: attempt {number} of 10" for number in (2, 3, 4)
    ]


def test_attempts_are_bounded_and_pauses_grow() -> None:
    time = Time()
    patience = time.patience(attempts=10)
    with pytest.raises(ReplayFailed, match="too long a wait"):
        patience.persist(always(passes), lambda: 0)
    assert patience.attempts == 10
    assert len(time.slept) == 9
    for expected, slept in zip([0.25, 0.5, 1, 2, 4, 8, 10, 10, 10], time.slept, strict=True):
        assert expected <= slept <= expected + 0.5


def test_pauses_differ_so_that_runs_do_not_march_in_step() -> None:
    pauses = set()
    for _ in range(5):
        time = Time()
        time.patience().persist(failing(passes()), lambda: 0)
        pauses.update(time.slept)
    assert len(pauses) > 1


def test_the_count_starts_again_with_progress() -> None:
    """20 steps, each of which fails twice, with three attempts for each."""
    time = Time()
    at = 0
    failures = 0

    def work() -> str:
        nonlocal at, failures
        while at < 20:
            if failures < 2:
                failures += 1
                raise passes()
            at, failures = at + 1, 0
        return "done"

    patience = time.patience(attempts=3)
    assert patience.persist(work, lambda: at) == "done"
    assert patience.attempts == 41


def test_without_progress_the_count_does_not_start_again() -> None:
    time = Time()
    with pytest.raises(ReplayFailed):
        time.patience(attempts=2).persist(failing(passes(), passes()), lambda: 0)


@pytest.mark.parametrize("error", [ReplayFailed("no", lost=False), Moved(("x",)), KeyError("x")])
def test_nothing_else_is_tried_again(error: Exception) -> None:
    time = Time()
    patience = time.patience()
    with pytest.raises(type(error)):
        patience.persist(failing(error), lambda: 0)
    assert (patience.attempts, time.slept) == (1, [])


def test_a_lock_is_waited_for() -> None:
    time = Time()
    patience = time.patience(lock_wait=60)
    work = failing(*[Locked("run 7 (pid 4711 on web-1)")] * 50)
    assert patience.persist(work, lambda: 0) == "done"
    # Looks at a lock are no attempts.
    assert patience.attempts == 1
    assert all(0.2 <= slept <= 1.0 for slept in time.slept)
    assert patience.waited == pytest.approx(time.now)


def test_a_wait_for_a_lock_is_told_now_and_then() -> None:
    time = Time()
    with pytest.raises(Locked):
        time.patience(lock_wait=60).persist(always(lambda: Locked("run 7")), lambda: 0)
    assert 5 <= len(time.told) <= 6
    assert set(time.told) == {"waiting for its lock, held by run 7"}


@pytest.mark.parametrize("lock_wait", [0.1, 3.0, 60.0])
def test_a_lock_is_waited_for_no_longer_than_lock_wait(lock_wait: float) -> None:
    time = Time()
    with pytest.raises(Locked):
        time.patience(lock_wait=lock_wait).persist(always(lambda: Locked("run 7")), lambda: 0)
    assert time.now == pytest.approx(lock_wait)


def test_no_lock_wait_is_one_look() -> None:
    time = Time()
    with pytest.raises(Locked):
        time.patience(lock_wait=0).persist(always(lambda: Locked("run 7")), lambda: 0)
    assert time.slept == []


def test_a_lock_that_is_lost_in_between_is_waited_for_anew() -> None:
    """The connection was lost, and another run took the lock meanwhile."""
    time = Time()
    work = failing(Locked("a"), passes(), Locked("b"), Locked("b"), passes())
    patience = time.patience()
    assert patience.persist(work, lambda: 0) == "done"
    assert patience.attempts == 3


@pytest.mark.parametrize("error", [passes, lambda: Locked("run 7")])
def test_a_stopped_run_stops_waiting(error: Callable[[], Exception]) -> None:
    time = Time(stops_at=2.0)
    with pytest.raises((Locked, ReplayFailed)):
        time.patience().persist(always(error), lambda: 0)
    assert time.now == pytest.approx(2.0)


def test_a_stopped_run_tries_nothing_again() -> None:
    time = Time(stops_at=0.0)
    patience = time.patience()
    with pytest.raises(ReplayFailed):
        patience.persist(failing(passes()), lambda: 0)
    assert (patience.attempts, time.slept) == (1, [])
