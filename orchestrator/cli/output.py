"""What every verb prints with: results on stdout, messages on stderr, passwords nowhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any

from orchestrator.errors import Problem
from orchestrator.passwords import keep_secret as keep_secret
from orchestrator.passwords import redact as redact

if TYPE_CHECKING:
    from rich.console import RenderableType

NAMED = 8
"""So many names of a longer list are told."""

_lost: list[OSError] = []
"""Why results could not be written, other than for want of a reader."""


def say(text: str = "") -> None:
    """A line of the result, on stdout."""
    _print(redact(text), sys.stdout)


def print_table(lines: Sequence[Sequence[str]]) -> None:
    """Lines on stdout, each column as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        say("  ".join(cells).rstrip())


def print_rich(renderable: RenderableType) -> None:
    """A result that rich lays out, on stdout: as wide as the terminal, or as its lines need to be
    where nobody looks on."""
    from rich.console import Console  # only verbs that draw pay for it

    console = Console(width=None if is_terminal(sys.stdout) else 1_000, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    for line in capture.get().splitlines():
        say(line.rstrip())


def say_bytes(data: bytes) -> None:
    """A result that is no text for a terminal (SQL, exactly as it must reach the server)."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        _lose(error, sys.stdout)


def note(text: str = "") -> None:
    """A message, on stderr."""
    _print(redact(text), sys.stderr)


def _print(text: str, stream: IO[str]) -> None:
    """Print a line. A reader that went away (`| head`) or a full disk stops the words, never the
    work."""
    try:
        # In one piece: lines of several threads would stand inside each other.
        stream.write(f"{text}\n")
        if stream is sys.stderr:
            stream.flush()
    except OSError as error:
        _lose(error, stream)


def flush() -> OSError | None:
    """Write out what is left of the results. Gives the error that lost some of them, such as a
    full disk; a reader that went away is none."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _lose(error, sys.stdout)
    return _lost[0] if _lost else None


def _lose(error: OSError, stream: IO[str]) -> None:
    """Send all that is still to be printed to nowhere, and keep why results were lost."""
    if stream is sys.stdout and not isinstance(error, BrokenPipeError):
        _lost.append(error)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def print_problems(problems: Iterable[Problem]) -> None:
    """Problems on stderr, one after the other."""
    for problem in problems:
        note(f"error: {problem}")


def print_json(value: Any) -> None:
    """A machine-readable result on stdout."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def is_terminal(stream: IO[str]) -> bool:
    """Whether a person is looking at this stream."""
    return stream.isatty()


def named(names: Iterable[str], most: int = NAMED) -> str:
    """The first of many names, and how many there are more: "acme, globex and 12 more"."""
    known = list(names)
    more = len(known) - most
    return ", ".join(known[:most]) + (f" and {more:,} more" if more > 0 else "")


def plural(count: int, noun: str) -> str:
    """ "1 target", "3 targets"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def lasting(seconds: float) -> str:
    """A length of time for people: "43 s", "3 min 04 s", "1 h 02 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def revisions(state: Iterable[str]) -> str:
    """A state for people: its revisions, or "base"."""
    return ", ".join(state) or "base"
