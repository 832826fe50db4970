"""A reviewed plan, taken up again: what of it is still to be done, and may be.

Enters: a PlanFile, the targets as they stand now, and what its revisions are recorded as now.
Leaves: the Plan of what is left; or UsageError, before anything runs, where the files or statements
are not the reviewed ones.  No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.errors import Problem, UsageError
from orchestrator.fleet.state import FleetState
from orchestrator.fleet.types import State, Target, UnknownTenants
from orchestrator.planning.cohorts import Flavours, blocked_at, out_of_reach, place_words
from orchestrator.planning.halfway import obstacle
from orchestrator.planning.paths import Goal
from orchestrator.planning.plan import Blocked, Cohort, Plan, PlanStep
from orchestrator.planning.planfile import PlanFile, PlannedCohort, PlannedStep
from orchestrator.planning.statements import states_along
from orchestrator.revisions.recordings import Compiled, Wanted
from orchestrator.revisions.types import Step

SHOWN_DIFFERENCES = 20
"""How many differences --strict tells one by one."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What is left of a plan file.

    extra: ids of selected targets that the file does not plan. gone: ids that it plans, and that
    are not in the fleet any more. passed: how many targets are beyond the plan's start already.
    digest: the file's own.
    """

    plan: Plan
    extra: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    passed: int = 0
    digest: str = ""

    @property
    def differences(self) -> tuple[str, ...]:
        """What is not as it was when the plan was made."""
        told = [f"{one.target.id}: {one.problem.what}" for one in self.plan.blocked]
        told += [f"{one}: not in the plan" for one in self.extra]
        told += [f"{one}: in the plan, and not in the fleet now" for one in self.gone]
        told += [f"bind {one.bind.name}: {one.words}" for one in self.plan.unknown]
        return tuple(told)


def wanted_again(
    file: PlanFile, files: Mapping[tuple[str, str], Path], name: str
) -> tuple[Wanted, ...]:
    """The paths of a plan file, to be recorded again: one for each of its cohorts.

    files: the revision file of each (bind, revision) that there is now. name: the plan file's.
    Raises UsageError with every file that is gone.
    """
    missing = {
        (cohort.bind, step.revision): step.file
        for cohort in file.cohorts
        for step in cohort.steps
        if (cohort.bind, step.revision) not in files
    }
    if missing:
        raise UsageError(
            [
                Problem(
                    f"the plan takes revision {revision}, and its file {path} is not there",
                    where=f"{name}, bind {bind}",
                    todo="Deploy the code that the plan was made with, or plan again.",
                )
                for (bind, revision), path in missing.items()
            ]
        )
    return tuple(
        Wanted(
            cohort.bind,
            cohort.flavour,
            cohort.dialect,
            tuple(_current(step, files[cohort.bind, step.revision]) for step in cohort.steps),
        )
        for cohort in file.cohorts
    )


def _current(step: PlannedStep, path: Path) -> Step:
    return Step(step.revision, step.direction, step.message, path, step.changes)


def resume(
    file: PlanFile,
    targets: Sequence[Target],
    fleet: FleetState,
    wanted: Sequence[Wanted],
    compiled: Sequence[Sequence[Compiled]],
    *,
    name: str,
    unknown: Sequence[UnknownTenants] = (),
    strict: bool = False,
    whole: bool = True,
) -> Resumed:
    """What is left of a plan for these targets.

    A target at the plan's from-state takes the whole path; at a state that the path passes through,
    the rest of it; elsewhere, or on a server of another flavour, it is blocked.
    wanted, compiled: for each cohort of the file, from `wanted_again` and `compile_cached`.
    unknown: tenants that cannot be told now. whole: the targets are those that the file's own
    selection names, so that one which is not among them is gone.  Raises UsageError for changed
    files and statements, and with `strict` for any difference.
    """
    _unchanged(file, compiled, name)
    steps = [
        tuple(
            PlanStep(step, one.recording, one.source, one.remembered)
            for step, one in zip(path.steps, recorded, strict=True)
        )
        for path, recorded in zip(wanted, compiled, strict=True)
    ]
    left = _Places(file, steps).take_up(targets, fleet, whole=whole)
    resumed = replace(left, plan=replace(left.plan, unknown=tuple(unknown)))
    if strict and (resumed.differences or resumed.passed):
        raise _different(resumed, name)
    return resumed


def _unchanged(file: PlanFile, compiled: Sequence[Sequence[Compiled]], name: str) -> None:
    changed: dict[str, str] = {}
    for cohort, recorded in zip(file.cohorts, compiled, strict=True):
        for step, now in zip(cohort.steps, recorded, strict=True):
            fault = _change(step, now)
            if fault:
                changed.setdefault(step.file, f"bind {cohort.bind}, {step.revision}: {fault}")
    if changed:
        raise UsageError(
            [
                Problem(what, where=f"{name}, {path}", todo="Plan again, and have it reviewed.")
                for path, what in changed.items()
            ]
        )


def _change(step: PlannedStep, now: Compiled) -> str:
    if step.source != now.source:
        return "the revision file is not the one that was planned"
    if step.live != bool(now.recording.live):
        return f"the step is {'compiled' if step.live else 'live'} now, and was not when planned"
    if step.segments != now.recording.segments:
        return "its statements are not those that were planned (what it imports has changed)"
    return ""


def _different(resumed: Resumed, name: str) -> UsageError:
    told = list(resumed.differences)
    if resumed.passed:
        told.append(f"{resumed.passed:,} targets are not at the state that the plan starts from")
    more = len(told) - SHOWN_DIFFERENCES
    shown = told[:SHOWN_DIFFERENCES] + ([f"and {more:,} more"] if more > 0 else [])
    todo = "Run it without --strict to do what is left, or plan again."
    return UsageError([Problem(what, where=name, todo=todo) for what in shown])


class _Places:
    """Where each target of a plan file may stand."""

    def __init__(self, file: PlanFile, steps: Sequence[tuple[PlanStep, ...]]) -> None:
        self._file = file
        self._steps = steps
        self._along = [
            states_along(cohort.state, [step.changes for step in cohort.steps])
            for cohort in file.cohorts
        ]
        self._cohort_of = {
            (cohort.bind, target): number
            for number, cohort in enumerate(file.cohorts)
            for target in cohort.targets
        }

    def take_up(self, targets: Sequence[Target], fleet: FleetState, *, whole: bool) -> Resumed:
        """Find every target's place on its path."""
        flavours = Flavours(fleet.flavours)
        found: dict[tuple[int, int], list[Target]] = {}
        missing: dict[tuple[int, int], int] = {}
        continued: dict[tuple[int, int], list[str]] = {}
        faults: list[Blocked] = []
        extra: list[str] = []
        seen: set[tuple[str, str]] = set()
        for target, state in zip(targets, fleet.states, strict=True):
            key = target.bind.name, target.id
            seen.add(key)
            number = self._cohort_of.get(key)
            if number is None:
                extra.append(target.id)
                continue
            place = self._place(number, target, state, flavours)
            if isinstance(place, Problem):
                faults.append(blocked_at(target, state, place))
                continue
            found.setdefault((number, place), []).append(target)
            if state.journal:
                continued.setdefault((number, place), []).append(target.id)
            if state.kind == "missing":
                missing[number, place] = missing.get((number, place), 0) + 1
        return Resumed(
            Plan(
                Goal(self._file.verb, self._file.destinations),
                tuple(self._cohorts(found, missing, continued)),
                tuple(faults),
            ),
            tuple(extra),
            tuple(target for bind, target in self._cohort_of if (bind, target) not in seen)
            if whole
            else (),
            sum(len(some) for (_number, place), some in found.items() if place),
        )

    def _place(
        self, number: int, target: Target, state: State, flavours: Flavours
    ) -> int | Problem:
        """How many steps of its path a target has behind it."""
        cohort, known = self._file.cohorts[number], flavours.of(target)
        problem = out_of_reach(target, state, known)
        if problem is not None:
            return problem
        if known is not None and known != (cohort.flavour, cohort.dialect):
            return Problem(
                f"its server is {known[0]} now, and the plan was made for {cohort.flavour}",
                todo="Plan again for this target.",
            )
        along = self._along[number]
        rows = tuple(sorted(state.revisions))
        place = along.index(rows) if rows in along else len(along)
        first = [one.step for one in self._steps[number][place : place + 1]]
        problem = obstacle(target, state, first)
        if problem is not None or place < len(along):
            return problem or place
        way = f"from {_named(along[0])} to {_named(along[-1])}"
        if state.kind == "missing":
            return Problem(
                f"{place_words(target)} does not exist, and the plan takes it {way}",
                todo="Bring it back as it was, or take its tenant from the list of tenants.",
            )
        return Problem(
            f"it stands at {_named(rows)}, which is not on the plan's path {way}",
            todo="Take it to a state of that path (`--to` of `orchestrator upgrade` or "
            "`downgrade`), or plan again for this target.",
        )

    def _cohorts(
        self,
        found: Mapping[tuple[int, int], list[Target]],
        missing: Mapping[tuple[int, int], int],
        continued: Mapping[tuple[int, int], list[str]],
    ) -> Iterator[Cohort]:
        # As the targets came: bind by bind, in the order in which binds are applied.
        for (number, place), targets in found.items():
            cohort: PlannedCohort = self._file.cohorts[number]
            yield Cohort(
                cohort.bind,
                cohort.flavour,
                self._along[number][place],
                self._steps[number][place:],
                tuple(targets),
                cohort.dialect,
                missing.get((number, place), 0),
                tuple(continued.get((number, place), ())),
            )


def _named(rows: Sequence[str]) -> str:
    return ", ".join(rows) or "base"
