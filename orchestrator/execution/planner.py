"""Planning a command: targets, their states, histories and recordings made into Plans.

Enters: a project, a selection, and a verb with its destinations.  Leaves: Plans, stage by stage:
the caller applies one before it asks for the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator.execution.project import Project
from orchestrator.execution.stages import Stage, staged_targets
from orchestrator.fleet.state import read_fleet
from orchestrator.fleet.targets import Selection
from orchestrator.planning.cohorts import Routes, assemble, group
from orchestrator.planning.paths import Goal, Verb, set_goal
from orchestrator.planning.plan import Plan
from orchestrator.revisions.recordings import Compiled, Listener, compile_cached


@dataclass(frozen=True)
class Request:
    """What a command asks for.

    destinations: as written (REV, +n, bind:REV). purge: plan as from an empty version table.
    record: have every step recorded; not needed to show steps, or for a stamp.
    """

    selection: Selection
    verb: Verb
    destinations: Sequence[str]
    purge: bool = False
    allow_empty: bool = False
    record: bool = True
    listener: Listener = field(default_factory=Listener)


def goal_of(project: Project, request: Request, binds: Sequence[str]) -> Goal:
    """The destinations in these binds. Raises UsageError and HistoryError, before anything runs."""
    return set_goal(project.config, project.histories(binds), request.verb, request.destinations)


def plans(project: Project, request: Request) -> Iterator[Plan]:
    """The plan of each stage, made when it is asked for.

    Raises everything that is wrong with configuration, selection and histories before the first
    plan is given; RecordingError, DiscoveryError and EnvironmentScriptError where recording does.
    """
    stages = staged_targets(project.config, request.selection, allow_empty=request.allow_empty)
    first = next(stages, None)
    if first is None:
        return
    goal = _whole_goal(project, request)
    yield _plan(project, request, goal, first)
    for stage in stages:
        yield _plan(project, request, goal, stage)


def _whole_goal(project: Project, request: Request) -> Goal:
    chosen = [
        name
        for name in project.config.binds
        if not request.selection.binds or name in request.selection.binds
    ]
    project.config.require(offline=chosen)
    return goal_of(project, request, chosen)


def _plan(project: Project, request: Request, goal: Goal, stage: Stage) -> Plan:
    binds = list(dict.fromkeys(target.bind.name for target in stage.targets))
    project.config.require(binds=binds)
    routes = group(
        stage.targets,
        read_fleet(stage.targets),
        project.histories(binds),
        goal,
        purge=request.purge,
    )
    return assemble(routes, record(project, request, routes), unknown=stage.found.unknown)


def record(project: Project, request: Request, routes: Routes) -> list[tuple[Compiled, ...]] | None:
    """The recordings of these routes, None when the request needs none."""
    if not request.record or request.verb == "stamp":
        return None
    return compile_cached(project.config, [one.wanted for one in routes.cohorts], request.listener)
