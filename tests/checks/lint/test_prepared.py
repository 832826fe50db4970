"""Lint on prepared revisions finds exactly what is written in them, on real servers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import URL

from orchestrator.config import Family
from tests.checks.lint.prepared import CASES, Case, Expected, cases_for, prepare
from tests.cli.small import environment

# All of them are tried in the first test's turn.
pytestmark = pytest.mark.timeout(600)

Linted = tuple[Family, Mapping[str, Any]]

_done: dict[str, Linted] = {}
_tried: set[str] = set()


@pytest.fixture
def linted(any_database: Callable[[], URL], tmp_path_factory: pytest.TempPathFactory) -> Linted:
    """Lint of all prepared revisions at once, on each server."""
    url = any_database()
    family: Family = "postgresql" if url.get_backend_name() == "postgresql" else "mysql"
    key = f"{url.host}:{url.port}"
    if key not in _tried:
        _tried.add(key)
        project = prepare(tmp_path_factory.mktemp("lint"), url, family)
        done = subprocess.run(
            [sys.executable, "-m", "tests.checks.lint.prepared"],
            cwd=project.root,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        _done[key] = family, json.loads(done.stdout)
    assert key in _done, "lint did not run"
    return _done[key]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_exactly_what_is_expected_is_found(case: Case, linted: Linted) -> None:
    family, report = linted
    if not case.is_for(family):
        pytest.skip(f"not for {family}")
    found = [
        Expected(one["line"], one["rule"], bool(one["allowed"]))
        for one in report["findings"]
        if one["file"].endswith(f"/{case.name}.py")
    ]
    shown = [
        (one["rule"], one["message"]) for one in report["findings"] if one["bind"] == case.name
    ]
    assert sorted(found) == case.expected(family), shown


def test_the_revisions_that_they_build_on_are_clean(linted: Linted) -> None:
    family, report = linted
    assert [one for one in report["findings"] if one["revision"].endswith("_base")] == []
    unreached = [one["bind"] for one in report["not_checked"]]
    assert sorted(unreached) == sorted(
        case.name
        for case in cases_for(family)
        if any(one.rule == "upgrade-fails" for one in case.expected(family))
    )
    assert report["revisions"] == len(cases_for(family)) + 1
