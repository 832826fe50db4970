"""What a signal does to a run: the first one stops it, the second cancels what runs.

Enters: SIGINT, SIGTERM and SIGHUP.  Leaves: calls of what stops the run, and what cancels it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from orchestrator.cli.output import note


@contextmanager
def interruptible(
    stop: Callable[[signal.Signals], None], cancel: Callable[[], None]
) -> Iterator[Callable[[], bool]]:
    """SIGINT, SIGTERM and SIGHUP (a closed terminal) let the running steps end; a second one
    cancels their statements. Gives what tells whether one has come.

    stop, cancel: called from a signal handler.
    """
    heard: list[int] = []

    def hear(number: int, _frame: object) -> None:
        heard.append(number)
        words = (
            "stopping after the running steps; once more to cancel them on the server"
            if len(heard) == 1
            else "cancelling the running statements"
        )
        # The signal may have come in the middle of another line to stderr: then Python refuses to
        # print, and stopping matters more than saying so.
        with suppress(RuntimeError):
            note(words)
        if len(heard) == 1:
            stop(signal.Signals(number))
        else:
            cancel()

    # Under nohup, SIGHUP is ignored when the process starts, and stays so.
    numbers = [signal.SIGINT, signal.SIGTERM]
    numbers += [signal.SIGHUP] * (signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN)
    before = {number: signal.signal(number, hear) for number in numbers}
    try:
        yield lambda: bool(heard)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
