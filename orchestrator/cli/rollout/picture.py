"""A rollout as people see it: where its waves are, how fast they go, and what to do next.

Enters: what the ledger says of a rollout, or the process that drives it.  Leaves: words and JSON.
No I/O.
"""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from orchestrator.cli.output import lasting
from orchestrator.cli.summary import Failed
from orchestrator.execution.types import Failure
from orchestrator.ledger.rollout_types import OVER, RolloutTarget, RolloutView, WaveCount, WaveRow
from orchestrator.ledger.types import Run

_WINDOW = 30.0
"""Seconds over which the pace is taken."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A rollout at one moment.

    now: on the ledger's clock. rate: targets a second, 0 while nobody can tell. run: the one that
    drives it or did last. running: what runs now, where the process that drives it tells.
    """

    view: RolloutView
    now: datetime
    failed: tuple[Failed, ...] = ()
    rate: float = 0.0
    run: Run | None = None
    running: tuple[str, ...] = ()

    @property
    def waves(self) -> Iterator[tuple[WaveRow, WaveCount]]:
        """Each wave with how far it is."""
        return zip(self.view.waves, self.view.counts, strict=True)

    @property
    def total(self) -> WaveCount:
        """All waves together."""
        return added(self.view.counts)


class Pace:
    """How many targets a second come through, over the last half minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def heard(self, through: int) -> None:
        """So many targets are through now."""
        now = self._clock()
        self._seen.append((now, through))
        while len(self._seen) > 2 and self._seen[1][0] < now - _WINDOW:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Targets a second; 0 while nobody can tell."""
        if len(self._seen) < 2:
            return 0.0
        (began, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - began) if now > began else 0.0


def added(counts: Sequence[WaveCount]) -> WaveCount:
    """Several waves' counts in one."""
    return WaveCount(
        -1,
        *(
            sum(getattr(one, name) for one in counts)
            for name in ("waiting", "done", "unchanged", "failed", "different")
        ),
    )


def through(count: WaveCount) -> int:
    """How many targets have come to an end, good or bad."""
    return count.total - count.waiting


def bad_words(count: WaveCount) -> str:
    """ "3 failed, 1 different"; "" when all is well."""
    parts = ((count.failed, "failed"), (count.different, "different"))
    return ", ".join(f"{number:,} {word}" for number, word in parts if number)


def headline(picture: Picture) -> str:
    """ "running, wave 2 of 3"."""
    view = picture.view
    words: str = view.status
    if view.status not in OVER and view.waves:
        words += f", wave {view.row.wave + 1} of {len(view.waves)}"
    if view.status == "running" and view.row.ask:
        words += f", asked to {view.row.ask}"
    return words


def who_words(picture: Picture) -> str:
    """Who began it, and when."""
    row = picture.view.row
    ago = lasting((picture.now - row.created).total_seconds())
    return f"started {row.created:%Y-%m-%d %H:%M:%S} UTC ({ago} ago) by {row.who}"


def wave_words(picture: Picture, wave: WaveRow, count: WaveCount) -> str:
    """Where a wave is: "done", "running" or "41/s, 12 s left", "soaking, 9 min 58 s left"."""
    status = picture.view.status
    if wave.state == "done" or wave.number > picture.view.row.wave:
        return wave.state
    if status not in ("running", "done"):
        return status
    if wave.state == "soaking":
        left = wave.soak_until and (wave.soak_until - picture.now).total_seconds()
        return f"soaking, {lasting(left)} left" if left and left > 0 else "soaking"
    if wave.state == "running" and count.waiting == 0:
        return "checking"
    return ", ".join(_pace(picture.rate, count.waiting)) or wave.state


def _pace(rate: float, waiting: int) -> Iterator[str]:
    if rate:
        yield f"{rate:,.0f}/s" if rate >= 10 else f"{rate:,.1f}/s"
        yield f"{lasting(waiting / rate)} left"


def total_words(picture: Picture) -> str:
    """How long all waves will take yet, their soaks with them."""
    view, waiting = picture.view, picture.total.waiting
    running = view.status == "running" and any(one.state == "running" for one in view.waves)
    if not running or not picture.rate or not waiting:
        return ""
    soaks = sum(wave.soak for wave in view.waves if wave.state in ("waiting", "running"))
    return f"about {lasting(waiting / picture.rate + soaks)} left"


def rules(wave: WaveRow) -> Iterator[str]:
    """What holds for a wave: "8 at a time", "at most 2 fail", "soak 10 min 00 s"."""
    yield f"{wave.concurrency} at a time"
    yield f"at most {wave.max_failures:,} may fail" if wave.max_failures else "none may fail"
    if wave.soak:
        yield f"soaks {lasting(wave.soak)}"
    if wave.checks:
        yield "checks: " + ", ".join(map(shlex.join, wave.checks))
    if wave.pause:
        yield "then pauses"


def next_words(view: RolloutView, failed: int = 0) -> Iterator[str]:
    """What to do next, commands on lines of their own. failed: how many targets are not as they
    should be."""
    resume = f"    orchestrator rollout resume {view.row.id}"
    abort = f"    orchestrator rollout abort {view.row.id}"
    if view.status == "interrupted":
        yield "The process that drove it is gone. To go on where it was:"
        yield resume
    elif view.status == "paused":
        yield "To go on where it was:"
        yield resume
    elif view.status == "stopped":
        yield "Repair what is told above. To take the failed ones again, and go on:"
        yield resume
    if view.status in ("interrupted", "paused", "stopped"):
        yield "To end it for good; what was done stays done:"
        yield abort
    elif view.status == "done" and failed:
        them = "failed target" if failed == 1 else f"{failed:,} failed targets"
        yield f"To run the {them} again:"
        yield f"    orchestrator rollout retry {view.row.id}"


def failed_of(rows: Sequence[RolloutTarget]) -> tuple[Failed, ...]:
    """The failed targets of a rollout, as summaries group them."""
    return tuple(
        Failed(row.target, row.bind, Failure(row.error, row.revision), row.cause) for row in rows
    )


def view_data(view: RolloutView, failed: Sequence[RolloutTarget] = ()) -> dict[str, object]:
    """A rollout for machines."""
    row = view.row
    return {
        "rollout": row.id,
        "status": view.status,
        "reason": row.reason or None,
        "verb": row.verb,
        "who": row.who,
        "created": _iso(row.created),
        "changed": _iso(row.changed),
        "plan_digest": row.digest,
        "verify": row.verify,
        "asked": row.ask or None,
        "run": row.run or None,
        "driven": view.driven,
        "reverts": row.reverts or None,
        "wave": row.wave,
        "waves": [
            _wave_data(wave, count) for wave, count in zip(view.waves, view.counts, strict=True)
        ],
        "failed": [_failed_data(one) for one in failed],
    }


def _wave_data(wave: WaveRow, count: WaveCount) -> dict[str, object]:
    times = {name: _iso(getattr(wave, name)) for name in ("started", "ended", "soak_until")}
    checks = [list(words) for words in wave.checks]
    return asdict(wave) | {"checks": checks} | times | count_data(count)


def count_data(count: WaveCount) -> dict[str, int]:
    """How far a wave is, for machines."""
    return {name: value for name, value in asdict(count).items() if name != "number"}


def _failed_data(row: RolloutTarget) -> dict[str, object]:
    names = ("target", "bind", "server", "tenant", "wave", "state", "revision", "error", "cause")
    return {name: getattr(row, name) for name in (*names, "run")}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.isoformat(timespec='milliseconds')}Z"
