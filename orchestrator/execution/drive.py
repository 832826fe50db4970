"""One target along its path: compiled steps replayed, live ones handed to a worker, in order.

Enters: a cohort's steps and one of its targets.  Leaves: an Outcome; a failure is in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from orchestrator.config import Flavour
from orchestrator.errors import OrchestratorError
from orchestrator.execution.live import LiveStep, LiveWorkers, moved_problem
from orchestrator.execution.replay import (
    Moved,
    ReplayFailed,
    current_rows,
    enter,
    purge_rows,
    replay,
)
from orchestrator.execution.sessions import SessionStore
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.sessions import REPLAYING_DRIVERS, Session
from orchestrator.fleet.types import Target
from orchestrator.planning.plan import PlanStep
from orchestrator.planning.statements import Place, place_of, states_along


@dataclass(frozen=True)
class Drive:
    """What a run gives to every target: where sessions come from, the workers, and who listens."""

    sessions: SessionStore
    workers: LiveWorkers
    stopping: Callable[[], bool] = lambda: False
    on_start: Callable[[Target], None] = lambda _target: None
    on_step: Callable[[Target, str], None] = lambda _target, _revision: None


@dataclass
class _Trip:
    """Where a target is on its path."""

    target: Target
    place: Place
    states: list[tuple[str, ...]]
    started: float = field(default_factory=time.monotonic)
    at: int = 0
    begun: int = 0
    taken: list[str] = field(default_factory=list)

    @property
    def rows(self) -> tuple[str, ...]:
        return self.states[self.at]

    def advance(self, revision: str) -> None:
        self.at += 1
        self.taken.append(revision)

    def move_to(self, rows: tuple[str, ...]) -> bool:
        """Go on from where somebody else brought the target, when that is on the path."""
        later = [index for index, state in enumerate(self.states) if state == rows]
        if not later or later[0] <= self.at:
            return False
        self.at = later[0]
        return True

    def outcome(self, result: str, failure: Failure | None = None) -> Outcome:
        return Outcome(
            self.target,
            result,  # type: ignore[arg-type]
            self.states[self.begun],
            self.rows,
            tuple(self.taken),
            failure,
            time.monotonic() - self.started,
        )


def drive(
    context: Drive,
    target: Target,
    flavour: Flavour,
    state: tuple[str, ...],
    steps: Sequence[PlanStep],
    *,
    purge: bool = False,
) -> Outcome:
    """Take one target from a state through all steps. Never raises for what a server says.

    purge: empty the version table first (stamp --purge).
    """
    context.on_start(target)
    place = place_of(target, flavour)
    trip = _Trip(target, place, states_along(state, [one.step.changes for one in steps]))
    if purge and not context.stopping():
        ended = _purged(context, trip)
        if ended is not None or not steps:
            return ended or trip.outcome("done")
    while trip.at < len(steps):
        if context.stopping():
            return trip.outcome("not-started")
        ended = (
            _live(context, trip, steps)
            if _runs_live(target, steps[trip.at], steps)
            else _compiled(context, trip, steps)
        )
        if ended is not None:
            return ended
    return trip.outcome("done" if trip.taken else "unchanged")


def _purged(context: Drive, trip: _Trip) -> Outcome | None:
    try:
        with context.sessions.lend(trip.target) as session:
            enter(session, trip.place)
            purge_rows(session, trip.place)
    except (ReplayFailed, OrchestratorError) as error:
        return trip.outcome("failed", Failure(str(error)))
    return None


def _runs_live(target: Target, step: PlanStep, steps: Sequence[PlanStep]) -> bool:
    if not step.live and not step.source:
        return False  # A stamp: its revision's Python must not run.
    if not _replays(target):
        return True
    return any(one.live for one in steps) if _runs_whole(target, steps) else step.live


def _replays(target: Target) -> bool:
    """Whether sessions serve the driver that the target's URL names; Alembic serves any."""
    url = target.server.migration_url
    return url is None or url.get_driver_name() in REPLAYING_DRIVERS


def _runs_whole(target: Target, steps: Sequence[PlanStep]) -> bool:
    """Whether a path must run on one side: in one transaction, because a live step comes after one
    whose types Alembic remembers for the rest of its run, or because no session can replay."""
    if target.bind.transaction == "path" or not _replays(target):
        return True
    made = [place for place, one in enumerate(steps) if one.remembered]
    return bool(made) and any(one.live for one in steps[made[0] + 1 :])


def _live(context: Drive, trip: _Trip, steps: Sequence[PlanStep]) -> Outcome | None:
    """Run the next live step in a worker; the whole rest where the path must run on one side."""
    rest = steps[trip.at :]
    group = rest if _runs_whole(trip.target, steps) else rest[:1]
    context.on_step(trip.target, group[0].step.revision)
    outcome = context.workers.run(
        LiveStep(
            trip.target,
            tuple((one.step.revision, one.step.direction) for one in group),
            trip.rows,
        )
    )
    if outcome.failure and not outcome.steps and trip.move_to(tuple(sorted(outcome.before))):
        return None
    for revision in outcome.steps:
        trip.advance(revision)
    if outcome.result != "done":
        return trip.outcome("failed", outcome.failure)
    return None


def _compiled(context: Drive, trip: _Trip, steps: Sequence[PlanStep]) -> Outcome | None:
    """Replay compiled steps in one session, up to the next live one."""
    try:
        with context.sessions.lend(trip.target) as session:
            enter(session, trip.place)
            while trip.at < len(steps) and not _runs_live(trip.target, steps[trip.at], steps):
                if context.stopping():
                    return trip.outcome("not-started")
                group = _together(trip, steps)
                context.on_step(trip.target, group[0].step.revision)
                ended = _replay(session, trip, group)
                if ended is not None:
                    return ended
    except ReplayFailed as error:
        return trip.outcome("failed", Failure(error.message))
    except OrchestratorError as error:
        problem = error.problems[0]
        return trip.outcome("failed", Failure(problem.what, where=problem.where, todo=problem.todo))
    return None


def _together(trip: _Trip, steps: Sequence[PlanStep]) -> Sequence[PlanStep]:
    """The steps of the next transaction: one revision, or the rest of the path where the bind says
    so. MySQL's DDL commits by itself, so there it is one revision in any case (as Alembic has it).
    """
    whole = trip.target.bind.transaction == "path" and trip.place.flavour.family == "postgresql"
    return steps[trip.at :] if whole else steps[trip.at : trip.at + 1]


def _replay(session: Session, trip: _Trip, group: Sequence[PlanStep]) -> Outcome | None:
    step = group[0]
    try:
        replay(
            session, trip.place, [(one.step, one.recording.segments) for one in group], trip.rows
        )
    except Moved as moved:
        if trip.move_to(moved.rows):
            return None
        problem = moved_problem(trip.target, moved.rows, trip.rows)
        failure = Failure(problem.what, step.step.revision, todo=problem.todo)
        return trip.outcome("failed", failure)
    except ReplayFailed as error:
        culprit, where = _culprit(group, error.statement)
        failure = Failure(
            error.message, culprit.step.revision, where, error.statement.strip(), _kept(trip, error)
        )
        if len(group) > 1 and error.kept and not error.lost:
            _catch_up(session, trip, group)
        return trip.outcome("failed", failure)
    for one in group:
        trip.advance(one.step.revision)
    return None


def _kept(trip: _Trip, error: ReplayFailed) -> str:
    if not error.kept:
        return ""
    what = "1 statement stays" if error.kept == 1 else f"{error.kept} statements stay"
    why = (
        "they were committed before an autocommit block, or in it"
        if trip.place.flavour.family == "postgresql"
        else "the server commits DDL at once"
    )
    return f"{what} done: {why}."


def _catch_up(session: Session, trip: _Trip, group: Sequence[PlanStep]) -> None:
    """One transaction for the whole path ends where an autocommit block begins: find out how far
    the path was committed."""
    with suppress(ReplayFailed):
        rows = current_rows(session, trip.place)
        for one in group:
            if trip.rows == rows or rows not in trip.states[trip.at + 1 :]:
                return
            trip.advance(one.step.revision)


def _culprit(group: Sequence[PlanStep], statement: str) -> tuple[PlanStep, str]:
    """The step that a refused statement belongs to, and its place: file:line."""
    for one in group:
        for segment in one.recording.segments:
            for text, line in zip(segment.statements, segment.lines, strict=False):
                if line and text.rstrip().rstrip(";") == statement.rstrip().rstrip(";"):
                    return one, f"{one.step.file}:{line}"
    return group[0], str(group[0].step.file)
