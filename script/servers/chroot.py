"""Real MySQL, which Debian stable does not have: from Debian unstable, in a folder of its own.

Enters: nothing. Leaves: the folder of an installed chroot, kept outside the repository so that
the next run finds it. Raises NotInstallable after two tries: Debian unstable moves, and on some
days packages of it do not fit together.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from servers.debian import apt_install
from servers.running import NotInstallable

_PACKAGES = "mysql-server-core,mysql-client-core"
_MIRROR = "http://deb.debian.org/debian"
_TRIES = 2


def directory() -> Path:
    """Where the chroot is, or will be."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return (Path(cache) / "alembic-orchestrator" / "mysql-sid").resolve()


def client() -> tuple[str, ...]:
    """The arguments that start its client."""
    return ("chroot", str(directory()), "mysql")


def is_installed() -> bool:
    """Whether server and client are there."""
    root = directory()
    return (root / "usr/sbin/mysqld").exists() and (root / "usr/bin/mysql").exists()


def install() -> Path:
    """The chroot's folder, installed when it was not. Raises NotInstallable."""
    if os.geteuid() != 0:
        raise NotInstallable("MySQL runs in a chroot of Debian unstable, which needs root")
    root = directory()
    if is_installed():
        return root
    if shutil.which("debootstrap") is None:
        apt_install("debootstrap")
    root.parent.mkdir(parents=True, exist_ok=True)
    print(f"Installing MySQL of Debian unstable into {root} ...", file=sys.stderr, flush=True)
    said = ""
    for _ in range(_TRIES):
        said = _try_to_install(root)
        if not said:
            return root
    raise NotInstallable(f"debootstrap of {_PACKAGES} failed {_TRIES} times:\n{said}")


def _try_to_install(root: Path) -> str:
    """What debootstrap said, when it failed; else nothing."""
    partial = root.with_name(f"{root.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    done = subprocess.run(
        [
            "debootstrap",
            "--variant=minbase",
            f"--include={_PACKAGES}",
            "sid",
            str(partial),
            _MIRROR,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        log = partial / "debootstrap" / "debootstrap.log"
        more = log.read_text(errors="replace") if log.exists() else ""
        shutil.rmtree(partial, ignore_errors=True)
        return "\n".join((done.stdout + more).splitlines()[-15:])
    # A folder of an older list of packages would make the rename fail.
    shutil.rmtree(root, ignore_errors=True)
    partial.rename(root)
    root.chmod(0o755)
    return ""
