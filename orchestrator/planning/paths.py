"""What a command means for each target: the steps from where it is to where it shall be.

Enters: targets with their states, histories, and a Goal.  Leaves: a TargetPlan each.  No I/O but
the revision files that a history reads when it is first asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.config import Config
from orchestrator.errors import HistoryError, Problem, UsageError
from orchestrator.fleet.targets import unknown_bind
from orchestrator.fleet.types import State, Target
from orchestrator.revisions.history import History, MigrationsFunction
from orchestrator.revisions.types import Step

Verb = Literal["upgrade", "downgrade", "stamp"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A verb, and its destination in each bind that takes part."""

    verb: Verb
    destinations: Mapping[str, str]

    def migrations(self, history: History) -> MigrationsFunction:
        """The function that yields this goal's steps in one history."""
        destination = self.destinations[history.bind.name]
        if self.verb == "upgrade":
            return history.upgrade(destination)
        if self.verb == "downgrade":
            return history.downgrade(destination)
        return history.stamp(tuple(destination.split(",")))


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """One target's part of a plan: its steps, or the problem that keeps it from any."""

    target: Target
    state: State
    steps: tuple[Step, ...] = ()
    problem: Problem | None = None


def set_goal(
    config: Config,
    histories: Mapping[str, History],
    verb: Verb,
    written: Sequence[str],
) -> Goal:
    """Read the destinations of a command: REV (for every bind that knows it) and bind:REV.

    Raises UsageError for a bind that does not exist or is not selected and a revision that no bind
    knows, HistoryError for a bind with several heads when one is asked for.
    """
    destinations: dict[str, str] = {}
    problems: list[Problem] = []
    for text in written:
        name, colon, revision = text.partition(":")
        if colon:
            if name not in config.binds:
                problems.append(unknown_bind(config, name))
            elif name not in histories:
                problems.append(_not_selected(text, name, list(histories)))
            else:
                destinations[name] = revision
                if not histories[name].resolves(revision):
                    problems.append(_unknown_revision(revision, [name]))
            continue
        if not histories:
            continue  # --allow-empty: there is nothing that could know it
        knowing = [bind for bind, history in histories.items() if history.resolves(text)]
        if not knowing:
            problems.append(_unknown_revision(text, list(histories)))
        destinations.update({bind: text for bind in knowing if bind not in destinations})
    if problems:
        raise UsageError(problems)
    _one_head(histories, destinations)
    return Goal(verb, destinations)


def _one_head(histories: Mapping[str, History], destinations: Mapping[str, str]) -> None:
    problems = [
        Problem(
            f"it has {len(histories[name].heads)} heads: {', '.join(histories[name].heads)}",
            where=f"bind {name}",
            todo=f"Run `orchestrator merge --bind {name}`, or ask for `heads`.",
        )
        for name, destination in destinations.items()
        if destination == "head" and len(histories[name].heads) > 1
    ]
    if problems:
        raise HistoryError(problems)


def _not_selected(text: str, name: str, selected: Sequence[str]) -> Problem:
    return Problem(
        f"{text} is for bind {name}, which the selection leaves out",
        where="binds " + ", ".join(selected),
        todo=f"Add --bind {name}, or name a selected bind.",
    )


def _unknown_revision(revision: str, binds: Sequence[str]) -> Problem:
    return Problem(
        f"no such revision: {revision}",
        where="bind " + ", ".join(binds) if len(binds) == 1 else f"binds {', '.join(binds)}",
        todo="See `orchestrator history`.",
    )


def plan_targets(
    targets: Sequence[Target],
    states: Sequence[State],
    histories: Mapping[str, History],
    goal: Goal,
    *,
    purge: bool = False,
) -> tuple[TargetPlan, ...]:
    """The steps of every target whose bind takes part. A target that cannot be planned carries its
    problem; the others are not touched by it.

    purge: plan as from an empty version table (stamp --purge).
    """
    return tuple(
        _plan(target, state, histories[target.bind.name], goal, purge=purge)
        for target, state in zip(targets, states, strict=True)
        if target.bind.name in goal.destinations
    )


def _plan(target: Target, state: State, history: History, goal: Goal, *, purge: bool) -> TargetPlan:
    where = f"target {target.id}"
    if state.kind in ("denied", "unreachable"):
        todo = "Check its URL and the rights of its user."
        return TargetPlan(
            target, state, (), Problem(f"{state.kind}: {state.detail}", where, todo=todo)
        )
    revisions = () if purge else state.revisions
    unknown = history.unknown(revisions)
    if unknown:
        problem = Problem(
            f"it stands at {', '.join(unknown)}, which bind {target.bind.name} has no file for",
            where=where,
            todo="Deploy the code that has this revision, or `orchestrator stamp --purge` the "
            "target to where it really is.",
        )
        return TargetPlan(target, state, (), problem)
    try:
        return TargetPlan(target, state, history.path(revisions, goal.migrations(history)))
    except HistoryError as error:
        first = error.problems[0]
        return TargetPlan(target, state, (), Problem(first.what, where, todo=first.todo))
