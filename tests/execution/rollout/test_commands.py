"""A user's command as a check: what it is told, what its end means, and that it always ends."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from orchestrator import passwords
from orchestrator.execution.rollout.commands import LATE, LINES, run_command
from orchestrator.execution.rollout.types import CheckResult


def python(root: Path, code: str, **options: object) -> CheckResult:
    """Run Python code as a check; it must not be stopped."""
    result = run_command([sys.executable, "-c", code], {"wave": "one"}, root, **options)  # type: ignore[arg-type]
    assert result is not None
    return result


def test_it_reads_json_and_passes_with_exit_code_0(tmp_path: Path) -> None:
    code = "import json, os, sys; print(json.load(sys.stdin)['wave'], os.getcwd())"
    result = python(tmp_path, code)
    assert result.passed
    assert result.output == f"one {tmp_path}"


def test_another_exit_code_fails_with_the_last_lines_of_both_streams(tmp_path: Path) -> None:
    code = (
        "import sys\nfor n in range(500): print(n)\nsys.stdout.flush()\n"
        "print('no room', file=sys.stderr); sys.exit(3)"
    )
    result = python(tmp_path, code)
    assert not result.passed
    lines = result.output.splitlines()
    assert lines[-2:] == ["no room", "exit code 3"]
    assert len(lines) == LINES


def test_one_that_was_killed_is_said_so(tmp_path: Path) -> None:
    result = python(tmp_path, "import os; print('dying', flush=True); os.kill(os.getpid(), 9)")
    assert not result.passed
    assert result.output == "dying\nit was killed by SIGKILL"


def test_one_that_reads_nothing_does_not_hold_the_rest(tmp_path: Path) -> None:
    """More than a pipe takes."""
    told = {"targets": ["x" * 100] * 10_000}
    result = run_command([sys.executable, "-c", "print('ok')"], told, tmp_path)
    assert result is not None
    assert result.passed, result.output


def test_a_script_of_the_project_is_found_there(tmp_path: Path) -> None:
    script = tmp_path / "look"
    script.write_text("#!/bin/sh\necho here\n")
    script.chmod(0o755)
    result = run_command(["./look"], {}, tmp_path)
    assert result == CheckResult("./look", True, "here", result.seconds if result else 0)


@pytest.mark.parametrize("words", [["./missing"], ["no-such-program-anywhere"]])
def test_one_that_cannot_be_run_fails(tmp_path: Path, words: list[str]) -> None:
    result = run_command(words, {}, tmp_path)
    assert result is not None
    assert not result.passed
    assert "cannot be run: No such file" in result.output


def test_one_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    began = time.monotonic()
    result = python(tmp_path, code, seconds=1.0)
    assert time.monotonic() - began < 20
    assert not result.passed
    child, last = result.output.splitlines()
    assert last.startswith("it was ended after 1 seconds, the wave's check_timeout: ")
    until = time.monotonic() + 5
    while _lives(int(child)):
        assert time.monotonic() < until
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_one_that_hears_no_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.execution.rollout.commands._KILL_SECONDS", 0.3)
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('deaf', flush=True); time.sleep(60)"
    )
    result = python(tmp_path, code, seconds=1.0)
    assert result.output.splitlines() == ["deaf", LATE.format(1)]


def test_stopping_ends_it_without_a_result(tmp_path: Path) -> None:
    began = time.monotonic()
    words = [sys.executable, "-c", "import time; time.sleep(60)"]
    result = run_command(words, {}, tmp_path, stopping=lambda: time.monotonic() - began > 0.5)
    assert result is None
    assert time.monotonic() - began < 20


def test_what_it_leaves_running_does_not_hold_the_result(tmp_path: Path) -> None:
    """A daemon that keeps the output open."""
    began = time.monotonic()
    result = run_command(["sh", "-c", "sleep 12 & echo done"], {}, tmp_path)
    assert time.monotonic() - began < 10
    assert result is not None
    assert result.passed
    assert result.output == "done"


def test_no_password_is_in_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_secrets", set())
    passwords.keep_secret(["sesame-open"])
    result = python(tmp_path, "print('with sesame-open at postgresql://a:b@h/d')")
    assert result.output == "with *** at postgresql://a:***@h/d"


def test_it_has_a_session_of_its_own(tmp_path: Path) -> None:
    """A terminal's Ctrl-C is for the rollout alone."""
    result = python(tmp_path, "import os; print(os.getsid(0))")
    assert int(result.output) != os.getsid(0)


def test_what_it_prints_does_not_steer_the_terminal(tmp_path: Path) -> None:
    code = r"print('\x1b[31mred\x1b[0m\ttab'); print('a\x1b]0;title\x07b\x00c\x9bd')"
    result = python(tmp_path, code)
    assert result.output == "red\ttab\na\ufffd]0;title\ufffdb\ufffdc\ufffdd"
