"""A run as it goes on: live on a terminal, plain lines elsewhere, events for machines.

Everything here goes to stderr; results are printed by the verb when the run has ended.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from orchestrator.cli.output import is_terminal, note, redact, revisions
from orchestrator.cli.waits import Waits
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target

SMALL = 50
"""Up to so many targets every step is told; of more, only counts every few seconds."""
EVERY_SECONDS = 3.0


class Observer(Protocol):
    """Hears what a run does. planned comes before the targets of a stage. started, step and
    waiting (for a target's lock, or for another try) come from the run's threads."""

    def planned(self, targets: Sequence[Target]) -> None: ...

    def started(self, target: Target) -> None: ...

    def step(self, target: Target, revision: str) -> None: ...

    def waiting(self, target: Target, words: str) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...


@contextmanager
def observe(log_format: str) -> Iterator[Observer]:
    """The observer that fits stderr and --log-format."""
    if log_format == "json":
        yield Events()
    elif is_terminal(sys.stderr):
        # rich takes a while to import, and only a terminal shows bars.
        from orchestrator.cli.bars import bars

        with bars(few=SMALL) as observer:
            yield observer
    else:
        yield Plain()


class Plain:
    """Lines of the kind that fits each stage: of a few targets every step, of many only counts."""

    def __init__(self) -> None:
        self._now: _Lines | _Counts = _Lines()
        self._waits = Waits(note)

    def planned(self, targets: Sequence[Target]) -> None:
        self._now = _Lines() if len(targets) <= SMALL else _Counts(targets)

    def started(self, target: Target) -> None:
        """Nothing to say before the first step."""

    def step(self, target: Target, revision: str) -> None:
        self._now.step(target, revision)

    def waiting(self, target: Target, words: str) -> None:
        self._waits.heard(target, words)

    def ended(self, outcome: Outcome) -> None:
        self._now.ended(outcome)
        self._waits.look()


class _Lines:
    """One line a target with steps, and one a step."""

    def step(self, target: Target, revision: str) -> None:
        note(f"{target.id}: running {revision}")

    def ended(self, outcome: Outcome) -> None:
        if outcome.result == "failed":
            note(f"{outcome.target.id}: failed")
        elif outcome.result == "done":
            note(f"{outcome.target.id}: {revisions(outcome.after)} in {outcome.seconds:.1f} s")


class _Counts:
    """A line for each bind every few seconds: how many, how fast, how long yet."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self._totals = Counter(target.bind.name for target in targets)
        self._ended: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._began = self._told = time.monotonic()

    def step(self, target: Target, revision: str) -> None:
        """Too many to tell."""

    def ended(self, outcome: Outcome) -> None:
        bind = outcome.target.bind.name
        self._ended[bind] += 1
        self._failed[bind] += outcome.result == "failed"
        now = time.monotonic()
        if now - self._told >= EVERY_SECONDS or self._ended[bind] == self._totals[bind]:
            self._told = now
            self._tell(bind, now - self._began)

    def _tell(self, bind: str, seconds: float) -> None:
        ended, total = self._ended[bind], self._totals[bind]
        rate = sum(self._ended.values()) / seconds if seconds else 0.0
        left = f", {(total - ended) / rate:,.0f} s left" if rate and ended < total else ""
        failed = f", {self._failed[bind]:,} failed" if self._failed[bind] else ""
        note(f"{bind}: {ended:,} of {total:,} ({rate:,.0f}/s{left}){failed}")


class Events:
    """One JSON object a line."""

    def __init__(self) -> None:
        self._guard = threading.Lock()

    def planned(self, targets: Sequence[Target]) -> None:
        """Each target has events of its own."""

    def started(self, target: Target) -> None:
        self._of("target-started", target)

    def step(self, target: Target, revision: str) -> None:
        self._of("step-started", target, revision=revision)

    def waiting(self, target: Target, words: str) -> None:
        self._of("waiting", target, reason=words)

    def ended(self, outcome: Outcome) -> None:
        failure = outcome.failure
        self._of(
            "target-ended",
            outcome.target,
            result=outcome.result,
            before=list(outcome.before),
            after=list(outcome.after),
            steps=list(outcome.steps),
            seconds=round(outcome.seconds, 3),
            error=failure.message if failure else None,
            revision=failure.revision if failure else None,
        )

    def _of(self, event: str, target: Target, **fields: object) -> None:
        self.tell(event, bind=target.bind.name, target=target.id, **fields)

    def tell(self, event: str, **fields: object) -> None:
        """Write one event."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "event": event,
            **fields,
        }
        text = redact(json.dumps(line, ensure_ascii=False))
        # One write a line: steps are told from several threads.
        with self._guard:
            print(text, file=sys.stderr, flush=True)
