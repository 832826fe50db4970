"""Who runs: the process, the user, the project's commit; and whether a process still lives.

Enters: what the system tells of this process and of others.  Leaves: Process, and texts for people.
"""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from orchestrator.ledger.types import Process, Run, RunResult
from orchestrator.revisions.git import ask_git

HEARTBEAT_SECONDS = 10.0
DEAD_AFTER = timedelta(seconds=60)
"""A run of another host that has not been heard of for so long is dead."""

_GIT_SECONDS = 10.0
# Who started a job, as the documentation of each CI system names it.
_ACTORS = (
    "GITHUB_ACTOR",
    "GITLAB_USER_LOGIN",
    "BUILD_USER_ID",  # Jenkins, build user vars plugin
    "BUILD_REQUESTEDFOREMAIL",  # Azure Pipelines
    "BUILDKITE_BUILD_CREATOR",
    "CIRCLE_USERNAME",
    "DRONE_BUILD_TRIGGER",
)


def this_process() -> Process:
    """This process."""
    pid = os.getpid()
    return Process(socket.gethostname(), pid, birth_of(pid))


def birth_of(pid: int) -> str:
    """The boot, the pid namespace, and the tick since boot in which a process started; "" when
    there is no such process, or the system does not tell.

    proc(5): field 22 of /proc/[pid]/stat, counted behind the command's closing parenthesis.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    # A zombie has ended; nobody has asked for its exit code yet.
    return "" if fields[0] in ("Z", "X") else f"{_system()}/{fields[19]}"


def _system() -> str:
    """What all processes share that see each other by number."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def result_now(run: Run, now: datetime) -> RunResult:
    """What a run's result means: one that says "running" and whose process is gone was interrupted.

    now: on the clock that run.seen was read from.
    """
    if run.result != "running":
        return run.result
    alive = _lives(run.process)
    if alive is None:
        alive = now - run.seen <= DEAD_AFTER
    return "running" if alive else "interrupted"


def _lives(process: Process) -> bool | None:
    """Whether a process lives; None when it cannot be told from here."""
    if process.host != socket.gethostname():
        return None
    if not process.birth:
        return _exists(process.pid)
    if process.birth.rpartition("/")[0] != _system():
        # Another container of the same name, or this one before it was started anew.
        return None
    return birth_of(process.pid) == process.birth


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def who(environ: Mapping[str, str] = os.environ) -> str:
    """The user of this process, and whoever is behind it: "root (SUDO_USER alice)"."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # A container's user that /etc/passwd does not know.
        user = f"uid {os.getuid()}"
    found = [
        f"{name} {environ[name]}"
        for name in ("USER", "SUDO_USER", *_ACTORS)
        if environ.get(name) and environ[name] != user
    ]
    return f"{user} ({', '.join(found)})" if found else user


def git_commit(root: Path) -> str:
    """The commit that is checked out in a project's folder, with "+dirty" behind it when its files
    are others; "" when there is none, or git does not tell."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return ""
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    if not commit:
        return ""
    # What this program keeps there is no change of the project.
    changed = _git(root, "status", "--porcelain", "--", ".", ":(exclude).orchestrator")
    return f"{commit}+dirty" if changed else commit


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = ask_git(root, *arguments, seconds=_GIT_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
