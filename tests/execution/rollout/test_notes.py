"""Rows of a rollout on their way to the ledger: never far behind, and never lost. SQLite alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import LedgerError, Problem
from orchestrator.execution.rollout import notes as module
from orchestrator.execution.rollout.ending import Ending
from orchestrator.execution.rollout.notes import Notes
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutTarget
from orchestrator.ledger.rollouts import Rollouts
from tests.ledger import made
from tests.ledger.made_rollouts import WAVES, places, rollout

ID = rollout().id


class Failing(Rollouts):
    """A ledger that cannot be written while `down`."""

    down = False

    def put(self, rollout: str, targets: Sequence[RolloutTarget]) -> None:
        if self.down:
            raise LedgerError(Problem("the ledger cannot be used: no room"))
        super().put(rollout, targets)


@pytest.fixture
def rollouts(tmp_path: Path) -> Failing:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    ledger.begin(made.run("first"))
    ledger.begin(made.run("second"))
    found = Failing(ledger)
    found.create(rollout(), WAVES, places())
    return found


@pytest.fixture
def ending() -> Ending:
    return Ending()


@pytest.fixture
def notes(rollouts: Failing, ending: Ending) -> Iterator[Notes]:
    found = Notes(rollouts, ID, "first", ending)
    found.start()
    yield found
    found.close()


def soon(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_row_is_in_the_ledger_a_second_later(notes: Notes, rollouts: Failing) -> None:
    row = replace(notes.rows()[3], state="done", after="x")
    notes.keep(row)
    assert notes.rows(1)[1] == row
    assert notes.count(1).done == 1
    soon(lambda: rollouts.targets(ID)[3] == row, 2.0)


def test_a_wave_is_written_after_its_targets(notes: Notes, rollouts: Failing) -> None:
    row = replace(notes.rows()[0], state="failed", error="no room")
    notes.keep(row)
    notes.move(replace(WAVES[0], state="running"))
    assert rollouts.targets(ID)[0] == row
    assert rollouts.view(ID).waves[0].state == "running"


@pytest.mark.parametrize(("ask", "status"), [("pause", "paused"), ("abort", "aborted")])
def test_what_another_terminal_asks_is_heard(
    notes: Notes, rollouts: Failing, ending: Ending, ask: str, status: str
) -> None:
    assert not ending.wait(1.2)
    rollouts.ask(ID, ask)  # type: ignore[arg-type]
    assert ending.wait(2.0)
    assert ending.end is not None
    assert ending.end.status == status


def test_a_process_that_was_replaced_writes_nothing_more(
    notes: Notes, rollouts: Failing, ending: Ending
) -> None:
    assert rollouts.claim(ID, "second", "first")
    assert ending.wait(3.0)
    assert ending.end is not None
    assert ending.end.status == "lost"
    notes.keep(replace(notes.rows()[0], state="done"))
    time.sleep(1.2)
    assert rollouts.targets(ID)[0].state == "waiting"
    assert not notes.settle("done", "")


def test_a_ledger_that_fails_for_a_moment_loses_nothing(
    notes: Notes, rollouts: Failing, ending: Ending
) -> None:
    rollouts.down = True
    row = replace(notes.rows()[0], state="done")
    notes.keep(row)
    time.sleep(1.5)
    assert not ending.came
    rollouts.down = False
    soon(lambda: rollouts.targets(ID)[0] == row)
    assert not ending.came


def test_one_that_fails_for_long_lets_no_new_target_start(
    notes: Notes, rollouts: Failing, ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAILING_SECONDS", 1.0)
    rollouts.down = True
    row = replace(notes.rows()[0], state="done")
    notes.keep(row)
    assert ending.wait(8.0)
    assert ending.end is not None
    assert (ending.end.status, ending.end.reason()) == (
        "stopped",
        "the ledger cannot be used: no room",
    )
    # What is known is still written, as soon as that is possible.
    rollouts.down = False
    assert notes.settle("stopped", ending.end.reason())
    assert rollouts.targets(ID)[0] == row
