"""Progress on a terminal: a bar for each bind and server.

Enters: what an Observer (see `progress`) hears.  Leaves: bars on stderr, gone when the run has
ended. Imported by `progress` when there is a terminal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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

from orchestrator.cli.output import redact
from orchestrator.cli.waits import Waits
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target


class _Rate(ProgressColumn):
    """Targets a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


class Bars:
    """A bar for each bind and server, with what runs there now."""

    def __init__(self, progress: Progress, few: int) -> None:
        self._progress = progress
        self._most = few
        self._bars: dict[str, TaskID] = {}
        self._failed: Counter[str] = Counter()
        self._few = True
        self._waits = Waits(self._above)

    def planned(self, targets: Sequence[Target]) -> None:
        for line, count in Counter(map(_line_of, targets)).items():
            self._bars[line] = self._progress.add_task(line, total=count, now="", failed="")
        self._few = len(targets) <= self._most

    def started(self, target: Target) -> None:
        self._show(target, target.id)

    def step(self, target: Target, revision: str) -> None:
        self._show(target, f"{target.id} {revision}")

    def waiting(self, target: Target, words: str) -> None:
        self._waits.heard(target, words)

    def ended(self, outcome: Outcome) -> None:
        line = _line_of(outcome.target)
        bar = self._bars[line]
        self._progress.update(bar, advance=1)
        if outcome.result == "failed":
            self._failed[line] += 1
            self._progress.update(bar, failed=f"{self._failed[line]:,} failed")
            if self._few:
                self._above(f"{outcome.target.id}: failed", "red")
        self._waits.look()

    def _above(self, text: str, style: str = "") -> None:
        """A line above the bars."""
        self._progress.console.print(redact(text), style=style, markup=False, highlight=False)

    def _show(self, target: Target, now: str) -> None:
        self._progress.update(self._bars[_line_of(target)], now=redact(now))


def _line_of(target: Target) -> str:
    several = len(target.bind.servers) > 1
    return f"{target.bind.name}@{target.server.name}" if several else target.bind.name


@contextmanager
def bars(*, few: int) -> Iterator[Bars]:
    """Bars on stderr while it is entered. few: up to so many targets each failure is told."""
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
        yield Bars(progress, few)
