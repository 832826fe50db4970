"""A rollout as it goes on, told by the process that drives it: live on a terminal, plain lines
elsewhere, events for machines.

Everything here goes to stderr; results are printed when the process leaves the rollout.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from orchestrator.cli.mismatches import mismatch_data
from orchestrator.cli.output import is_terminal, lasting, note
from orchestrator.cli.progress import SMALL, Events, Plain
from orchestrator.cli.rollout.lines import Differing, check_lines, wave_begins, wave_ends
from orchestrator.cli.rollout.picture import count_data
from orchestrator.cli.summary import Failed
from orchestrator.execution.rollout.types import CheckResult, Mismatch, RolloutObserver
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutView, WaveCount, WaveRow
from orchestrator.planning.plan import Plan

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


class WaveLines(Plain):
    """Lines: of few targets every step, of many only counts; waves, checks and soaks of both."""

    def __init__(self) -> None:
        super().__init__()
        self._soak = 0.0
        self._differing = Differing(note)

    def wave_started(self, wave: WaveRow, count: WaveCount, plan: Plan) -> None:
        targets = tuple(plan.targets)
        note(wave_begins(wave, count, len(targets)))
        self.planned(targets)
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
