"""A rollout watched through the ledger, by whoever reaches it.

Enters: the ledger.  Leaves: Pictures, and lines where no terminal shows bars.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

from orchestrator.cli.output import plural, redact
from orchestrator.cli.rollout.picture import (
    Pace,
    Picture,
    bad_words,
    failed_of,
    headline,
    next_words,
    rules,
    through,
    total_words,
    wave_words,
    who_words,
)
from orchestrator.cli.summary import cause_lines
from orchestrator.errors import LedgerError
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutTarget, RolloutView, TargetState
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.ledger.types import Run

BAD: tuple[TargetState, ...] = ("failed", "different")
EVERY_SECONDS = 1.0
PATIENCE = 30.0
"""Seconds in which a watched ledger may be gone."""


class Looker:
    """Looks at one rollout again and again."""

    def __init__(self, ledger: Ledger, rollouts: Rollouts, name: str) -> None:
        """name: its whole id."""
        self._ledger = ledger
        self._rollouts = rollouts
        self._name = name
        self._pace = Pace()
        self._failed: tuple[RolloutTarget, ...] = ()
        self._run: Run | None = None

    def picture(self) -> Picture:
        """How it is now."""
        view = self._rollouts.view(self._name, plan=False)
        bad = sum(one.failed + one.different for one in view.counts)
        if bad != len(self._failed):
            self._failed = self._rollouts.targets(self._name, states=BAD)
        if view.row.run and (self._run is None or self._run.id != view.row.run):
            self._run = self._ledger.run(view.row.run).run
            self._pace = Pace()
        self._pace.heard(sum(map(through, view.counts)))
        now = self._ledger.now()
        rate = (self._pace.rate or self._average(view, now)) if view.status == "running" else 0.0
        return Picture(view, now, failed_of(self._failed), rate, self._run)

    def _average(self, view: RolloutView, now: datetime) -> float:
        """Targets a second since the wave began; 0 for one that an earlier process began."""
        wave, count = view.waves[view.row.wave], view.counts[view.row.wave]
        if self._run is None or wave.started is None or wave.started < self._run.started:
            return 0.0
        seconds = (now - wave.started).total_seconds()
        return through(count) / seconds if seconds >= 1 else 0.0

    def pictures(self) -> Iterator[Picture]:
        """How it is, about every second, until nothing drives it any more. A ledger that does not
        answer is asked again for a while; then raises LedgerError."""
        heard = time.monotonic()
        while True:
            try:
                picture = self.picture()
            except LedgerError:
                if time.monotonic() - heard > PATIENCE:
                    raise
            else:
                heard = time.monotonic()
                yield picture
                if picture.view.status != "running":
                    return
            time.sleep(EVERY_SECONDS)


def line(picture: Picture) -> str:
    """The wave that a rollout is in: "tenth: 98 of 200, 41/s, 3 s left, 3 failed"."""
    wave, count = list(picture.waves)[picture.view.row.wave]
    bad = bad_words(count)
    said = f"{wave.name}: {through(count):,} of {count.total:,}, {wave_words(picture, wave, count)}"
    return f"{said}, {bad}" if bad else said


def plainly(picture: Picture) -> Iterator[str]:
    """All of it in lines, for whoever has no terminal."""
    row, total = picture.view.row, picture.total
    yield f"rollout {row.id}: {headline(picture)}"
    if row.reverts:
        yield f"reverts {row.reverts}"
    yield redact(who_words(picture))
    if picture.run is not None:
        run = picture.run
        drives = "driven by" if picture.view.driven else "last driven by"
        yield f"{drives} run {run.id} on {run.host}, pid {run.pid}"
    yield f"plan {row.digest}"
    yield ""
    width = max((len(wave.name) for wave in picture.view.waves), default=0)
    for wave, count in picture.waves:
        told = [wave_words(picture, wave, count), bad_words(count)]
        told += rules(wave) if wave.state != "done" else ()
        where = f"{through(count):,} of {plural(count.total, 'target')}"
        yield f"{wave.name:<{width}}  {where}: {', '.join(filter(None, told))}"
    if words := total_words(picture):
        yield words
    yield from cause_lines(picture.failed)
    if row.reason and picture.view.status != "running":
        yield ""
        yield redact(row.reason)
    yield from next_words(picture.view, total.failed + total.different)
