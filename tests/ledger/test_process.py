"""Whose run it is, and whether it still lives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.ledger.process import birth_of, git_commit, result_now, this_process, who
from tests.ledger.made import NOON, run

LATER = NOON + timedelta(hours=1)


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_a_living_process_runs_however_long_nothing_was_heard() -> None:
    assert result_now(run(), LATER) == "running"


def test_a_dead_process_was_interrupted_at_once(other: subprocess.Popen[bytes]) -> None:
    its = run(pid=other.pid, birth=birth_of(other.pid))
    assert result_now(its, NOON) == "running"
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert birth_of(other.pid) == "", "a zombie has ended"
    assert result_now(its, NOON) == "interrupted"
    other.wait()
    assert result_now(its, NOON) == "interrupted"


def test_a_number_that_another_process_has_now() -> None:
    boot = this_process().birth.rpartition("/")[0]
    assert result_now(run(birth=f"{boot}/1"), NOON) == "interrupted"


@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "other"}, {"birth": "another-boot/pid:[1]/5"}],
    ids=["host", "container"],
)
def test_elsewhere_only_what_was_heard_counts(elsewhere: dict[str, object]) -> None:
    its = replace(run(), **elsewhere)  # type: ignore[arg-type]
    assert result_now(its, NOON + timedelta(seconds=59)) == "running"
    assert result_now(its, NOON + timedelta(seconds=61)) == "interrupted"


def test_a_system_that_tells_no_births(other: subprocess.Popen[bytes]) -> None:
    its = run(pid=other.pid, birth="")
    assert result_now(its, LATER) == "running"
    other.kill()
    other.wait()
    assert result_now(its, NOON) == "interrupted"


def test_a_run_that_has_ended_stays_as_it_is() -> None:
    assert result_now(run(result="failed", pid=1, birth="x"), LATER) == "failed"


def test_who_is_behind_it() -> None:
    user = who({})
    assert who({"USER": user}) == user
    behind = {"SUDO_USER": "alice", "GITHUB_ACTOR": "bob", "USER": user, "CIRCLE_USERNAME": ""}
    assert who(behind) == f"{user} (SUDO_USER alice, GITHUB_ACTOR bob)"


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody."""
    known = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *known, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_commit_of_the_project(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == ""
    git(tmp_path, "init", "-q")
    assert git_commit(tmp_path) == "", "a repository without a commit"
    project = tmp_path / "project"
    (project / ".orchestrator").mkdir(parents=True)
    (project / "databases.yaml").write_text("a", encoding="utf-8")
    git(tmp_path, "add", "project/databases.yaml")
    git(tmp_path, "commit", "-q", "-m", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (project / ".orchestrator" / "ledger.db").write_text("x", encoding="utf-8")
    (tmp_path / "beside").write_text("not of this project", encoding="utf-8")
    assert git_commit(project) == commit
    (project / "revision.py").write_text("new", encoding="utf-8")
    assert git_commit(project) == f"{commit}+dirty"


def test_this_process() -> None:
    here = this_process()
    assert here == replace(here, pid=os.getpid(), birth=birth_of(os.getpid()))
    assert here.birth
