"""A rollout drawn by rich: its waves as bars, and under them what failed.

Enters: a Picture.  Leaves: what rich prints, made for 80 columns.  Imported where something is
drawn.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.cli.output import named, plural, redact
from orchestrator.cli.rollout.picture import (
    Picture,
    bad_words,
    headline,
    next_words,
    through,
    total_words,
    wave_words,
    who_words,
)
from orchestrator.cli.summary import Cause, causes
from orchestrator.ledger.rollout_types import WaveCount

CAUSES = 5
NAMES = 3
_MESSAGE = 150
"""Characters of a message that are shown: two lines."""
_BAD = len("99 failed")
_PACE = len("1,000/s, 10 min 00 s left")
_COLOURS = {
    "done": "green",
    "running": "cyan",
    "checking": "cyan",
    "soaking": "cyan",
    "paused": "yellow",
    "waiting": "dim",
    "stopped": "red",
    "interrupted": "red",
    "aborted": "red",
}


def screen(picture: Picture, *, live: bool = False) -> RenderableType:
    """One screen of a rollout. live: it goes on, so that what to do next is not told yet."""
    return Group(*_parts(picture, live=live))


def _parts(picture: Picture, *, live: bool) -> Iterator[RenderableType]:
    row = picture.view.row
    yield Text.assemble(
        (f"rollout {row.id}", "bold"), "  ", (headline(picture), _colour(picture.view.status))
    )
    yield Text(redact(who_words(picture)), style="dim", overflow="ellipsis", no_wrap=True)
    yield Text(f"plan {row.digest}", style="dim", overflow="ellipsis", no_wrap=True)
    if row.reverts:
        yield Text(f"reverts {row.reverts}")
    yield Text()
    yield _table(picture, live=live)
    if picture.running:
        yield Text()
        yield Text(
            redact("now  " + ", ".join(picture.running)),
            style="dim",
            overflow="ellipsis",
            no_wrap=True,
        )
    yield from _failed(picture)
    if row.reason and picture.view.status != "running":
        yield Text()
        yield Text(redact(row.reason), style=_colour(picture.view.status))
    total = picture.total
    told = () if live else tuple(next_words(picture.view, total.failed + total.different))
    if told:
        yield Text()
    for words in told:
        yield Text(words)


def _table(picture: Picture, *, live: bool) -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=20)
    grid.add_column(ratio=1, min_width=10)
    grid.add_column(justify="right", no_wrap=True)
    # Bars that grow and shrink with the words beside them cannot be compared.
    grid.add_column(no_wrap=True, style="red", min_width=_BAD if live else None)
    grid.add_column(no_wrap=True, min_width=_PACE if live else 7)
    for wave, count in picture.waves:
        words = wave_words(picture, wave, count)
        style = _colour(words)
        current = wave.number == picture.view.row.wave
        grid.add_row(
            Text(wave.name, style="bold" if current else ""),
            _bar(count, style),
            f"{through(count):,}/{count.total:,}",
            bad_words(count),
            Text(words, style=style),
        )
    if len(picture.view.waves) > 1:
        total = picture.total
        grid.add_row(
            Text("all", style="dim"),
            _bar(total, "dim"),
            f"{through(total):,}/{total.total:,}",
            bad_words(total),
            Text(total_words(picture), style="dim"),
        )
    return grid


def _bar(count: WaveCount, style: str) -> ProgressBar:
    return ProgressBar(
        total=max(count.total, 1),
        completed=through(count) if count.total else 1,
        complete_style=style,
        finished_style="green" if not (count.failed or count.different) else "yellow",
    )


def _failed(picture: Picture) -> Iterator[RenderableType]:
    groups = sorted(causes(picture.failed).values(), key=lambda one: -len(one.targets))
    if groups:
        yield Text()
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", style="red", no_wrap=True)
    grid.add_column(overflow="fold")
    for group in groups[:CAUSES]:
        message = redact(group.example.failure.message).partition("\n")[0]
        if len(message) > _MESSAGE:
            message = f"{message[: _MESSAGE - 1]}…"
        grid.add_row(f"{len(group.targets):,}", Text(message))
        grid.add_row("", Text(_where(group), style="dim", no_wrap=True, overflow="ellipsis"))
    if groups:
        yield grid
    if len(groups) > CAUSES:
        rest = sum(len(one.targets) for one in groups[CAUSES:])
        yield Text(f"and {plural(rest, 'target')} for {len(groups) - CAUSES} other causes")


def _where(group: Cause) -> str:
    one = group.example
    revision = f"revision {one.failure.revision}: " if one.failure.revision else ""
    return revision + named(group.targets, NAMES)


def _colour(words: str) -> str:
    first = words.partition(",")[0]
    return "cyan" if first.endswith("/s") else _COLOURS.get(first, "")
