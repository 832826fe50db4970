"""What is left of half-applied steps, as plans of these steps alone.

Enters: what is known of half-applied targets, and what a person says of the statements in doubt.
Leaves: Plans that a Runner goes on with where the steps stopped; targets that must not go on are
blocked in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.errors import OrchestratorError, Problem
from orchestrator.execution.examining import Examined, Examiner
from orchestrator.execution.repairing import Repairer
from orchestrator.planning.cohorts import Route, Routes, assemble, blocked_at
from orchestrator.planning.paths import Goal
from orchestrator.planning.plan import Blocked, Plan
from orchestrator.revisions.recordings import Compiled
from orchestrator.revisions.types import Direction


def settled(
    found: Iterable[Examined], repairer: Repairer, *, done: bool | None
) -> Iterator[Examined | Blocked]:
    """Settle what is in doubt, target by target; those that must not go on are blocked.

    done: whether the statements in doubt were done, where a person says so; where nobody says and
    nothing tells, they count as not done.
    """
    for one in found:
        problem = _in_the_way(one)
        if problem is None and (done is not None or one.undecided):
            outcome = repairer.take(one.stopped, "resume", done=bool(done))
            if outcome.failure is not None:
                failure = outcome.failure
                problem = Problem(failure.message, failure.where, todo=failure.todo)
        yield one if problem is None else blocked_at(one.stopped.target, one.stopped.state, problem)


def _in_the_way(one: Examined) -> Problem | None:
    if one.busy:
        return Problem(
            f"its lock is held by {one.busy}",
            todo="It may be no more than a run that goes on. See `orchestrator locks`.",
        )
    if one.fault:
        return Problem(one.fault, todo="Check its URL and the rights of its user.")
    if one.step is None or (one.dirty and not one.undecided):
        return Problem(
            "\n".join((f"dirty: {one.dirty}", *one.diff)),
            todo="Make the revision what it was when it was begun; or finish the step by hand and "
            "--mark-applied, or undo it by hand and --mark-reverted.",
        )
    return None


def plans_of(
    found: Iterable[Examined | Blocked], examiner: Examiner, binds: Iterable[str]
) -> Iterator[Plan]:
    """The plans that finish these steps, upgrades first. binds: in the order they are applied."""
    ready: list[Examined] = []
    blocked: list[Blocked] = []
    for one in found:
        (blocked if isinstance(one, Blocked) else ready).append(one)  # type: ignore[arg-type]
    order = list(binds)
    for direction in Direction:
        taken = [one for one in ready if one.stopped.direction is direction]
        if not taken and not blocked:
            continue
        plan = _plan(direction, taken, blocked, examiner, order)
        blocked = []
        yield plan


def _plan(
    direction: Direction,
    taken: list[Examined],
    blocked: list[Blocked],
    examiner: Examiner,
    order: list[str],
) -> Plan:
    groups: dict[tuple[object, ...], list[Examined]] = {}
    for one in taken:
        stopped = one.stopped
        where = stopped.target.bind.name, stopped.flavour, stopped.dialect
        groups.setdefault((*where, one.rows, stopped.half.revision), []).append(one)
    routes: list[Route] = []
    recorded: list[list[Compiled]] = []
    for group in sorted(groups.values(), key=lambda some: order.index(_bind(some[0]))):
        first = group[0]
        assert first.step is not None
        try:
            recorded.append([examiner.record(first.stopped, first.step)])
        except OrchestratorError as error:
            problem = error.problems[0]
            blocked += [blocked_at(o.stopped.target, o.stopped.state, problem) for o in group]
            continue
        targets = tuple(one.stopped.target for one in group)
        routes.append(
            Route(
                _bind(first),
                first.stopped.flavour,
                first.stopped.dialect,
                first.rows,
                (first.step,),
                targets,
                continued=tuple(target.id for target in targets),
            )
        )
    goal = Goal(direction.value, {_bind(one): one.half.revision for one in taken})
    return assemble(Routes(goal, tuple(routes), tuple(blocked)), recorded)


def _bind(one: Examined) -> str:
    return one.stopped.target.bind.name
