"""The plan that takes back what a run or a rollout moved.

Enters: a Moved.  Leaves: a Revert: one plan of downgrades in which each target goes where it was,
in waves of the opposite order.  Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.checks.lint.source import read_source
from orchestrator.errors import HistoryError, Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.execution.rollout.moved import Moved, MovedTarget
from orchestrator.execution.rollout.remaining import targets_at
from orchestrator.fleet.state import FleetState, read_fleet
from orchestrator.fleet.types import State, Target
from orchestrator.planning.cohorts import assemble, blocked_at, group
from orchestrator.planning.paths import EACH, Goal, WayBack
from orchestrator.planning.plan import Blocked, Plan
from orchestrator.planning.waves import WavePlan, backwards
from orchestrator.revisions.history import History
from orchestrator.revisions.python_text import python_text
from orchestrator.revisions.recordings import Listener, compile_cached


@dataclass(frozen=True, slots=True)
class Revert:
    """A plan that takes targets back. waves: of those that have steps to take. gone: ids of targets
    that are not in the fleet any more."""

    plan: Plan
    waves: tuple[WavePlan, ...]
    gone: tuple[str, ...] = ()


def revert(project: Project, back: Moved, listener: Listener) -> Revert:
    """Plan it. A target that somebody moved since is blocked, and so is one that was perhaps moved.

    Raises UsageError for revisions that cannot be taken back, each with its file, before anything
    is touched; DatabaseError when tenants cannot be told now.
    """
    its = {one.id: one for one in back.targets}
    found = targets_at(project, [one.place for one in back.targets])
    targets = [target for name, target in found.items() if name in its]
    fleet = read_fleet(targets)
    histories = project.histories(dict.fromkeys(target.bind.name for target in targets))
    _refuse_one_way(project, targets, fleet, histories, its)
    ways = {target.id: way for target in targets if (way := its[target.id].way) is not None}
    routes = group(
        *_with_way(targets, fleet, ways),
        histories,
        Goal("downgrade", dict.fromkeys(histories, EACH), ways),
    )
    wanted = [route.wanted for route in routes.cohorts]
    plan = assemble(routes, compile_cached(project.config, wanted, listener))
    plan = replace(plan, blocked=(*plan.blocked, *_untold(targets, fleet, its)))
    moving = [target for cohort in plan.moving for target in cohort.targets]
    waves = backwards(moving, back.waves, {name: one.wave for name, one in its.items()})
    return Revert(plan, waves, tuple(name for name in its if name not in found))


def _with_way(
    targets: Sequence[Target], fleet: FleetState, ways: Mapping[str, WayBack]
) -> tuple[list[Target], FleetState]:
    kept = [number for number, target in enumerate(targets) if target.id in ways]
    states = tuple(fleet.states[number] for number in kept)
    return [targets[number] for number in kept], replace(fleet, states=states)


def _untold(
    targets: Sequence[Target], fleet: FleetState, its: Mapping[str, MovedTarget]
) -> Iterator[Blocked]:
    """Targets of which nobody knows how far the run took them, and that are not where they were."""
    for target, state in zip(targets, fleet.states, strict=True):
        one = its[target.id]
        if one.end is None and tuple(sorted(state.revisions)) != one.start:
            yield blocked_at(target, state, _unknown_end(target, state, one))


def _unknown_end(target: Target, state: State, one: MovedTarget) -> Problem:
    start = ", ".join(one.start) or "base"
    return Problem(
        f"the run was killed before it wrote what became of it; it was at {start}, and stands at "
        f"{', '.join(state.revisions) or 'base'}",
        todo=f"Take it back with `orchestrator downgrade {target.options} --to {start}`, if that "
        "is right.",
    )


def _refuse_one_way(
    project: Project,
    targets: Sequence[Target],
    fleet: FleetState,
    histories: Mapping[str, History],
    its: Mapping[str, MovedTarget],
) -> None:
    """Raise UsageError for revisions on the way that have no downgrade."""
    seen: set[tuple[str, tuple[str, ...], WayBack]] = set()
    missing: dict[tuple[str, str], Path] = {}
    for target, state in zip(targets, fleet.states, strict=True):
        name, way = target.bind.name, its[target.id].way
        if way is None or (name, state.revisions, way) in seen:
            continue
        seen.add((name, state.revisions, way))
        try:
            scripts = histories[name].between(way.start, way.end, state.revisions)
        except HistoryError:
            continue  # It stands elsewhere, and is blocked for that.
        for script in scripts:
            if _one_way(Path(script.path)):
                missing.setdefault((name, script.revision), Path(script.path))
    if missing:
        raise UsageError(
            [
                Problem(
                    f"revision {revision} has no downgrade that does something",
                    where=_relative(project, path),
                    todo="Write its downgrade(), or go forward with a new revision instead.",
                )
                for (_bind, revision), path in missing.items()
            ]
        )


def _one_way(path: Path) -> bool:
    """Whether a revision does something, and does not take it back."""
    source = read_source(python_text(path.read_bytes()))
    return source.has_upgrade and not source.has_downgrade


def _relative(project: Project, path: Path) -> str:
    root = project.config.root
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
