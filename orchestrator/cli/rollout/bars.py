"""A rollout live on the terminal of the process that drives it.

Enters: what a RolloutObserver hears.  Leaves: the screen of `screen` on stderr, drawn a few times
a second, with what must not be missed above it.  Imported where there is a terminal.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console, RenderableType
from rich.live import Live

from orchestrator.cli.output import redact
from orchestrator.cli.rollout.lines import Differing, check_lines
from orchestrator.cli.rollout.picture import Pace, Picture, bad_words, through
from orchestrator.cli.rollout.screen import screen
from orchestrator.cli.summary import Failed, failures
from orchestrator.cli.waits import Waits
from orchestrator.execution.rollout.driving import mismatch_words
from orchestrator.execution.rollout.types import CheckResult, Mismatch
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.types import Target
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutView, WaveCount, WaveRow
from orchestrator.planning.plan import Plan

_RUNNING = 3
"""So many of the targets that run now are named."""


class WaveBars:
    """Hears a rollout, and gives its picture."""

    def __init__(
        self, live: Live, ledger: Ledger, view: RolloutView, failed: Sequence[Failed], few: int
    ) -> None:
        """few: in waves of up to so many targets each failure is told above the screen."""
        self._live = live
        self._ledger = ledger
        self._most = few
        self._guard = threading.Lock()
        self._waves = {wave.number: wave for wave in view.waves}
        self._counts = {count.number: count for count in view.counts}
        self._row = replace(view.row, status="running", ask="", reason="")
        self._failed = list(failed)
        self._running: dict[str, str] = {}
        self._pace = Pace()
        self._few = True
        self._waits = Waits(self._above)
        self._differing = Differing(lambda line: self._above(line, "yellow"))

    def draw(self) -> RenderableType:
        """The screen now."""
        with self._guard:
            waves = tuple(self._waves[number] for number in sorted(self._waves))
            counts = tuple(self._counts.get(one.number, WaveCount(one.number)) for one in waves)
            running = list(self._running.values())
            view = RolloutView(self._row, waves, counts, True, "running")
            picture = Picture(
                view,
                self._ledger.now(),
                tuple(self._failed),
                self._pace.rate,
                running=(*running[:_RUNNING], *_more(len(running) - _RUNNING)),
            )
        return screen(picture, live=True)

    # -- what it hears -----------------------------------------------------------------------

    def wave_started(self, wave: WaveRow, count: WaveCount, plan: Plan) -> None:
        going = {target.id for target in plan.targets}
        with self._guard:
            # Failed ones that are tried again wait like the others.
            self._failed = [one for one in self._failed if one.target not in going]
            again = max(0, len(going) - count.waiting)
            failed = max(0, count.failed - again)
            different = max(0, count.different - max(0, again - count.failed))
            waiting = count.total - count.done - count.unchanged - failed - different
            count = replace(count, waiting=waiting, failed=failed, different=different)
            self._wave(wave, count)
            self._few = waiting <= self._most
            self._pace = Pace()
            self._pace.heard(through(count))

    def started(self, target: Target) -> None:
        with self._guard:
            self._running[target.id] = target.id

    def step(self, target: Target, revision: str) -> None:
        with self._guard:
            self._running[target.id] = f"{target.id} {revision}"

    def waiting(self, target: Target, words: str) -> None:
        self._waits.heard(target, words)

    def ended(self, outcome: Outcome) -> None:
        with self._guard:
            self._running.pop(outcome.target.id, None)
            if outcome.result in ("done", "unchanged", "failed"):
                self._move("waiting", outcome.result)
                self._pace.heard(through(self._counts[self._row.wave]))
            self._failed += failures([outcome])
        if outcome.result == "failed" and self._few:
            self._above(f"{outcome.target.id}: failed", "red")
        self._waits.look()

    def differs(self, mismatch: Mismatch) -> None:
        self._differing.heard(mismatch)
        if mismatch.stops:
            target, text = mismatch.target, mismatch_words(mismatch)
            with self._guard:
                failed = Failed(target.id, target.bind.name, Failure(text), text)
                self._failed.append(failed)
                self._move("done" if mismatch.when == "after" else "waiting", "different")

    def check_started(self, wave: WaveRow, name: str) -> None:
        with self._guard:
            self._running = {name: f"check {name}"}

    def checked(self, wave: WaveRow, result: CheckResult) -> None:
        with self._guard:
            self._running.clear()
        self._lines(check_lines(wave, result), "" if result.passed else "red")

    def soaking(self, wave: WaveRow, seconds_left: float) -> None:
        with self._guard:
            self._waves[wave.number] = wave

    def wave_ended(self, wave: WaveRow, count: WaveCount) -> None:
        with self._guard:
            self._wave(wave, count)
            self._running.clear()
        bad = bad_words(count)
        if bad:
            self._above(f"wave {wave.name}: {bad}", "red")

    # -- inside ------------------------------------------------------------------------------

    def _move(self, before: str, after: str) -> None:
        """One target of this wave has another state."""
        number = self._row.wave
        count = self._counts.get(number, WaveCount(number))
        fewer, more = max(0, getattr(count, before) - 1), getattr(count, after) + 1
        self._counts[number] = replace(count, **{before: fewer, after: more})

    def _wave(self, wave: WaveRow, count: WaveCount) -> None:
        self._waves[wave.number] = wave
        self._counts[wave.number] = count
        self._row = replace(self._row, wave=wave.number)

    def _lines(self, lines: Iterable[str], style: str) -> None:
        for line in lines:
            self._above(line, style)

    def _above(self, text: str, style: str = "") -> None:
        """A line above the screen."""
        self._live.console.print(redact(text), style=style, markup=False, highlight=False)


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"{count:,} more"


class _Screen:
    """Asks for the screen anew each time that rich draws it."""

    def __init__(self) -> None:
        self.bars: WaveBars | None = None

    def __rich__(self) -> RenderableType:
        return self.bars.draw() if self.bars is not None else ""


@contextmanager
def wave_bars(
    ledger: Ledger, view: RolloutView, failed: Sequence[Failed], *, few: int
) -> Iterator[WaveBars]:
    """The screen on stderr while it is entered; it is gone afterwards."""
    drawn = _Screen()
    console = Console(stderr=True, highlight=False)
    live = Live(drawn, console=console, transient=True, redirect_stdout=False)
    drawn.bars = bars = WaveBars(live, ledger, view, failed, few)
    with live:
        yield bars
