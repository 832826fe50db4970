"""What is told of a rollout in lines, whoever shows them.

Enters: what a RolloutObserver hears.  Leaves: lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from orchestrator.cli.mismatches import mismatch_lines
from orchestrator.cli.output import lasting, plural
from orchestrator.cli.rollout.picture import bad_words, rules, through
from orchestrator.execution.rollout.types import CheckResult, Mismatch
from orchestrator.ledger.rollout_types import WaveCount, WaveRow

MISMATCHES = 10
"""So many mismatches are told one by one."""


class Differing:
    """Tells the first mismatches; of more only how many there are would be read."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """tell: prints a line."""
        self._tell = tell
        self._told = 0

    def heard(self, mismatch: Mismatch) -> None:
        """A target is not like its cohort."""
        self._told += 1
        if self._told <= MISMATCHES:
            for line in mismatch_lines(mismatch):
                self._tell(line)
        elif self._told == MISMATCHES + 1:
            self._tell("and more targets that are not like their cohort; they are counted")


def check_lines(wave: WaveRow, result: CheckResult) -> Iterator[str]:
    """What a check said."""
    words = "passed" if result.passed else "FAILED"
    yield f"wave {wave.name}: check {result.name} {words} in {lasting(result.seconds)}"
    if not result.passed:
        yield from (f"    {line}" for line in result.output.splitlines())


def wave_begins(wave: WaveRow, count: WaveCount, going: int) -> str:
    """A wave that begins, or goes on: "wave tenth: 200 targets, 8 at a time, then pauses".

    going: how many of its targets are to be run.
    """
    said = plural(going, "target") + (f" of {count.total:,}" if going < count.total else "")
    return f"wave {wave.name}: {', '.join([said, *rules(wave)])}"


def wave_ends(wave: WaveRow, count: WaveCount) -> str:
    """A wave that is over, or was left."""
    bad = bad_words(count)
    said = f"wave {wave.name}: {through(count):,} of {plural(count.total, 'target')} through"
    return f"{said}, {bad}" if bad else said
