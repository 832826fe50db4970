"""What a revision must not do while it is recorded: reach out of its process.

A recording runs a revision's Python on a machine that only wanted to see its SQL, and twice.  So a
step that would start a program, write a file, or talk to a network is stopped, and is live.
Enters: the Tape of the step that runs now.  Leaves: nothing; `install` is called once in a process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pymysql
from sqlalchemy import event
from sqlalchemy.engine import Engine

from orchestrator.revisions.recording.tape import Tape

# Python documentation, "Audit events table".
_OUTSIDE = frozenset(
    {
        "ftplib.connect",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.mkdir",
        "os.posix_spawn",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.spawn",
        "os.system",
        "os.truncate",
        "shutil.copyfile",
        "shutil.move",
        "shutil.rmtree",
        "smtplib.connect",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.sendto",
        "subprocess.Popen",
        "urllib.Request",
    }
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_watched: list[Tape] = []


@contextmanager
def watching(tape: Tape) -> Iterator[None]:
    """Guard the step of this tape."""
    _watched.append(tape)
    try:
        yield
    finally:
        _watched.pop()


def install() -> None:
    """Set the guards of this process. An audit hook cannot be taken away again."""
    # Compiled files are written on import: those are no doing of the revision.
    sys.dont_write_bytecode = True
    sys.addaudithook(_heard)
    event.listen(Engine, "do_connect", _connects)
    # The two drivers that ship are called without SQLAlchemy too, and connect in C or by `socket`.
    psycopg2.connect = _refusing(psycopg2.connect)
    pymysql.connect = _refusing(pymysql.connect)  # type: ignore[assignment]


def _heard(name: str, details: tuple[Any, ...]) -> None:
    tape = _running()
    if tape is None:
        return
    if name in _OUTSIDE:
        tape.live("reaches-outside", f"it would {name.replace('.', ' ')}")
    if name == "open" and isinstance(details[2], int) and details[2] & _WRITES:
        if details[0] not in (os.devnull, None) and not isinstance(details[0], int):
            tape.live("reaches-outside", f"it would write the file {details[0]}")
    elif name == "sqlite3.connect":
        tape.live("opens-connection", "it opens an SQLite database")


def _connects(*_args: Any) -> None:
    tape = _running()
    if tape is not None:
        tape.live("opens-connection")


def _refusing(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(*args: Any, **kwargs: Any) -> Any:
        _connects()
        return connect(*args, **kwargs)

    return guarded


def _running() -> Tape | None:
    tape = _watched[-1] if _watched else None
    return tape if tape is not None and tape.running else None
