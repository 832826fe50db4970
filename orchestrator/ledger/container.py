"""Whether a file stands in a container's own layer, and is lost with it.

Enters: a path.  Leaves: yes or no.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def vanishes(
    file: Path, *, root: Path = Path("/"), environ: Mapping[str, str] = os.environ
) -> bool:
    """Whether this file (or where it is to be made) is on no mount of its own in a container.

    root: where the container's file system starts; other than / in tests.
    """
    if not in_container(root, environ):
        return False
    there = next(one for one in (file, *file.parents) if one.exists())
    return there.stat().st_dev == root.stat().st_dev


def in_container(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process runs in a container: Docker and Podman each leave a file, Kubernetes a
    variable, and others at least their overlay."""
    marks = (root / ".dockerenv", root / "run" / ".containerenv")
    if any(mark.exists() for mark in marks) or "KUBERNETES_SERVICE_HOST" in environ:
        return True
    try:
        mounts = (root / "proc" / "mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    # proc_pid_mounts(5): device, mount point, type; the last one over / counts.
    types = [line.split()[2] for line in mounts.splitlines() if line.split()[1:2] == ["/"]]
    return types[-1:] in (["overlay"], ["fuse-overlayfs"], ["aufs"])
