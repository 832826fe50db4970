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

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from orchestrator.cli.output import is_terminal, note, redact, revisions
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target

SMALL = 50
"""Up to so many targets every step is told; of more, only counts every few seconds."""
EVERY_SECONDS = 3.0


class Observer(Protocol):
    """Hears what a run does. planned comes before the targets of a stage; started and step come
    from the run's threads."""

    def planned(self, targets: Sequence[Target]) -> None: ...

    def started(self, target: Target) -> None: ...

    def step(self, target: Target, revision: str) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...


@contextmanager
def observe(log_format: str) -> Iterator[Observer]:
    """The observer that fits stderr and --log-format."""
    if log_format == "json":
        yield _Events()
    elif is_terminal(sys.stderr):
        with _live() as observer:
            yield observer
    else:
        yield _Plain()


class _Plain:
    """Lines of the kind that fits each stage: of a few targets every step, of many only counts."""

    def __init__(self) -> None:
        self._now: _Lines | _Counts = _Lines()

    def planned(self, targets: Sequence[Target]) -> None:
        self._now = _Lines() if len(targets) <= SMALL else _Counts(targets)

    def started(self, target: Target) -> None:
        """Nothing to say before the first step."""

    def step(self, target: Target, revision: str) -> None:
        self._now.step(target, revision)

    def ended(self, outcome: Outcome) -> None:
        self._now.ended(outcome)


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


class _Events:
    """One JSON object a line."""

    def __init__(self) -> None:
        self._guard = threading.Lock()

    def planned(self, targets: Sequence[Target]) -> None:
        """Each target has events of its own."""

    def started(self, target: Target) -> None:
        self._event("target-started", target)

    def step(self, target: Target, revision: str) -> None:
        self._event("step-started", target, revision=revision)

    def ended(self, outcome: Outcome) -> None:
        failure = outcome.failure
        self._event(
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

    def _event(self, event: str, target: Target, **fields: object) -> None:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "event": event,
            "bind": target.bind.name,
            "target": target.id,
            **fields,
        }
        text = redact(json.dumps(line, ensure_ascii=False))
        # One write a line: steps are told from several threads.
        with self._guard:
            print(text, file=sys.stderr, flush=True)


class _Rate(ProgressColumn):
    """Targets a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


class _Live:
    """A bar for each bind and server, with what runs there now."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._failed: Counter[str] = Counter()
        self._few = True

    def planned(self, targets: Sequence[Target]) -> None:
        for line, count in Counter(map(_line_of, targets)).items():
            self._bars[line] = self._progress.add_task(line, total=count, now="", failed="")
        self._few = len(targets) <= SMALL

    def started(self, target: Target) -> None:
        self._show(target, target.id)

    def step(self, target: Target, revision: str) -> None:
        self._show(target, f"{target.id} {revision}")

    def ended(self, outcome: Outcome) -> None:
        line = _line_of(outcome.target)
        bar = self._bars[line]
        self._progress.update(bar, advance=1)
        if outcome.result == "failed":
            self._failed[line] += 1
            self._progress.update(bar, failed=f"{self._failed[line]:,} failed")
            if self._few:
                self._progress.console.print(
                    redact(f"{outcome.target.id}: failed"),
                    style="red",
                    markup=False,
                    highlight=False,
                )

    def _show(self, target: Target, now: str) -> None:
        self._progress.update(self._bars[_line_of(target)], now=redact(now))


def _line_of(target: Target) -> str:
    several = len(target.bind.servers) > 1
    return f"{target.bind.name}@{target.server.name}" if several else target.bind.name


@contextmanager
def _live() -> Iterator[_Live]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[failed]}", style="red", markup=False),
        TextColumn("{task.fields[now]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Live(progress)
