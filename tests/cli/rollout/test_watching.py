"""A rollout watched through the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Timer

import pytest

from orchestrator.cli.rollout import watching
from orchestrator.cli.rollout.watching import BAD, Looker, line, plainly
from orchestrator.errors import LedgerError
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.ledger.types import Batch
from orchestrator.ledger.writer import begin_run
from tests.cli.rollout.made import NAME, WAVES, failed, picture, view


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(f"sqlite:///{tmp_path}/ledger.db")


def begun(ledger: Ledger) -> tuple[Rollouts, str]:
    """A rollout of five targets that this process drives, and its run."""
    run = begin_run(ledger, who="alice", version="0", verb="rollout start", command="x")
    rollouts = Rollouts(ledger)
    began = ledger.now() - timedelta(seconds=10)
    row = replace(view().row, plan="{}", run=run.id, wave=0, created=began)
    wave = replace(WAVES[1], number=0, targets=5, started=ledger.now() + timedelta(seconds=1))
    rows = [replace(one, wave=0, state="waiting", error="", cause="") for one in failed(5, "")]
    rollouts.create(row, [wave], rows)
    return rollouts, run.id


def test_it_tells_what_changes_until_nothing_drives_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "EVERY_SECONDS", 0.05)
    rollouts, run = begun(ledger)
    pictures = Looker(ledger, rollouts, NAME).pictures()
    first = next(pictures)
    assert (first.view.driven, first.failed, first.rate) == (True, (), 0.0)
    assert first.run is not None
    assert first.run.id == run
    rows = rollouts.targets(NAME)
    rollouts.put(
        NAME, [replace(rows[0], state="done"), replace(rows[1], state="failed", error="no")]
    )
    second = next(pictures)
    assert second.rate > 0
    assert [one.failure.message for one in second.failed] == ["no"]
    assert line(second).startswith("tenth: 2 of 5, ")
    assert line(second).endswith(" left, 1 failed")
    rollouts.put(NAME, [replace(rows[1], state="done")])
    assert next(pictures).failed == ()
    assert rollouts.targets(NAME, states=BAD) == ()
    rollouts.settle(NAME, "paused", "paused by bob")
    last = list(pictures)
    assert [one.view.status for one in last] == ["paused"]
    assert last[0].rate == 0.0


def test_a_dead_process_is_an_end_too(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "EVERY_SECONDS", 0.05)
    rollouts, run = begun(ledger)
    with ledger.engine.begin() as connection:
        ledger.write(connection, run, Batch(ledger.now(), result="failed"))
    (only,) = Looker(ledger, rollouts, NAME).pictures()
    assert only.view.status == "interrupted"


def rename(ledger: Ledger, before: str, after: str) -> None:
    """Take a table away, or bring it back."""
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {before} RENAME TO {after}")


def test_a_ledger_that_is_gone_for_a_moment_is_waited_for(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "EVERY_SECONDS", 0.05)
    rollouts, _run = begun(ledger)
    pictures = Looker(ledger, rollouts, NAME).pictures()
    next(pictures)
    rename(ledger, "orchestrator_rollouts", "elsewhere")
    back = Timer(0.5, rename, (ledger, "elsewhere", "orchestrator_rollouts"))
    back.start()
    assert next(pictures).view.status == "running"
    back.join()
    rename(ledger, "orchestrator_rollouts", "elsewhere")
    monkeypatch.setattr(watching, "PATIENCE", 0.2)
    with pytest.raises(LedgerError):
        next(pictures)


def test_all_of_it_in_lines() -> None:
    of = view("stopped", reason="wave tenth: too many", reverts="20261101T000000-aaaa")
    text = "\n".join(plainly(picture(of, *failed(2, "no such table"))))
    assert text.startswith(f"rollout {NAME}: stopped, wave 2 of 3\nreverts 20261101T000000-aaaa\n")
    assert "\nplan sha256:1a2b\n" in text
    assert "\ncanary  20 of 20 targets: done\n" in text
    assert "\ntenth   98 of 198 targets: stopped, 2 failed, 8 at a time, at most 2 may fail" in text
    assert "\nrest    0 of 1,782 targets: waiting, 16 at a time" in text
    assert "\n2 targets: no such table\n    targets:   shop/t0000@eu1, shop/t0001@eu1\n" in text
    assert "\n\nwave tenth: too many\nRepair what is told above." in text
