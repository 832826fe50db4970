"""A rollout live on the terminal of the process that drives it.

Enters: what a RolloutObserver hears.  Leaves: the screen of `screen` on stderr, drawn a few times
a second, with what must not be missed above it.  Imported where there is a terminal.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console, RenderableType
from rich.live import Live

from orchestrator.cli.mismatches import mismatch_lines
from orchestrator.cli.output import redact
from orchestrator.cli.rollout.picture import Pace, Picture, bad_words, through
from orchestrator.cli.rollout.screen import screen
from orchestrator.cli.rollout.telling import check_lines
from orchestrator.cli.summary import Failed, failures
from orchestrator.cli.waits import Waits
from orchestrator.execution.rollout.types import CheckResult, Mismatch
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutView, WaveCount, WaveRow
from orchestrator.planning.plan import Plan

_RUNNING = 3
"""So many of the targets that run now are named."""


class WaveBars:
    """Hears a rollout, and gives its picture."""

    def __init__(self, live: Live, ledger: Ledger, view: RolloutView, few: int) -> None:
        """few: in waves of up to so many targets each failure is told above the screen."""
        self._live = live
        self._ledger = ledger
        self._most = few
        self._guard = threading.Lock()
        self._waves = {wave.number: wave for wave in view.waves}
        self._counts = {count.number: count for count in view.counts}
        self._row = replace(view.row, status="running", ask="", reason="")
        self._failed: list[Failed] = []
        self._running: dict[str, str] = {}
        self._pace = Pace()
        self._few = True
        self._waits = Waits(self._above)

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
        with self._guard:
            self._wave(wave, count)
            self._few = count.waiting <= self._most
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
                number = self._row.wave
                count = self._counts.get(number, WaveCount(number))
                told = getattr(count, outcome.result) + 1
                left = max(0, count.waiting - 1)
                count = replace(count, **{outcome.result: told}, waiting=left)
                self._counts[number] = count
                self._pace.heard(through(count))
            self._failed += failures([outcome])
        if outcome.result == "failed" and self._few:
            self._above(f"{outcome.target.id}: failed", "red")
        self._waits.look()

    def differs(self, mismatch: Mismatch) -> None:
        self._lines(mismatch_lines(mismatch), "red" if mismatch.stops else "yellow")

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
def wave_bars(ledger: Ledger, view: RolloutView, *, few: int) -> Iterator[WaveBars]:
    """The screen on stderr while it is entered; it is gone afterwards."""
    drawn = _Screen()
    console = Console(stderr=True, highlight=False)
    live = Live(drawn, console=console, transient=True, redirect_stdout=False)
    drawn.bars = bars = WaveBars(live, ledger, view, few)
    with live:
        yield bars
