"""Server processes: started as an ordinary user, bound to the life of their starter.

Enters: a command. Leaves: a process that listens, or `CannotStart` with the end of its log.
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from servers.running import CannotStart, PortTaken

_START_SECONDS = 90
_STOP_SECONDS = 20
_LOG_LINES = 15
_PORT_TAKEN = "Address already in use"
_PREFIX = "orchestrator-server-"


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now.

    Below the kernel's usual range for outgoing connections (32768 and up): from there, some
    client could take the port before the server does.
    """
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def bound_to_starter(death_signal: str) -> list[str]:
    """What to put before a command: gives up root, and ends with the thread that starts it.

    Database servers refuse to run as root. The signal is set after the user has changed,
    because the kernel forgets it at a change of user.
    """
    drop: list[str] = []
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        drop = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return ["setpriv", *drop, f"--pdeathsig={death_signal}", "--"]


def own_directory(name: str, parent: Path | None = None) -> Path:
    """A new directory that the server's user owns, named after the starter's process."""
    # Without symbolic links: servers tell the place of their data so.
    place = (parent or Path(tempfile.gettempdir())).resolve()
    _sweep(place)
    made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-{name}-", dir=place))
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(made, nobody.pw_uid, nobody.pw_gid)
    return made


def _sweep(place: Path) -> None:
    """Remove what starters left behind that were killed before they could."""
    for left in place.glob(f"{_PREFIX}*"):
        starter = left.name.removeprefix(_PREFIX).partition("-")[0]
        if starter.isdigit() and not Path("/proc", starter).exists():
            shutil.rmtree(left, ignore_errors=True)


def reachable_by_server(path: Path) -> bool:
    """Whether the server's user may enter every directory on the way to `path`."""
    if os.geteuid() != 0:
        return True
    return all(part.stat().st_mode & 0o001 for part in [path, *path.parents] if part.is_dir())


def run_to_end(command: Sequence[str], **environment: str) -> None:
    """Run a preparing command, such as initdb. Raises CannotStart with what it said."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd="/",
        env={**os.environ, **environment},
        check=False,
    )
    if done.returncode:
        raise CannotStart(
            f"{' '.join(command[:8])} ended with {done.returncode}:\n{_tail(done.stdout)}"
        )


@dataclass(slots=True)
class ServerProcess:
    """A server's process, and the directory that goes with it."""

    process: subprocess.Popen[bytes]
    directory: Path
    stop_signal: signal.Signals
    command: Sequence[str]

    def kill(self) -> None:
        """SIGKILL it and its children, and wait until all of them are gone."""
        kill_whole(self.process.pid)
        self.process.wait()

    def start_again(self, answers: Callable[[], str], log: Path) -> int:
        """Run `command` on the same directory. Raises CannotStart."""
        self.process = _popen(self.command, log, "ab")
        self.wait_until(answers, log)
        return self.process.pid

    def wait_until(self, answers: Callable[[], str], log: Path) -> str:
        """What `answers` returns once it no longer raises. Raises CannotStart if it never does."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return answers()
            except Exception as error:  # every driver has its own "not yet"
                if self.process.poll() is not None:
                    why = f"ended with {self.process.returncode}"
                elif time.monotonic() > deadline:
                    why = f"does not answer after {_START_SECONDS} s ({error})"
                else:
                    time.sleep(0.05)
                    continue
            said = _tail(log.read_text(errors="replace"))
            self.stop()
            kind = PortTaken if _PORT_TAKEN in said else CannotStart
            raise kind(f"{self.process.args!r} {why}:\n{said}")

    def stop(self) -> None:
        """End the process, gently at first, and remove its directory."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def kill_whole(pid: int) -> None:
    """SIGKILL a process and its children; when it returns, none of them does anything any more.

    Each child of PostgreSQL's postmaster has a session of its own, and one that is busy goes on,
    and may take its client's next statement, when the postmaster alone dies.
    """
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)  # It starts no more children.
    _wait_for(lambda: _status(pid) in "TZX")
    with suppress(FileNotFoundError, ProcessLookupError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        family = [pid, *map(int, children)]
        for one in family:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        _wait_for(lambda: all(_status(one) in "ZX" for one in family))


def _status(pid: int) -> str:
    """The letter of /proc/PID/stat; "X" when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _wait_for(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    while not there():
        if time.monotonic() > deadline:
            raise CannotStart(f"A server has not ended {_STOP_SECONDS} s after SIGKILL")
        time.sleep(0.001)


def spawn(
    command: Sequence[str],
    directory: Path,
    log: Path,
    stop_signal: signal.Signals,
) -> ServerProcess:
    """Start a server whose data is in `directory`, in a session of its own.

    A Ctrl-C at the terminal reaches the starter alone, which then ends the server in order.
    """
    return ServerProcess(_popen(command, log, "wb"), directory, stop_signal, command)


def _popen(command: Sequence[str], log: Path, mode: str) -> subprocess.Popen[bytes]:
    with log.open(mode) as sink:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-_LOG_LINES:])
