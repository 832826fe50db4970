"""Commands, timed.

Enters: commands that run side by side.  Leaves: the wall time of all, and the memory that the
largest process took.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


class BenchmarkFailed(Exception):
    """A contender did not do its work; the message holds the end of what it said."""


@dataclass(frozen=True, slots=True)
class Command:
    """One process. stdin: a file it reads."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: Path | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """seconds: wall time. cpu: processor seconds of the commands and of the server they work on.
    peak: bytes of resident memory, of the largest process; 0 when it is less than this harness
    takes. out: stdout."""

    seconds: float
    cpu: float
    peak: int
    out: str


def spend(*commands: Command, server: int | None = None) -> Spent:
    """Run commands side by side. Raises BenchmarkFailed when one fails.

    server: the process whose processor time counts too.
    """
    before = _cpu_of(server)
    with tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        processes = [_start(command, said.fileno()) for command in commands]
        ends = [os.wait4(process.pid, 0) for process in processes]
        seconds = time.perf_counter() - started
        said.seek(0)
        out = said.read()
    for process, command, (_pid, status, _usage) in zip(processes, commands, ends, strict=True):
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            arguments = " ".join(command.arguments[:8])
            raise BenchmarkFailed(f"{arguments} ended with {process.returncode}:\n{out[-_SHOWN:]}")
    peak = max(usage.ru_maxrss for *_, usage in ends)
    # A process inherits the peak of the one that forked it (Linux, fs/exec.c): less is not told.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu = sum(usage.ru_utime + usage.ru_stime for *_, usage in ends)
    if server is not None:
        time.sleep(_LEAVING)
        cpu += _cpu_of(server) - before
    return Spent(seconds, cpu, peak * 1024 if peak > own else 0, out)


# Linux counts as a process's peak also what the one that forked it held (fs/exec.c), so one that
# is small stands between, and asks.
_BETWEEN = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as told:
    told.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


def peak_told(arguments: Sequence[str], told: Path) -> list[str]:
    """The same command, which also writes into the file `told` what memory it took at most; ends
    with its exit code."""
    return [sys.executable, "-I", "-S", "-c", _BETWEEN, str(told), *arguments]


def read_peak(told: Path) -> int:
    """Bytes of resident memory, as a command of `peak_told` wrote them; of it and of each of its
    children alone, the largest."""
    return int(told.read_text(encoding="ascii")) * 1024


_SHOWN = 3000
# PostgreSQL's first process knows what a session took when that session's process has ended.
_LEAVING = 0.2


def _cpu_of(process: int | None) -> float:
    """Processor seconds of a process, and of its children that have ended (proc(5), "stat")."""
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def _start(command: Command, out: int) -> subprocess.Popen[bytes]:
    stdin = command.stdin.open("rb") if command.stdin else None
    try:
        return subprocess.Popen(
            command.arguments,
            cwd=command.folder,
            env={**os.environ, **command.environment},
            stdin=stdin or subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    finally:
        if stdin is not None:
            stdin.close()
