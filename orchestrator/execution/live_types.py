"""Live steps as they are handed to a worker process, and what it says while it runs them.

Enters: what a path holds of them.  Leaves: a LiveStep, which is sent to the worker.  No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.errors import Problem
from orchestrator.execution.replay.types import Footing
from orchestrator.fleet.types import Target
from orchestrator.planning.pieces import journalled, pieces_of
from orchestrator.planning.plan import PlanStep
from orchestrator.revisions.types import Direction, Segment

_KEPT_DRIVER = "postgresql+psycopg2"
"""The driver on whose connection a worker can send recorded texts as sessions do."""

_FEW = 4
"""How many compiled steps a worker takes at most to come to the next live one: there are fewer
workers than threads, and each step takes them more round trips."""


@dataclass(frozen=True, slots=True)
class LiveRevision:
    """One revision to run. source: the SHA-256 of its file when it was planned. compiled: what it
    was recorded as, where that is to be sent; None: its function is run."""

    revision: str
    direction: Direction
    source: str = ""
    compiled: tuple[Segment, ...] | None = None

    @property
    def statements(self) -> tuple[str, ...]:
        """The recorded statements."""
        return tuple(text for segment in self.compiled or () for text in segment.statements)

    @property
    def lines(self) -> tuple[int, ...]:
        """The line of the revision file that sent each of them, as far as it is known."""
        return tuple(line for segment in self.compiled or () for line in segment.lines)


@dataclass(frozen=True, slots=True)
class LiveStep:
    """Revisions to run live on a target, with the few compiled ones between them; or a stamp.

    footing: what the session stands on there. states: the version table's rows, sorted, before each
    of the steps and after the last. stamp: revisions to set instead of running steps, for projects
    that want to be called then; purge: empty the version table first. known: the run has reached
    the target's server before, so that it is waited for when it is gone. afresh: what a step does
    to its session is gone for the next one, and the run may be stopped between two of them.
    """

    target: Target
    footing: Footing
    steps: tuple[LiveRevision, ...] = ()
    states: tuple[tuple[str, ...], ...] = ()
    stamp: tuple[str, ...] = ()
    purge: bool = False
    known: bool = False
    afresh: bool = False

    @property
    def name(self) -> str:
        """The revision that a failure is told with, before Alembic has started one."""
        return self.steps[0].revision if self.steps else ", ".join(self.stamp)


@dataclass(frozen=True, slots=True)
class Started:
    """What a worker says when it starts a step behind the first."""

    revision: str


def taken_together(target: Target, rest: Sequence[PlanStep]) -> Sequence[PlanStep]:
    """The steps that a worker takes while it has the target: the first, which is live, and those up
    to a later live one, when few others lie between them, each in one transaction."""
    url = target.server.migration_url
    if url is None or f"{url.get_backend_name()}+{url.get_driver_name()}" != _KEPT_DRIVER:
        return rest[:1]
    taken = 1
    for place, step in enumerate(rest):
        if place - taken > _FEW or not (step.live or _plain(step)):
            break
        if step.live:
            taken = place + 1
    return rest[:taken]


def _plain(step: PlanStep) -> bool:
    """Whether all that it sends goes into one transaction, with no word of its own about it."""
    segments = step.recording.segments
    pieces = pieces_of(segments)
    texts = [text for segment in segments for text in segment.statements]
    told = [text for piece in pieces for text in piece.statements]
    return bool(step.source) and texts == told and not journalled(pieces, joined=False)


def live_revision(step: PlanStep, *, live: bool = False) -> LiveRevision:
    """A step of a path for a worker. live: its function is run though it was recorded."""
    compiled = None if live or step.live else step.recording.segments
    return LiveRevision(step.step.revision, step.step.direction, step.source, compiled)


def moved_problem(target: Target, found: tuple[str, ...], expected: tuple[str, ...]) -> Problem:
    """A target that is not where its plan expects it."""
    at, wanted = (", ".join(rows) or "base" for rows in (found, expected))
    # Read from the version table alone, so that all of a place may be gone.
    at += " (its version table is empty, or not there)" if not found else ""
    return Problem(
        f"it stands at {at}, and the plan was made for {wanted}: somebody else changed it",
        where=f"target {target.id}",
        todo="Run the command again to plan from where it is.",
    )
