"""What a run or a rollout moved, and the plan that takes it back.

Enters: an id of the ledger.  Leaves: a Moved, and of it a Revert: one plan of downgrades in which
each target goes to where it was, in waves of the opposite order.  Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.checks.lint.source import read_source
from orchestrator.config import Rollout, Wave
from orchestrator.errors import DatabaseError, HistoryError, Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.fleet.state import FleetState, read_fleet
from orchestrator.fleet.targets import Selection, find_targets
from orchestrator.fleet.types import Target
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutTarget, RolloutView, WaveRow
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.ledger.types import OutcomeRow
from orchestrator.planning.cohorts import assemble, blocked_at, group
from orchestrator.planning.paths import EACH, Goal, WayBack
from orchestrator.planning.plan import Blocked, Plan
from orchestrator.planning.waves import ALL, WavePlan, backwards
from orchestrator.revisions.history import History
from orchestrator.revisions.recordings import Listener, compile_cached

_Place = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True)
class MovedTarget:
    """A target that was moved. way: None when the process was killed before it could say how far
    it came; start: where it was then. wave: its place in `Moved.waves`."""

    id: str
    place: _Place
    start: tuple[str, ...]
    way: WayBack | None
    wave: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What a run or a rollout moved. id: its own. rollout: the one that it was, or drove; None for
    other runs. waves: with the rules that they have in the revert, in the order of that rollout."""

    id: str
    rollout: RolloutView | None
    targets: tuple[MovedTarget, ...]
    waves: tuple[Wave, ...]

    @property
    def selection(self) -> Selection:
        """All that was moved."""
        return Selection(among=frozenset(one.place for one in self.targets))


@dataclass(frozen=True, slots=True)
class Revert:
    """A plan that takes targets back. waves: of its moving targets. gone: ids of targets that are
    not in the fleet any more."""

    plan: Plan
    waves: tuple[WavePlan, ...]
    gone: tuple[str, ...] = field(default=())


def moved(ledger: Ledger, name: str, rules: Rollout) -> Moved:
    """What the run or rollout of this name moved: an id, the start of only one, or "last" for the
    last rollout. rules: of waves, where there was no rollout.

    Raises UsageError for none, for several, and for what took targets back or moved nothing.
    """
    rollouts = Rollouts(ledger)
    found, run = _named(ledger, rollouts, name)
    if found is None:
        view = ledger.run(run)
        _only_upgrades(view.run.verb, f"run {run}")
        held = _moved_by([ledger.outcomes(view)], {})
        waves: tuple[Wave, ...] = (Wave(ALL, max_failures=rules.max_failures),)
    else:
        _only_upgrades(found.row.verb, f"rollout {found.row.id}")
        runs = (run,) if run else rollouts.runs(found.row.id)
        rows = {row.target: row for row in rollouts.targets(found.row.id)}
        held = _moved_by([ledger.outcomes(ledger.run(one)) for one in runs], rows)
        waves = tuple(_rules(one) for one in found.waves)
    name = run or (found.row.id if found is not None else name)
    if not held:
        where = f"run {name}" if run else f"rollout {name}"
        raise UsageError(
            Problem("it moved no target", where=where, todo="See `orchestrator runs`.")
        )
    return Moved(name, found, tuple(held), waves)


def revert_plan(project: Project, back: Moved, listener: Listener) -> Revert:
    """The plan that takes all of it back. A target that somebody moved since is blocked.

    Raises UsageError for revisions without a downgrade, with each one's file, and DatabaseError
    when tenants cannot be told now.
    """
    known = [one for one in back.targets if one.place[0] in project.config.binds]
    targets = _found(project, known)
    ids = {target.id for target in targets}
    ways = {one.id: one for one in known if one.id in ids}
    binds = list(dict.fromkeys(target.bind.name for target in targets))
    histories = project.histories(binds)
    fleet = read_fleet(targets)
    _refuse_one_way(project, targets, fleet, histories, ways)
    lost = [target.id for target in targets if ways[target.id].way is None]
    untold = list(_untold(targets, fleet, ways))
    kept = [number for number, target in enumerate(targets) if target.id not in lost]
    goal = Goal(
        "downgrade",
        dict.fromkeys(binds, EACH),
        {name: one.way for name, one in ways.items() if one.way is not None},
    )
    routes = group(
        [targets[number] for number in kept],
        FleetState(tuple(fleet.states[number] for number in kept), fleet.flavours),
        histories,
        goal,
    )
    compiled = compile_cached(
        project.config, [route.wanted for route in routes.cohorts], listener
    )
    plan = assemble(routes, compiled)
    plan = Plan(goal, plan.cohorts, (*plan.blocked, *untold))
    moving = [target for cohort in plan.moving for target in cohort.targets]
    waves = backwards(moving, back.waves, {name: one.wave for name, one in ways.items()})
    return Revert(plan, waves, tuple(one.id for one in back.targets if one.id not in ids))


# -- what was moved --------------------------------------------------------------------------


def _named(
    ledger: Ledger, rollouts: Rollouts, name: str
) -> tuple[RolloutView | None, str]:
    """The rollout of a name, and the one run of it that is meant, "" for all; or no rollout, and
    the run."""
    try:
        return rollouts.view(name), ""
    except UsageError as error:
        none = error
    try:
        run = ledger.run(name).run.id
    except UsageError:
        raise none from None
    rollout = rollouts.of_run(run)
    return (None if rollout is None else rollouts.view(rollout)), run


def _only_upgrades(verb: str, where: str) -> None:
    if verb in ("upgrade", "rollout start", "rollout resume", "rollout retry"):
        return
    what = "it stamped targets, and ran nothing" if verb == "stamp" else "it took targets back"
    todo = "Take them forward with `orchestrator upgrade` or `orchestrator rollout start`."
    raise UsageError(Problem(what, where=where, todo=todo))


def _moved_by(
    runs: Iterable[Sequence[OutcomeRow]], rows: Mapping[str, RolloutTarget]
) -> Iterator[MovedTarget]:
