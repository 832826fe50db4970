"""What a driving process tells: lines, events, and the counts of its bars."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.live import Live

from orchestrator.checks.types import Difference
from orchestrator.cli.rollout.bars import WaveBars
from orchestrator.cli.rollout.lines import MISMATCHES, check_lines
from orchestrator.cli.rollout.telling import EVERY_SECONDS, WaveEvents, WaveLines
from orchestrator.config import Flavour
from orchestrator.execution.rollout.types import CheckResult
from orchestrator.execution.types import Failure, Mismatch, Outcome
from orchestrator.fleet.types import Target
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import WaveCount
from orchestrator.planning.paths import Goal
from orchestrator.planning.plan import Cohort, Plan
from tests.cli.rollout.made import WAVES, failed, picture, view
from tests.cli.test_progress import targets

NOTE = Difference("changed", "column", "orders", "note", "type", "text", "varchar(20)")


def plan(*some: Target) -> Plan:
    """What is left of a wave."""
    cohort = Cohort("shop", Flavour("postgresql", (18,)), ("r1",), (), some)
    return Plan(Goal("upgrade", {"shop": "r2"}), (cohort,))


def differing(target: Target, when: str = "after", *, stops: bool = True) -> Mismatch:
    """A target with another type of a column."""
    return Mismatch(target, when, "shop/t9", (NOTE,), stops)  # type: ignore[arg-type]


def fails(target: Target) -> Outcome:
    """A target that failed."""
    return Outcome(target, "failed", failure=Failure("no such table", "r2"))


def test_lines_tell_waves_checks_and_soaks_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    some = targets("shop", 2)
    lines = WaveLines()
    lines.wave_started(WAVES[1], WaveCount(1, 2, 0, 0, 1), plan(*some))
    lines.differs(differing(some[0]))
    lines.checked(WAVES[1], CheckResult("./look", False, "too\nslow", 61))
    for left in (90.0, 89.0, 90 - EVERY_SECONDS, 59.0):
        lines.soaking(WAVES[1], left)
    lines.wave_ended(WAVES[1], WaveCount(1, 0, 2, 0, 1))
    assert capsys.readouterr().err.splitlines() == [
        "wave tenth: 2 targets of 3, 8 at a time, at most 2 may fail, then pauses",
        f"{some[0].id}: its schema is not like that of shop/t9, which was equal before and took "
        "the same steps",
        "    table orders: column note: type is varchar(20), expected text",
        "wave tenth: check ./look FAILED in 1 min 01 s",
        "    too",
        "    slow",
        "wave tenth: soaks, 1 min 30 s left",
        "wave tenth: soaks, 1 min 00 s left",
        "wave tenth: 3 of 3 targets through, 1 failed",
    ]
    passed = list(check_lines(WAVES[1], CheckResult("drift", True, "all is well", 2)))
    assert passed == ["wave tenth: check drift passed in 2 s"]


def test_only_the_first_mismatches_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    lines = WaveLines()
    for target in targets("shop", MISMATCHES + 5):
        lines.differs(differing(target))
    told = capsys.readouterr().err.splitlines()
    assert sum("is not like that of" in line for line in told) == MISMATCHES
    assert told[-1] == "and more targets that are not like their cohort; they are counted"


def test_events_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    (target,) = targets("shop", 1)
    events = WaveEvents()
    events.wave_started(WAVES[2], WaveCount(2, 7, 1), plan(target))
    events.differs(differing(target, "before", stops=False))
    events.soaking(WAVES[2], 10.04)
    events.soaking(WAVES[2], 9.0)
    events.wave_ended(WAVES[2], WaveCount(2, 0, 8))
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [one["event"] for one in told] == ["wave-started", "mismatch", "soaking", "wave-ended"]
    assert told[0] | {"wave": "rest", "number": 2, "waiting": 7, "concurrency": 16} == told[0]
    assert told[1] | {"target": target.id, "when": "before", "stops": False} == told[1]
    assert told[1]["differences"][0]["found"] == "varchar(20)"
    assert told[2]["seconds_left"] == 10.0


@pytest.fixture
def bars(tmp_path: Path) -> WaveBars:
    """Of a rollout in its second wave, of which two targets failed before."""
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    of = picture(view("stopped"), *failed(2, "no such table"))
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system=None)
    return WaveBars(Live(console=console), ledger, of.view, of.failed, few=50)


def drawn(bars: WaveBars) -> str:
    """What it shows, without blanks that only lay it out."""
    console = Console(width=80, file=io.StringIO(), force_terminal=True, record=True)
    console.print(bars.draw())
    return "\n".join(" ".join(line.split()) for line in console.export_text().splitlines())


def test_bars_count_what_ends(bars: WaveBars) -> None:
    some = targets("shop", 100)
    bars.wave_started(WAVES[1], WaveCount(1, 100, 95, 1, 2), plan(*some))
    assert "98/198 2 failed" in drawn(bars)
    bars.started(some[0])
    bars.step(some[1], "r2")
    assert f"now {some[0].id}, {some[1].id} r2" in drawn(bars)
    bars.ended(Outcome(some[0], "done"))
    bars.ended(Outcome(some[1], "unchanged"))
    bars.ended(fails(some[2]))
    bars.ended(Outcome(some[3], "not-started"))
    text = drawn(bars)
    assert "101/198 3 failed" in text
    assert "3 no such table" not in text  # two of them in another revision
    assert "now" not in text
    bars.differs(differing(some[0]))
    assert "101/198 3 failed, 1 different" in drawn(bars)
    assert "note: type is varchar(20), expected\ntext\n" in drawn(bars)


def test_failed_ones_that_are_tried_again_wait(bars: WaveBars) -> None:
    before = [replace(one, tenant=f"t{number:04}") for number, one in enumerate(targets("shop", 2))]
    named = {f"shop/t{number:04}@eu1" for number in range(2)}
    assert {one.target for one in bars._failed} == named
    count = WaveCount(1, 0, 195, 1, 2)
    bars.wave_started(WAVES[1], count, plan(*before))
    assert "196/198" in drawn(bars)
    bars.ended(Outcome(before[0], "done"))
    bars.ended(fails(before[1]))
    assert "198/198 1 failed" in drawn(bars)
