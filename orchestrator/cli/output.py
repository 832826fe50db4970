"""What every verb prints with: results on stdout, messages on stderr, passwords nowhere."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any

from orchestrator.errors import Problem

if TYPE_CHECKING:
    from rich.console import RenderableType

_URL_PASSWORD = re.compile(r"(?P<head>[a-z0-9+]+://[^\s:/@]*):[^\s@]+@", re.IGNORECASE)
_SHORTEST_SECRET = 6

_secrets: set[str] = set()


def keep_secret(texts: Iterable[str]) -> None:
    """Texts (passwords of the configuration's URLs) that no output may hold from now on.

    Very short ones are left to the URL rule of `redact`: blotting "app" out of every line would
    hide more than it protects.
    """
    _secrets.update(text for text in texts if len(text) >= _SHORTEST_SECRET)


def redact(text: str) -> str:
    """The text with every password blotted out: known ones, and what stands in a URL."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _URL_PASSWORD.sub(r"\g<head>:***@", text)


def say(text: str = "") -> None:
    """A line of the result, on stdout."""
    print(redact(text))


def print_rich(renderable: RenderableType) -> None:
    """A result that rich lays out, on stdout: as wide as the terminal, or as its lines need to be
    where nobody looks on."""
    from rich.console import Console  # only verbs that draw pay for it

    console = Console(width=None if is_terminal(sys.stdout) else 1_000, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    for line in capture.get().splitlines():
        say(line.rstrip())


def note(text: str = "") -> None:
    """A message, on stderr."""
    print(redact(text), file=sys.stderr, flush=True)


def print_problems(problems: Iterable[Problem]) -> None:
    """Problems on stderr, one after the other."""
    for problem in problems:
        note(f"error: {problem}")


def print_json(value: Any) -> None:
    """A machine-readable result on stdout."""
    print(redact(json.dumps(value, indent=2, ensure_ascii=False)))


def is_terminal(stream: IO[str]) -> bool:
    """Whether a person is looking at this stream."""
    return stream.isatty()


def plural(count: int, noun: str) -> str:
    """ "1 target", "3 targets"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def revisions(state: Iterable[str]) -> str:
    """A state for people: its revisions, or "base"."""
    return ", ".join(state) or "base"
