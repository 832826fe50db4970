"""Case g, round by round.

Enters: a folder.  Leaves: `Simulated`.  Each round is a process of its own (benchmarks.simulate).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.cases import SIMULATED, SimulatedCase
from benchmarks.history import FIRST
from benchmarks.measure import Command, spend
from benchmarks.site import lay_out_project, names


@dataclass(frozen=True, slots=True)
class Simulated:
    """What planning took: median seconds, and the most bytes of any round."""

    case: SimulatedCase
    size: int
    seconds: float
    peak: int


def run_simulated(root: Path, *, rounds: int, scale: float) -> Simulated:
    """Plan the fleet; recordings are kept from a first run that does not count."""
    size = max(FIRST + 1, round(SIMULATED.targets * scale))
    lay_out_project(root, "postgresql-18", "schema", FIRST + 1, names(size))
    command = Command(
        [sys.executable, "-m", "benchmarks.simulate", str(root)],
        Path(__file__).parents[1],
        {"BENCH_URL": "postgresql://nobody@localhost/nowhere"},
    )
    spend(command)
    spent = [spend(command) for _ in range(rounds)]
    seconds = median(float(one.out.split()[-1]) for one in spent)
    return Simulated(SIMULATED, size, seconds, max(one.peak for one in spent))
