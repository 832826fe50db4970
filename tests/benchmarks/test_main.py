"""The benchmark still runs: every case, as small as it can be, with every contender.

Each contender's work is looked at in the databases (benchmarks.contenders.check), so a peer that
does nothing fails here too.  Figures mean nothing at this size.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.cases import CASES, SIMULATED, Case
from servers import PASSWORD

REPOSITORY = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        find_spec("django_tenants") is None, reason="the dependency group bench is not installed"
    ),
]


def run(name: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--case", name, "--rounds=1", "--scale=0.01"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'script'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"case-{case.name}")
def test_every_contender_does_its_work(case: Case) -> None:
    printed = run(case.name)
    assert f"### ({case.name}) {case.title}" in printed
    for contender in case.peers:
        assert contender.name in printed
    # A goal of which nothing is said was not judged.
    assert len(re.findall("reached$", printed, re.MULTILINE)) == len(case.goals)


def test_a_simulated_fleet_is_planned() -> None:
    printed = run(SIMULATED.name)
    assert len(re.findall("reached$", printed, re.MULTILINE)) == 2
