"""What makes a rollout stop short. No server."""

from __future__ import annotations

import threading
import time

import pytest

from orchestrator.execution.rollout.ending import Ending, EndStatus


def test_whoever_starts_targets_is_told_at_once_and_later_ones_too() -> None:
    ending, held = Ending(), []
    ending.tell(lambda: held.append("first"))
    assert not ending.came
    ending.ask("stopped", "spent")
    assert held == ["first"]
    ending.tell(lambda: held.append("second"))
    assert held == ["first", "second"]


@pytest.mark.parametrize(
    ("asked", "counts"),
    [
        (("paused", "stopped"), "stopped"),
        (("stopped", "paused"), "stopped"),
        (("stopped", "interrupted"), "stopped"),
        (("interrupted", "stopped"), "interrupted"),
        (("stopped", "aborted"), "aborted"),
        (("aborted", "stopped", "paused"), "aborted"),
        (("aborted", "lost"), "lost"),
    ],
)
def test_what_weighs_most_counts(asked: tuple[EndStatus, ...], counts: str) -> None:
    ending = Ending()
    for status in asked:
        ending.ask(status, status)
    assert ending.end is not None
    assert ending.end.status == ending.end.reason() == counts


def test_a_reason_is_made_when_it_is_asked_for() -> None:
    ending, failed = Ending(), [1]
    ending.ask("stopped", lambda: f"{len(failed)} failed")
    failed.append(2)
    assert ending.end is not None
    assert ending.end.reason() == "2 failed"


def test_a_wait_ends_when_something_is_asked() -> None:
    ending = Ending()
    assert not ending.wait(0.05)
    threading.Timer(0.2, ending.ask, ("paused", "x")).start()
    began = time.monotonic()
    assert ending.wait(30)
    assert time.monotonic() - began < 5
