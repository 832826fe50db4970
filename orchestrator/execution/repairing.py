"""Half-applied targets: which there are, and what a person decides about one.

Enters: a project and a selection; then a target and a Decision.  Leaves: `Stopped` targets; and an
Outcome for each decision, taken under the target's lock: version rows as decided, the journal empty
or settled.  Nothing of a revision is run here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.config import Flavour
from orchestrator.errors import HistoryError, OrchestratorError, Problem
from orchestrator.execution import telling
from orchestrator.execution.drive import footing_of
from orchestrator.execution.patience import Patience
from orchestrator.execution.project import Project
from orchestrator.execution.replay.entering import current_rows, enter, failed, leave
from orchestrator.execution.replay.types import Footing, Locked, ReplayFailed
from orchestrator.execution.sessions import SessionStore
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.sessions import PostgreSQLSession, SendError, Session
from orchestrator.fleet.state import FleetState, read_fleet
from orchestrator.fleet.targets import Selection, find_targets
from orchestrator.fleet.types import State, Target, UnknownTenants
from orchestrator.planning.cohorts import Flavours
from orchestrator.planning.halfway import half_of
from orchestrator.planning.statements import (
    create_version_table,
    states_along,
    version_statements,
)
from orchestrator.revisions.history import History
from orchestrator.revisions.types import Direction, Step, VersionChange
from orchestrator.safety.journal import (
    Entry,
    HalfApplied,
    clear,
    decide,
    half_applied,
    read_rows,
)
from orchestrator.safety.owners import Owner

Decision = Literal["resume", "mark-applied", "mark-reverted", "forget"]


@dataclass(frozen=True, slots=True)
class Stopped:
    """A target that is half-way through a step. dialect: the name in its URL. half: with the
    journal's first and last row."""

    target: Target
    flavour: Flavour
    dialect: str
    state: State
    half: HalfApplied
    history: History

    @property
    def direction(self) -> Direction:
        """Of the step."""
        return Direction(self.half.direction)

    def place_on_path(self, rows: Sequence[str]) -> Literal["before", "behind", "elsewhere"]:
        """Where version rows stand, seen from the step."""
        revision = self.half.revision
        if not self.history.knows(revision) or self.history.unknown(rows):
            return "elsewhere"
        taken = revision in rows
        untaken = False
        if not taken:
            with suppress(HistoryError):
                path = self.history.path(rows, self.history.upgrade(revision))
                untaken = [step.revision for step in path] == [revision]
        before, behind = taken, untaken
        if self.direction is Direction.UPGRADE:
            before, behind = untaken, taken
        return "before" if before else "behind" if behind else "elsewhere"

    def step(self, rows: Sequence[str], *, back: bool = False) -> Step:
        """The step from these rows, which stand before it; with `back` the one that undoes it, from
        rows behind it."""
        turned = {
            Direction.UPGRADE: Direction.DOWNGRADE,
            Direction.DOWNGRADE: Direction.UPGRADE,
        }
        direction = turned[self.direction] if back else self.direction
        (step,) = self.history.path(rows, self.history.one_step(self.half.revision, direction))
        return step


def stopped_targets(
    project: Project, selection: Selection, *, allow_empty: bool = False
) -> tuple[tuple[Stopped, ...], tuple[UnknownTenants, ...]]:
    """The half-applied targets of a selection, and the tenants that nobody can tell now. Raises
    what `find_targets` raises."""
    found = find_targets(project.config, selection, allow_empty=allow_empty)
    binds = list(dict.fromkeys(target.bind.name for target in found.targets))
    project.config.require(binds=binds)
    fleet = read_fleet(found.targets)
    if not any(state.journal for state in fleet.states):
        return (), found.unknown
    return stopped_among(found.targets, fleet, project.histories(binds)), found.unknown


def stopped_among(
    targets: Sequence[Target], fleet: FleetState, histories: Mapping[str, History]
) -> tuple[Stopped, ...]:
    """Those of these targets that are half-applied."""
    flavours = Flavours(fleet.flavours)
    stopped = []
    for target, state in zip(targets, fleet.states, strict=True):
        half, known = half_of(state), flavours.of(target)
        if half is not None and known is not None:
            stopped.append(Stopped(target, *known, state, half, histories[target.bind.name]))
    return tuple(stopped)


class _Refused(Exception):
    """A decision that does not fit what is there; nothing was changed."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what)
        self.what = what
        self.todo = todo


@dataclass(frozen=True)
class Repairer:
    """Takes decisions, one target after the other."""

    sessions: SessionStore
    owner: Owner

    def take(self, stopped: Stopped, decision: Decision, *, done: bool | None = None) -> Outcome:
        """Take a decision under the target's lock. done: whether the statement in doubt was done,
        where a person knows it; the step itself is not gone on with here. Never raises for what a
        server says."""
        started = time.monotonic()
        patience = Patience(stopped.target.bind)
        rows = tuple(sorted(stopped.state.revisions))
        outcome = Outcome(stopped.target, "failed", rows, rows)
        footing = footing_of(stopped.target, stopped.flavour, self.owner)

        def attempt() -> tuple[tuple[str, ...], tuple[str, ...]]:
            with self.sessions.lend(stopped.target) as session:
                try:
                    enter(session, footing)
                    return _take(session, footing, stopped, decision, done)
                except SendError as error:
                    raise failed(session, footing, error, error.statement) from error
                finally:
                    leave(session, footing)

        try:
            before, after = patience.persist(attempt, lambda: None)
            outcome = replace(outcome, result="done", before=before, after=after)
        except Locked as locked:
            outcome = replace(outcome, failure=telling.held(stopped.target.bind, locked))
        except ReplayFailed as error:
            failure = Failure(error.message, statement=error.statement.strip())
            outcome = replace(outcome, failure=failure)
        except _Refused as error:
            failure = Failure(error.what, stopped.half.revision, todo=error.todo)
            outcome = replace(outcome, failure=failure)
        except OrchestratorError as error:
            outcome = replace(outcome, failure=_failure(error.problems[0]))
        return replace(
            outcome,
            seconds=time.monotonic() - started,
            attempts=patience.attempts,
            waited=patience.waited,
        )


def _failure(problem: Problem) -> Failure:
    return Failure(problem.what, where=problem.where, todo=problem.todo)


def _take(
    session: Session, footing: Footing, stopped: Stopped, decision: Decision, done: bool | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The version rows before and after. Raises SendError, Locked, ReplayFailed and _Refused."""
    rows = current_rows(session, footing)
    half = half_applied(session.rows(read_rows(footing.place.journal)))
    if half is None or not _is_same(half, stopped.half):
        raise _Refused(
            "it is not where it was when the decision was taken: "
            + (f"its journal is of {half.direction} {half.revision} now" if half else "it is done"),
            "Look again with `orchestrator repair`.",
        )
    if decision == "resume":
        _settle(session, footing, half, done)
        return rows, rows
    changes = _changes(stopped, rows, decision)
    texts = list(version_statements(footing.place, changes))
    if texts and not rows:
        session.batch([create_version_table(footing.place)])
    begin = "BEGIN" if isinstance(session, PostgreSQLSession) else "START TRANSACTION"
    session.batch([begin, *texts, clear(footing.place.journal), "COMMIT"])
    return rows, states_along(rows, [changes])[-1]


def _is_same(now: HalfApplied, shown: HalfApplied) -> bool:
    """Whether a step has got no further since it was looked at. The bulk reading writes times in
    another way."""
    one, other = (
        (half.revision, half.direction, half.source, [_mark(row) for row in half.rows[-1:]])
        for half in (now, shown)
    )
    return one == other


def _mark(row: Entry) -> tuple[int, str, str]:
    return row.number, row.kind, row.digest


def _settle(session: Session, footing: Footing, half: HalfApplied, done: bool | None) -> None:
    if done is None:
        return
    if half.in_doubt is None:
        raise _Refused(
            "no statement of it is in doubt",
            "Leave --in-doubt out: the journal knows how far it is.",
        )
    session.batch([decide(footing.place.journal, half.in_doubt.number, done=done)])


def _changes(
    stopped: Stopped, rows: tuple[str, ...], decision: Decision
) -> tuple[VersionChange, ...]:
    """What a decision does to the version rows. Raises _Refused."""
    if decision == "forget":
        return ()
    place = stopped.place_on_path(rows)
    if place == "elsewhere":
        at = ", ".join(rows) or "base"
        raise _Refused(
            f"its version table is at {at}, which is neither before the "
            f"{stopped.half.direction} of {stopped.half.revision} nor behind it",
            "Deploy the code that has this revision; or --forget the journal, and `orchestrator "
            "stamp` the target to where it really is.",
        )
    if (place == "behind") == (decision == "mark-applied"):
        return ()
    return stopped.step(rows, back=place == "behind").changes
