"""What every verb prints with: results on stdout, messages on stderr, passwords nowhere."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from orchestrator.errors import Problem

if TYPE_CHECKING:
    from rich.console import RenderableType

# As SQLAlchemy writes URLs: it leaves spaces as they are.
_SPACED_PASSWORD = re.compile(r"(?P<head>[a-z0-9+]+://[^:/@\n]*):[^:/@\n]*@", re.IGNORECASE)
# As people do: up to the last @, because a password that nobody encoded may hold one too.
_URL_PASSWORD = re.compile(r"(?P<head>[a-z0-9+]+://[^\s:/@]*):[^\s]+@", re.IGNORECASE)
_QUERY_PASSWORD = re.compile(r"(?P<head>[?&][a-z_]*pass(?:word|wd)?=)[^&\s\"']+", re.IGNORECASE)
_SHORTEST_SECRET = 6

_secrets: set[str] = set()
_lost: list[OSError] = []
"""Why results could not be written, other than for want of a reader."""


def keep_secret(texts: Iterable[str]) -> None:
    """Texts (passwords of the configuration's URLs) that no output may hold from now on.

    Very short ones are left to the URL rule of `redact`: blotting "app" out of every line would
    hide more than it protects.
    """
    for text in texts:
        if len(text) >= _SHORTEST_SECRET:
            _secrets.update(_spellings(text))


def _spellings(secret: str) -> set[str]:
    """A secret as URLs, JSON and Python's repr() write it."""
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote(secret, safe=" +"),  # sqlalchemy/engine/url.py
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }


def redact(text: str) -> str:
    """The text with every password blotted out: known ones, and what stands in a URL."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _SPACED_PASSWORD.sub(r"\g<head>:***@", text)
    text = _URL_PASSWORD.sub(r"\g<head>:***@", text)
    return _QUERY_PASSWORD.sub(r"\g<head>***", text)


def say(text: str = "") -> None:
    """A line of the result, on stdout."""
    _print(redact(text), sys.stdout)


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


def plural(count: int, noun: str) -> str:
    """ "1 target", "3 targets"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def revisions(state: Iterable[str]) -> str:
    """A state for people: its revisions, or "base"."""
    return ", ".join(state) or "base"
