"""Planning with everything it needs: targets, their states from the servers, recordings.

Enters: a project, a selection, and a verb with its destinations.  Leaves: Plans: one of everything
that can be known now, or stage by stage, where the caller applies one before it asks for the next.
The thinking is in `planning.cohorts`; here is its I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.config import Bind
from orchestrator.execution.project import Project
from orchestrator.execution.stages import staged_targets
from orchestrator.fleet.state import FleetState, read_fleet
from orchestrator.fleet.targets import Found, Selection, find_targets, selected_binds
from orchestrator.fleet.types import Target, UnknownTenants
from orchestrator.planning.cohorts import assemble, group
from orchestrator.planning.paths import Goal, Verb, set_goal
from orchestrator.planning.plan import Plan, Waiting
from orchestrator.planning.planfile import PlanFile
from orchestrator.planning.planfile_resume import Resumed, resume, wanted_again
from orchestrator.revisions.history import History
from orchestrator.revisions.recordings import Compiled, Listener, Wanted, compile_cached


@dataclass(frozen=True)
class Request:
    """What a command asks for.

    destinations: as written (REV, +n, bind:REV). purge: plan as from an empty version table.
    record: have every step recorded; it is not needed to show which steps there are. read: tells
    where targets stand; the servers do, unless somebody has written it down.
    """

    selection: Selection
    verb: Verb
    destinations: Sequence[str]
    purge: bool = False
    allow_empty: bool = False
    record: bool = True
    listener: Listener = field(default_factory=Listener)
    read: Callable[[Sequence[Target]], FleetState] = read_fleet


@dataclass(frozen=True)
class Planner:
    """Plans one command. histories: of the binds that can take part."""

    project: Project
    request: Request
    histories: Mapping[str, History]
    goal: Goal

    @classmethod
    def of(cls, project: Project, request: Request) -> Planner:
        """Read what the command asks for. Raises UsageError and HistoryError, before anything is
        touched."""
        binds = [bind.name for bind in _taking_part(project, request.selection)]
        project.config.require(offline=binds)
        histories = project.histories(binds)
        goal = set_goal(project.config, histories, request.verb, request.destinations)
        return cls(project, request, histories, goal)

    @property
    def left_alone(self) -> tuple[str, ...]:
        """The binds that do not know the destination, and take no part."""
        return tuple(name for name in self.histories if name not in self.goal.destinations)

    def plan(self) -> Plan:
        """The plan of all targets that can be known now. Raises what `find_targets` and
        `compile_cached` raise."""
        config, request = self.project.config, self.request
        found = find_targets(config, request.selection, allow_empty=request.allow_empty)
        return self._plan(found, *_untold(found.unknown))

    def stages(self) -> Iterator[Plan]:
        """The plan of each stage, made when it is asked for."""
        config, request = self.project.config, self.request
        for stage in staged_targets(config, request.selection, allow_empty=request.allow_empty):
            # What is not known in its turn waits for nothing any more.
            yield self._plan(stage.found, (), stage.found.unknown)

    def _plan(
        self, found: Found, waiting: Sequence[Waiting], unknown: Sequence[UnknownTenants]
    ) -> Plan:
        targets = self.project.in_order(found.targets)
        self.project.config.require(binds=dict.fromkeys(t.bind.name for t in targets))
        purge = self.request.purge
        routes = group(targets, self.request.read(targets), self.histories, self.goal, purge=purge)
        compiled = None
        if self.request.record and self.goal.verb != "stamp":
            wanted = [route.wanted for route in routes.cohorts]
            compiled = compile_cached(self.project.config, wanted, self.request.listener)
        return assemble(routes, compiled, waiting, unknown)


def _untold(
    unknown: Sequence[UnknownTenants],
) -> tuple[list[Waiting], list[UnknownTenants]]:
    """Tenants that come with another bind, and those that are not told for another reason."""
    return [Waiting(one.bind.name, one.after) for one in unknown if one.after], [
        one for one in unknown if not one.after
    ]


def _taking_part(project: Project, selection: Selection) -> list[Bind]:
    """The selected binds that can have a selected target, as far as options say."""
    return [
        bind
        for bind in selected_binds(project.config, selection)
        if (bind.tenancy is not None or not selection.tenants)
        and (not selection.servers or not bind.servers.keys().isdisjoint(selection.servers))
    ]


def record_again(
    project: Project, file: PlanFile, name: str, listener: Listener
) -> tuple[tuple[Wanted, ...], list[tuple[Compiled, ...]]]:
    """The paths of a plan file, and what they are recorded as now. name: the plan file's, for
    messages. Raises what `wanted_again` and `compile_cached` raise, and HistoryError."""
    binds = list(dict.fromkeys(cohort.bind for cohort in file.cohorts))
    histories = project.histories([bind for bind in binds if bind in project.config.binds])
    files = {
        (bind, script.revision): Path(script.path)
        for bind, history in histories.items()
        for script in history.scripts()
    }
    wanted = wanted_again(file, files, name)
    return wanted, compile_cached(project.config, wanted, listener)


def resume_plan(
    project: Project, file: PlanFile, name: str, request: Request, *, strict: bool, whole: bool
) -> Resumed:
    """What is left of a plan file (see `planning.planfile_resume.resume`) for a selection."""
    wanted, compiled = record_again(project, file, name, request.listener)
    found = find_targets(project.config, request.selection, allow_empty=request.allow_empty)
    targets = project.in_order(found.targets)
    project.config.require(binds={target.bind.name for target in targets})
    return resume(
        file,
        targets,
        read_fleet(targets),
        wanted,
        compiled,
        name=name,
        unknown=_untold(found.unknown)[1],
        strict=strict,
        whole=whole,
    )
