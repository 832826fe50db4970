"""Errors carry all their problems, their words and their exit code."""

from __future__ import annotations

import pytest

from orchestrator import errors
from orchestrator.errors import OrchestratorError, Problem


def test_a_problem_in_words() -> None:
    assert str(Problem("it is wrong")) == "it is wrong"
    assert str(Problem("it is wrong", "a.yaml:3", "binds.x", "Mend it.")) == (
        "a.yaml:3: binds.x: it is wrong\n    Mend it."
    )


def test_one_problem_or_many() -> None:
    one, other = Problem("one"), Problem("other", todo="Do it.")
    assert OrchestratorError(one).problems == (one,)
    many = OrchestratorError(problem for problem in (one, other))
    assert many.problems == (one, other)
    assert str(many) == "one\nother\n    Do it."


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("UsageError", 2),
        ("EmptySelection", 2),
        ("ConfigError", 2),
        ("DiscoveryError", 2),
        ("HistoryError", 2),
        ("EnvironmentScriptError", 2),
        ("RecordingError", 1),
        ("DatabaseError", 1),
    ],
)
def test_exit_codes(name: str, code: int) -> None:
    kind: type[OrchestratorError] = getattr(errors, name)
    assert kind(Problem("x")).exit_code == code
