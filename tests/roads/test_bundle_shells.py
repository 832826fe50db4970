"""run-all.sh is plain POSIX: it runs in every shell that is here, and says what is wrong with how
it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import DatabaseFactory
from tests.databases.bundles import Ran, results
from tests.roads.bundled import Bundled

SHELLS = [
    shell
    for shell in (["dash"], ["busybox", "sh"], ["mksh"], ["bash", "--posix"], ["yash"])
    if shutil.which(shell[0])
]


def test_every_shell(tmp_path: Path, any_database: DatabaseFactory) -> None:
    fleet = Bundled.make(tmp_path, any_database(), 4)
    folder = fleet.bundle()
    assert SHELLS
    for shell in SHELLS:
        listed = _run(fleet, folder, shell, "-n")
        assert (listed.code, listed.said.count(".up.sql\n")) == (0, 4), listed.said
        one = _run(fleet, folder, shell, "-t", "t1")
        assert (one.code, len(results(folder))) == (0, 1), one.said
        there = _run(fleet, folder, shell, "-j", "2", "-b", "shop", "-s", "default")
        assert "3 of 4 targets to run" in there.said
        assert there.code == 0, there.said
        assert {row["result"] for row in results(folder).values()} == {"done"}
        back = _run(fleet, folder, shell, "-u", "-j", "2")
        assert back.code == 0, back.said
        for name in ("results.csv", "results-undo.csv"):
            (folder / name).unlink()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-j", "x"], "run-all.sh: x is no number"),
        (["-j", "0"], "run-all.sh: -j needs at least 1"),
        (["-x"], "usage: ./run-all.sh"),
    ],
)
def test_how_it_is_called(tmp_path: Path, arguments: list[str], words: str) -> None:
    script = Path(__file__).parents[2] / "orchestrator/planning/bundle/run-all.sh"
    shutil.copy(script, tmp_path)
    done = subprocess.run(
        ["sh", "run-all.sh", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr


def _run(fleet: Bundled, folder: Path, shell: list[str], *arguments: str) -> Ran:
    done = subprocess.run(
        [*shell, "./run-all.sh", *arguments],
        cwd=folder,
        env={**os.environ, **fleet.environment()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ran(done.returncode, done.stdout + done.stderr)
