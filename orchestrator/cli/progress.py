"""A run as it goes on: live on a terminal, plain lines elsewhere, events for machines.

Everything here goes to stderr; results are printed by the verb when the run has ended.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orchestrator.cli.output import is_terminal, note, redact, revisions
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target
from orchestrator.planning.paths import TargetPlan


class Observer(Protocol):
    """Hears what a run does. started and step come from the run's thread."""

    def started(self, target: Target) -> None: ...

    def step(self, target: Target, revision: str) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...


@contextmanager
def observe(plans: Sequence[TargetPlan], log_format: str) -> Iterator[Observer]:
    """The observer that fits stderr and --log-format."""
    if log_format == "json":
        yield _Events()
    elif is_terminal(sys.stderr):
        with _live(plans) as observer:
            yield observer
    else:
        yield _Lines()


class _Lines:
    """One line a target with steps, and one a step."""

    def started(self, target: Target) -> None:
        """Nothing to say before the first step."""

    def step(self, target: Target, revision: str) -> None:
        note(f"{target.id}: running {revision}")

    def ended(self, outcome: Outcome) -> None:
        if outcome.result == "failed":
            note(f"{outcome.target.id}: failed")
        elif outcome.result == "done":
            note(f"{outcome.target.id}: {revisions(outcome.after)} in {outcome.seconds:.1f} s")


class _Events:
    """One JSON object a line."""

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
        note(json.dumps(line, ensure_ascii=False))


class _Live:
    """A bar for each bind, with the target and revision that run now."""

    def __init__(self, progress: Progress, plans: Sequence[TargetPlan]) -> None:
        self._progress = progress
        counts = Counter(plan.target.bind.name for plan in plans)
        self._bars = {
            bind: progress.add_task(bind, total=count, now="") for bind, count in counts.items()
        }

    def started(self, target: Target) -> None:
        self._show(target, target.id)

    def step(self, target: Target, revision: str) -> None:
        self._show(target, f"{target.id} {revision}")

    def ended(self, outcome: Outcome) -> None:
        bar = self._bars[outcome.target.bind.name]
        self._progress.update(bar, advance=1, now="")
        if outcome.result == "failed":
            self._progress.console.print(
                redact(f"{outcome.target.id}: failed"), style="red", markup=False, highlight=False
            )

    def _show(self, target: Target, now: str) -> None:
        self._progress.update(self._bars[target.bind.name], now=redact(now))


@contextmanager
def _live(plans: Sequence[TargetPlan]) -> Iterator[_Live]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Live(progress, plans)
