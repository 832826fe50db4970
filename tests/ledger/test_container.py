"""A file in a container's own layer is told from one on a mount."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.ledger.container import in_container, vanishes

DOCKER = "overlay / overlay rw,relatime 0 0\nproc /proc proc rw 0 0\n"
MACHINE = "/dev/sda1 / ext4 rw 0 0\noverlay /var/lib/docker/x overlay rw 0 0\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a file system of a plain machine."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "mounts").write_text(MACHINE, encoding="utf-8")
    return tmp_path


def test_a_plain_machine(root: Path) -> None:
    assert not in_container(root, {})
    assert not vanishes(root / "app" / "ledger.db", root=root, environ={})


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv"])
def test_marks_of_docker_and_podman(root: Path, mark: str) -> None:
    (root / mark).parent.mkdir(exist_ok=True)
    (root / mark).touch()
    assert vanishes(root / "app" / "ledger.db", root=root, environ={})


def test_kubernetes(root: Path) -> None:
    assert vanishes(root / "ledger.db", root=root, environ={"KUBERNETES_SERVICE_HOST": "10.0.0.1"})


def test_an_overlay_at_the_root(root: Path) -> None:
    (root / "proc" / "mounts").write_text(DOCKER, encoding="utf-8")
    assert vanishes(root / "ledger.db", root=root, environ={})
    (root / "proc" / "mounts").unlink()
    assert not in_container(root, {})


def test_a_mount_of_its_own_stays(root: Path) -> None:
    (root / ".dockerenv").touch()
    mounted = next(
        path
        for path in (Path("/dev/shm"), Path("/proc"))
        if path.exists() and path.stat().st_dev != root.stat().st_dev
    )
    assert not vanishes(mounted / "not" / "yet" / "ledger.db", root=root, environ={})
