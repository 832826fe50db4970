"""The failure budget of a wave. No server."""

from __future__ import annotations

from orchestrator.execution.rollout.budget import Budget
from orchestrator.execution.types import Failure, Outcome
from orchestrator.ledger.rollout_types import WaveRow
from tests.execution.test_pool import server, targets

WAVE = WaveRow(1, "tenth", 200, 8, 2)
ALL = targets(5, server("a"))


def failed(number: int, message: str = "no room") -> Outcome:
    return Outcome(ALL[number], "failed", failure=Failure(message))


def test_it_is_spent_by_one_more_than_may_fail() -> None:
    budget = Budget(WAVE)
    assert [budget.count(failed(number)) for number in range(3)] == [False, False, True]


def test_a_target_counts_once_and_only_when_it_failed() -> None:
    budget = Budget(WAVE)
    for _ in range(5):
        assert not budget.count(failed(0))
        assert not budget.count(Outcome(ALL[1], "done"))
        assert not budget.count(Outcome(ALL[2], "not-started"))
    assert budget.failed == 1


def test_what_failed_before_counts() -> None:
    assert Budget(WAVE, failed=2).count(failed(0))


def test_the_reason_names_the_most_frequent_causes() -> None:
    budget = Budget(WAVE)
    for number, message in enumerate(("no room", "no room for a1", "no room for a2", "late")):
        budget.count(failed(number, message))
    assert budget.words() == (
        "wave tenth: 4 of 200 targets failed, and max_failures is 2; 2 x no room for <target>; "
        "1 x no room; 1 x late"
    )
