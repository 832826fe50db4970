"""Rollouts that wait at a gate until a test opens it, and commands on a terminal.

Enters: a fleet on PostgreSQL.  Leaves: processes that drive its rollouts, and what they said.
"""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from tests.cli.small import Said, SmallProject, command, environment
from tests.execution.rollout.fleet import Fleet

GATED = """
op.execute("INSERT INTO applied VALUES ('r2')")
op.execute(
    "DO $$ BEGIN WHILE (SELECT count(*) FROM public.gate) = 0 LOOP PERFORM pg_sleep(0.05); "
    "END LOOP; END $$"
)
op.add_column("items", sa.Column("price", sa.Integer))
"""


def gated(root: Path, url: URL, tenants: int, rules: str, *, ledger: URL | None = None) -> Fleet:
    """A fleet whose targets wait in r2 until the gate is open. ledger: a database's, else a
    file."""
    fleet = Fleet.make(root, [url], tenants, rules, body=GATED, ledger=ledger)
    fleet.sql("t0", "CREATE TABLE public.gate AS SELECT 1 AS open WHERE false")
    return fleet


def open_gate(fleet: Fleet) -> None:
    """Let all go on, those that come later too."""
    fleet.sql("t0", "INSERT INTO public.gate VALUES (1)")


@dataclass
class Running:
    """A command that was started. fleet: the one whose rollout it drives."""

    fleet: Fleet
    process: subprocess.Popen[str]

    def until_waiting(self, targets: int) -> None:
        """Wait until so many targets stand at the gate."""
        self._until(
            lambda: (
                self.fleet.sql(
                    "t0",
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND query LIKE '%%public.gate%%' AND pid <> pg_backend_pid()",
                )
                == [(targets,)]
            )
        )

    def until_asked(self, ask: str) -> None:
        """Wait until somebody has asked this of the rollout."""
        self._until(lambda: self.fleet.view.row.ask == ask)

    def until_told(self, words: str) -> None:
        """Wait for the first line on stderr."""
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert words in line, line + self.said().all

    def said(self) -> Said:
        """What it said in the end."""
        out, err = self.process.communicate(timeout=60)
        return Said(self.process.returncode, out, err)

    def _until(self, true: Any) -> None:
        end = time.monotonic() + 60
        while not true():
            assert self.process.poll() is None, self.said().all
            assert time.monotonic() < end
            time.sleep(0.05)


@contextmanager
def running(fleet: Fleet, *arguments: str) -> Iterator[Running]:
    """A command on the fleet's project; it does not outlive the block."""
    process = fleet.project.start(*arguments)
    try:
        yield Running(fleet, process)
    finally:
        process.kill()
        process.communicate()


def on_terminal(
    project: SmallProject, *arguments: str, typed: str = "", columns: int = 80
) -> tuple[int, str]:
    """Run a command on a terminal of its own. typed: what a person answers. Gives the exit code
    and all that was shown."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environ = {name: value for name, value in environment().items() if name != "COLUMNS"}
    process = subprocess.Popen(
        command(*arguments),
        cwd=project.root,
        env=environ | {"TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        end = time.monotonic() + 90
        while time.monotonic() < end:
            if not select.select([ours], [], [], 0.2)[0]:
                continue
            try:
                shown += os.read(ours, 65_536)
            except OSError:  # Linux tells so that nobody holds the other side any more.
                break
            if typed and b"[y/N]" in shown:
                os.write(ours, typed.encode())
                typed = ""
        code = process.wait(30)
    finally:
        process.kill()
        os.close(ours)
    return code, shown.decode()
