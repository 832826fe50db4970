"""Debian's package manager, for servers that are missing.

Enters: package names. Leaves: they are installed, and no service runs because of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.running import NotInstallable

# https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt: 101 forbids the action.
_POLICY = Path("/usr/sbin/policy-rc.d")
_FORBID = "#!/bin/sh\nexit 101\n"


def apt_install(*packages: str) -> None:
    """Install Debian packages. Raises NotInstallable with the command when that cannot be."""
    wanted = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise NotInstallable(f"Not installed, and there is no apt-get: install {wanted} yourself")
    if os.geteuid() != 0:
        raise NotInstallable(f"Not installed: run `sudo apt-get install {wanted}`, then try again")
    print(f"Installing {wanted} ...", file=sys.stderr, flush=True)
    with _no_service_starts():
        if _apt("install", *packages):
            _apt("update")
            said = _apt("install", *packages)
            if said:
                raise NotInstallable(f"apt-get install {wanted} failed:\n{said}")


def _apt(verb: str, *packages: str) -> str:
    """What apt-get said, when it failed; else nothing."""
    done = subprocess.run(
        ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300", verb]
        + (["--no-install-recommends", *packages] if packages else []),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    return "\n".join(done.stdout.splitlines()[-15:]) if done.returncode else ""


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian's packages start their service when they are installed; these must not."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text(_FORBID)
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
