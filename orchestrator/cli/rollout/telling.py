"""A rollout as it goes on, told by the process that drives it: live on a terminal, plain lines
elsewhere, events for machines.

Everything here goes to stderr; results are printed when the process leaves the rollout.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from orchestrator.cli.mismatches import mismatch_data, mismatch_lines
from orchestrator.cli.output import is_terminal, lasting, note, plural
from orchestrator.cli.progress import SMALL, Events, Plain
from orchestrator.cli.rollout.picture import bad_words, count_data, rules, through
from orchestrator.cli.summary import Failed
from orchestrator.execution.rollout.types import CheckResult, Mismatch, RolloutObserver
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutView, WaveCount, WaveRow
from orchestrator.planning.plan import Plan

MISMATCHES = 10
"""So many mismatches are told one by one."""
EVERY_SECONDS = 30.0
"""How often a soak that goes on is told where no terminal shows it."""


@contextmanager
def observe_rollout(
    log_format: str, ledger: Ledger, view: RolloutView, failed: Sequence[Failed]
) -> Iterator[RolloutObserver]:
    """The observer that fits stderr and --log-format. failed: what failed before."""
    if log_format == "json":
        yield WaveEvents()
    elif is_terminal(sys.stderr):
        # rich takes a while to import, and only a terminal shows bars.
        from orchestrator.cli.rollout.bars import wave_bars

        with wave_bars(ledger, view, failed, few=SMALL) as observer:
            yield observer
    else:
        yield WaveLines()


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


def wave_begins(wave: WaveRow, count: WaveCount) -> str:
    """A wave that begins, or goes on: "wave tenth: 200 targets, 8 at a time, then pauses"."""
    left = plural(count.waiting, "target")
    said = f"{left} of {count.total:,}" if through(count) else left
    return f"wave {wave.name}: {', '.join([said, *rules(wave)])}"


def wave_ends(wave: WaveRow, count: WaveCount) -> str:
    """A wave that is over, or was left."""
    bad = bad_words(count)
    said = f"wave {wave.name}: {through(count):,} of {plural(count.total, 'target')} through"
    return f"{said}, {bad}" if bad else said


class WaveLines(Plain):
    """Lines: of few targets every step, of many only counts; waves, checks and soaks of both."""

    def __init__(self) -> None:
        super().__init__()
        self._soak = 0.0
        self._differing = Differing(note)

    def wave_started(self, wave: WaveRow, count: WaveCount, plan: Plan) -> None:
        note(wave_begins(wave, count))
        self.planned(tuple(plan.targets))
        self._soak = 0.0

    def differs(self, mismatch: Mismatch) -> None:
        self._differing.heard(mismatch)

    def check_started(self, wave: WaveRow, name: str) -> None:
        """Told when it has ended."""

    def checked(self, wave: WaveRow, result: CheckResult) -> None:
        for line in check_lines(wave, result):
            note(line)

    def soaking(self, wave: WaveRow, seconds_left: float) -> None:
        if not self._soak or self._soak - seconds_left >= EVERY_SECONDS:
            self._soak = seconds_left
            note(f"wave {wave.name}: soaks, {lasting(seconds_left)} left")

    def wave_ended(self, wave: WaveRow, count: WaveCount) -> None:
        note(wave_ends(wave, count))


class WaveEvents(Events):
    """One JSON object a line."""

    def __init__(self) -> None:
        super().__init__()
        self._soak = 0.0

    def wave_started(self, wave: WaveRow, count: WaveCount, plan: Plan) -> None:
        self._soak = 0.0
        self.tell(
            "wave-started",
            wave=wave.name,
            number=wave.number,
            **count_data(count),
            concurrency=wave.concurrency,
            max_failures=wave.max_failures,
        )

    def differs(self, mismatch: Mismatch) -> None:
        self.tell("mismatch", **mismatch_data(mismatch))

    def check_started(self, wave: WaveRow, name: str) -> None:
        self.tell("check-started", wave=wave.name, check=name)

    def checked(self, wave: WaveRow, result: CheckResult) -> None:
        self.tell(
            "check-ended",
            wave=wave.name,
            check=result.name,
            passed=result.passed,
            output=result.output,
            seconds=round(result.seconds, 3),
        )

    def soaking(self, wave: WaveRow, seconds_left: float) -> None:
        if not self._soak or self._soak - seconds_left >= EVERY_SECONDS:
            self._soak = seconds_left
            self.tell("soaking", wave=wave.name, seconds_left=round(seconds_left, 1))

    def wave_ended(self, wave: WaveRow, count: WaveCount) -> None:
        self.tell("wave-ended", wave=wave.name, number=wave.number, **count_data(count))
