"""Git, asked as a program about the project's folder; nothing is changed.

Enters: a folder and Git's arguments.  Leaves: what it said.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def ask_git(root: Path, *arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """What Git says within so many seconds; names of files that are no UTF-8 come back as they
    are written. Raises OSError where it cannot be run, and subprocess.TimeoutExpired."""
    return subprocess.run(
        # Reading must neither start a daemon that watches the folder nor write the index anew.
        ["git", "-c", "core.fsmonitor=false", "-C", str(root), *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    )
