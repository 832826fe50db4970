"""Case g: planning for a fleet that is only simulated, its states given and no server asked.

Enters: a project's folder; its tenants are the fleet.  Leaves: the seconds from reading
databases.yaml to the finished plan on stdout, and the process's peak memory for whoever waits for
it.  A process of its own (`python -m benchmarks.simulate FOLDER`), because memory is measured.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from benchmarks.history import FIRST, revision_id
from orchestrator.config import Flavour
from orchestrator.execution.project import Project
from orchestrator.fleet.state import FleetState
from orchestrator.fleet.targets import Selection, select_targets
from orchestrator.fleet.types import State, Target
from orchestrator.planning.cohorts import assemble, group
from orchestrator.planning.paths import set_goal
from orchestrator.planning.plan import Plan
from orchestrator.revisions.recordings import compile_cached

_FLAVOUR = Flavour("postgresql", (18,))


def plan_fleet(root: Path) -> Plan:
    """The plan of all tenants, which stand at every revision there is, in turn."""
    project = Project.open(root=root)
    targets = select_targets(project.config, Selection(everything=True))
    histories = project.histories()
    goal = set_goal(project.config, histories, "upgrade", ["head"])
    routes = group(targets, _states(targets), histories, goal)
    compiled = compile_cached(project.config, [route.wanted for route in routes.cohorts])
    return assemble(routes, compiled)


def _states(targets: tuple[Target, ...]) -> FleetState:
    states = tuple(
        State("known", (revision_id(place),) if (place := index % (FIRST + 1)) else ())
        for index in range(len(targets))
    )
    return FleetState(states, {(one.bind.name, one.server.name): _FLAVOUR for one in targets})


def main() -> None:
    """Plan, and print the seconds."""
    started = time.perf_counter()
    plan = plan_fleet(Path(sys.argv[1]))
    seconds = time.perf_counter() - started
    assert len(plan.cohorts) == FIRST + 1
    assert not plan.blocked
    print(seconds)


if __name__ == "__main__":
    main()
