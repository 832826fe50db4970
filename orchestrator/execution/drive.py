"""One target along its path: compiled steps replayed, live ones handed to a worker, in order.

Enters: a cohort's steps and one of its targets.  Leaves: an Outcome; a failure is in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from orchestrator.config import Flavour
from orchestrator.errors import OrchestratorError
from orchestrator.execution import telling
from orchestrator.execution.live import LiveWorkers
from orchestrator.execution.live_types import (
    LiveStep,
    live_revision,
    moved_problem,
    taken_together,
)
from orchestrator.execution.patience import Patience
from orchestrator.execution.replay.entering import current_rows, enter, leave, purge_rows
from orchestrator.execution.replay.replay import replay
from orchestrator.execution.replay.types import Dirty, Footing, Locked, Moved, ReplayFailed, Waits
from orchestrator.execution.sessions import SessionStore
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.sessions import REPLAYING_DRIVERS, Session
from orchestrator.fleet.types import Target
from orchestrator.planning.plan import PlanStep
from orchestrator.planning.statements import Place, place_of, states_along
from orchestrator.safety.locks import lock_of
from orchestrator.safety.owners import Owner
from orchestrator.safety.settings import session_settings


@dataclass(frozen=True)
class Drive:
    """What a run gives to every target: where sessions come from, the workers, and who listens."""

    sessions: SessionStore
    workers: LiveWorkers
    owner: Owner
    stopping: Callable[[], bool] = lambda: False
    pause: Callable[[float], None] = time.sleep
    on_start: Callable[[Target], None] = lambda _target: None
    on_step: Callable[[Target, str], None] = lambda _target, _revision: None
    on_wait: Callable[[Target, str], None] = lambda _target, _words: None

    def patience(self, target: Target) -> Patience:
        """How patient the run is with one target."""
        return Patience(
            target.bind, self.stopping, lambda words: self.on_wait(target, words), self.pause
        )

    def waits(self, trip: _Trip) -> Waits:
        """How the statements of one target wait for others."""
        patience = trip.patience
        return Waits(
            patience.told,
            self.stopping,
            patience.sleep,
            lambda: self.sessions.beside(trip.target),
        )


@dataclass
class _Trip:
    """Where a target is on its path."""

    target: Target
    footing: Footing
    states: list[tuple[str, ...]]
    patience: Patience
    started: float = field(default_factory=time.monotonic)
    at: int = 0
    begun: int = 0
    taken: list[str] = field(default_factory=list)
    statements: int = 0
    group: Sequence[PlanStep] = ()

    @property
    def place(self) -> Place:
        return self.footing.place

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

    def told(self, error: ReplayFailed) -> Failure:
        """Why the steps that were tried last could not be taken."""
        if not self.group:
            return Failure(error.message)
        culprit, where = _culprit(self.group, error.statement)
        advice = _kept(self, error)
        return Failure(error.message, culprit.step.revision, where, error.statement.strip(), advice)

    def outcome(self, result: str, failure: Failure | None = None) -> Outcome:
        return Outcome(
            self.target,
            result,  # type: ignore[arg-type]
            self.states[self.begun],
            self.rows,
            tuple(self.taken),
            failure,
            time.monotonic() - self.started,
            self.statements,
            self.patience.attempts,
            self.patience.waited,
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
    trip = _Trip(
        target,
        footing_of(target, flavour, context.owner),
        states_along(state, [one.step.changes for one in steps]),
        context.patience(target),
    )
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


def footing_of(target: Target, flavour: Flavour, owner: Owner) -> Footing:
    """What a session stands on in a target."""
    place = place_of(target, flavour)
    lock = lock_of(flavour.family, place.database, place.schema, place.version_table)
    settings = tuple(session_settings(target.bind, flavour, owner))
    return Footing(place, lock, owner, settings, target.bind.concurrent_timeout)


def _purged(context: Drive, trip: _Trip) -> Outcome | None:
    return _persist(context, trip, lambda session: purge_rows(session, trip.footing))


def _persist(
    context: Drive, trip: _Trip, work: Callable[[Session], Outcome | None]
) -> Outcome | None:
    """Do work in a session that stands in the target with its lock; again, on another session
    where need be, when it fails for a reason that passes."""

    def attempt() -> Outcome | None:
        with context.sessions.lend(trip.target) as session:
            try:
                enter(session, trip.footing)
                return work(session)
            finally:
                leave(session, trip.footing)

    try:
        return trip.patience.persist(attempt, lambda: trip.at)
    except Locked as locked:
        failure = telling.held(trip.target.bind, locked)
        return trip.outcome("not-started" if context.stopping() else "failed", failure)
    except ReplayFailed as error:
        if error.passing == "connection lost" and not context.stopping():
            context.sessions.given_up(trip.target, error.message)
        return trip.outcome("failed", trip.told(error))
    except Dirty as dirty:
        return trip.outcome("failed", _dirty(trip, dirty))
    except OrchestratorError as error:
        problem = error.problems[0]
        return trip.outcome("failed", Failure(problem.what, where=problem.where, todo=problem.todo))


def _dirty(trip: _Trip, dirty: Dirty) -> Failure:
    """Why the target cannot be continued without a decision."""
    files = [one.step.file for one in trip.group if one.step.revision == dirty.half.revision]
    return telling.dirty(trip.target, dirty, str(files[0]) if files else "")


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
    """Run the next live step in a worker, and what it takes on with it; the whole rest where the
    path must run on one side."""
    rest, whole = steps[trip.at :], _runs_whole(trip.target, steps)
    group = rest if whole else taken_together(trip.target, rest)
    context.on_step(trip.target, group[0].step.revision)
    context.sessions.make_room(trip.target)
    revisions = [live_revision(one, live=whole) for one in group]
    states = trip.states[trip.at : trip.at + len(group) + 1]
    outcome = in_worker(
        context,
        LiveStep(trip.target, trip.footing, tuple(revisions), tuple(states), afresh=not whole),
    )
    trip.patience.attempts += outcome.attempts - 1
    trip.patience.waited += outcome.waited
    trip.statements += outcome.statements
    before = trip.at
    for revision in outcome.steps:
        trip.advance(revision)
    for rows in (outcome.before, outcome.after):
        trip.move_to(tuple(sorted(rows)))
    if outcome.failure and (outcome.steps or trip.at == before):
        return trip.outcome("failed", outcome.failure)
    assert trip.at > before, "a worker has done nothing, and says nothing"
    return None


def in_worker(context: Drive, step: LiveStep) -> Outcome:
    """Run live steps, or a stamp, in a worker process. What it learns of the server holds for the
    targets that come after."""
    target, sessions = step.target, context.sessions
    outcome = context.workers.run(
        replace(step, known=sessions.known(target)),
        lambda words: context.on_wait(target, words),
        context.stopping,
        lambda revision: context.on_step(target, revision),
    )
    if outcome.failure is None:
        sessions.reached(target, back=True)
    elif outcome.lost and not context.stopping():
        sessions.given_up(target, outcome.failure.message)
    return outcome


def _compiled(context: Drive, trip: _Trip, steps: Sequence[PlanStep]) -> Outcome | None:
    """Replay compiled steps in one session, up to the next live one."""

    def leg(session: Session) -> Outcome | None:
        while trip.at < len(steps) and not _runs_live(trip.target, steps[trip.at], steps):
            if context.stopping():
                return trip.outcome("not-started")
            group = _together(trip, steps)
            context.on_step(trip.target, group[0].step.revision)
            following = trip.at + len(group)
            last = following == len(steps) or _runs_live(trip.target, steps[following], steps)
            ended = _replay(session, trip, group, context.waits(trip), last=last)
            if ended is not None:
                return ended
        return None

    return _persist(context, trip, leg)


def _together(trip: _Trip, steps: Sequence[PlanStep]) -> Sequence[PlanStep]:
    """The steps of the next transaction: one revision, or the rest of the path where the bind says
    so. MySQL's DDL commits by itself, so there it is one revision in any case (as Alembic has it).
    """
    whole = trip.target.bind.transaction == "path" and trip.place.flavour.family == "postgresql"
    return steps[trip.at :] if whole else steps[trip.at : trip.at + 1]


def _replay(
    session: Session, trip: _Trip, group: Sequence[PlanStep], waits: Waits, *, last: bool
) -> Outcome | None:
    """Take the steps of one transaction. Raises ReplayFailed and Locked."""
    step = group[0]
    compiled = [(one.step, one.recording.segments) for one in group]
    trip.group = group
    try:
        replay(session, trip.footing, compiled, trip.rows, last=last, waits=waits)
    except Moved as moved:
        if trip.move_to(moved.rows):
            return None
        problem = moved_problem(trip.target, moved.rows, trip.rows)
        failure = Failure(problem.what, step.step.revision, todo=problem.todo)
        return trip.outcome("failed", failure)
    except ReplayFailed as error:
        if len(group) > 1 and error.kept and not error.lost:
            _catch_up(session, trip, group)
        raise
    for one in group:
        trip.advance(one.step.revision)
        trip.statements += one.statements
    return None


def _kept(trip: _Trip, error: ReplayFailed) -> str:
    if not error.kept:
        return ""
    what = "1 statement stays" if error.kept == 1 else f"{error.kept} statements stay"
    if trip.place.flavour.family == "postgresql":
        return (
            f"{what} done: they were committed before an autocommit block, or in it."
            " The next run goes on behind them."
        )
    return (
        f"{what} done: the server commits DDL at once."
        f" The next run continues with statement {error.kept + 1}."
    )


def _catch_up(session: Session, trip: _Trip, group: Sequence[PlanStep]) -> None:
    """One transaction for the whole path ends where an autocommit block begins: find out how far
    the path was committed."""
    with suppress(ReplayFailed, Locked):
        rows = current_rows(session, trip.footing)
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
