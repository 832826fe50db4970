"""A user's command as a check: it is told a wave's targets, and its exit code decides.

Enters: words, and what the command reads as JSON on stdin.  Leaves: a CheckResult with the last
lines that the command printed.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from orchestrator.execution.rollout.types import CheckResult
from orchestrator.passwords import redact

LINES = 20
"""How many of its last lines are kept."""

LATE = (
    "it was ended after {:g} seconds, the wave's check_timeout: give this rollout more with "
    "`rollout resume --check-timeout DURATION`, and later ones in databases.yaml (rollout."
    "check_timeout, or the wave's own)"
)
"""What is said of a command that took too long."""

_LINE_LENGTH = 500
_COLOUR = re.compile(r"\x1b\[[0-9;:]*[mK]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_KILL_SECONDS = 5.0
"""From SIGTERM to SIGKILL."""
_POLL_SECONDS = 0.1


def run_command(
    words: Sequence[str],
    told: Mapping[str, object],
    root: Path,
    *,
    stopping: Callable[[], bool] = lambda: False,
    seconds: float = 0.0,
) -> CheckResult | None:
    """Run a command in the project's folder. None when it was ended because of `stopping`.
    seconds: how long it may take, 0 for as long as it likes.

    It passes with exit code 0. It has a process group of its own: a terminal's Ctrl-C does not
    reach it, and what it started is ended with it.
    """
    name, began = shlex.join(words), time.monotonic()
    try:
        process = subprocess.Popen(
            words,
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return CheckResult(name, False, f"it cannot be run: {error.strerror or error}")
    lines: deque[str] = deque(maxlen=LINES)
    reader = _beside(_read, process.stdout, lines)
    _beside(_write, process.stdin, json.dumps(told).encode("ascii"))
    words_of_end = _wait(process, began + seconds if seconds else math.inf, stopping)
    took = time.monotonic() - began
    # What it left running may keep its output open.
    reader.join(1.0)
    if words_of_end is None:
        return None
    if words_of_end == "late":
        lines.append(LATE.format(seconds))
    elif process.returncode:
        lines.append(_end_words(process.returncode))
    output = redact("\n".join(lines))
    return CheckResult(name, words_of_end == "ended" and not process.returncode, output, took)


def _end_words(code: int) -> str:
    if code > 0:
        return f"exit code {code}"
    with suppress(ValueError):  # A number without a name.
        return f"it was killed by {signal.Signals(-code).name}"
    return f"it was killed by signal {-code}"


def _wait(
    process: subprocess.Popen[bytes], until: float, stopping: Callable[[], bool]
) -> str | None:
    """ "ended", "late", or None when it was stopped."""
    while True:
        try:
            process.wait(_POLL_SECONDS)
            return "ended"
        except subprocess.TimeoutExpired:
            pass
        if stopping():
            _end(process)
            return None
        if time.monotonic() > until:
            _end(process)
            return "late"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command, and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_KILL_SECONDS)
            return


def _beside(work: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True, name="check")
    thread.start()
    return thread


def _write(stream: IO[bytes], text: bytes) -> None:
    # A command need not read what it is told.
    with suppress(OSError):
        stream.write(text)
    with suppress(OSError):
        stream.close()


def _read(stream: IO[bytes], lines: deque[str]) -> None:
    with suppress(OSError, ValueError):
        # A line that never ends must not fill the memory.
        while part := stream.readline(_LINE_LENGTH):
            lines.append(_readable(part.decode("utf-8", "replace").rstrip("\r\n")))
    with suppress(OSError):
        stream.close()


def _readable(text: str) -> str:
    """A line without what would steer the terminal that shows it: colours are left out, and other
    control characters are shown as one that could not be read."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _COLOUR.sub("", text))
