"""Compiled steps by hand, and a session in a place, for the tests of the executor.

Enters: statements. Leaves: steps, and what a server holds after they were replayed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from orchestrator.config import Bind, Flavour, Server, Where
from orchestrator.execution.drive import footing_of
from orchestrator.execution.replay.entering import enter, leave
from orchestrator.execution.replay.replay import replay
from orchestrator.execution.replay.types import CompiledStep, Footing
from orchestrator.fleet.sessions import Session, open_session
from orchestrator.fleet.types import Target
from orchestrator.planning.plan import PlanStep
from orchestrator.revisions.types import (
    Direction,
    LiveReason,
    Recording,
    Segment,
    Step,
    VersionChange,
)
from orchestrator.safety.owners import Owner
from tests.cli.small import rows

HERE = Where(Path("databases.yaml"), 1)
PG = Flavour("postgresql", (16,))
MY = Flavour("mariadb", (10, 11))

Texts = Sequence[str] | Segment


def alone(*statements: str) -> Segment:
    """An autocommit block."""
    return Segment(statements, transactional=False)


def step(name: str, after: str | None, *parts: str | Segment) -> CompiledStep:
    """An upgrade; texts that follow one another share a segment."""
    segments: list[Segment] = []
    for part in parts:
        if isinstance(part, Segment):
            segments.append(part)
        elif segments and segments[-1].transactional:
            segments[-1] = Segment((*segments[-1].statements, part))
        else:
            segments.append(Segment((part,)))
    change = VersionChange("update", after, name) if after else VersionChange("insert", new=name)
    made = Step(name, Direction.UPGRADE, name, Path(f"/v/{name}.py"), (change,))
    return made, segments


def plan_step(compiled: CompiledStep, *, live: bool = False) -> PlanStep:
    """The same as a step of a plan; each statement stands in a line of its own, from 10 on."""
    made, segments = compiled
    line = 10
    numbered = []
    for segment in segments:
        lines = tuple(range(line, line + len(segment.statements)))
        line += len(lines)
        numbered.append(Segment(segment.statements, segment.transactional, lines))
    reasons = (LiveReason("reads-result", "x.py:1", "it reads"),) if live else ()
    recording = Recording(made.revision, made.direction, tuple(numbered), reasons)
    return PlanStep(made, recording, source="digest of its file")


def target_of(url: URL, **bind: object) -> Target:
    """A bind's only target."""
    server = Server("one", url, HERE)
    family = "postgresql" if url.get_backend_name() == "postgresql" else "mysql"
    made = Bind("main", HERE, {"one": server}, (), family=family, **bind)  # type: ignore[arg-type]
    return Target(made, server)


def footing_in(url: URL, **bind: object) -> Footing:
    """The footing of a database itself."""
    target = target_of(url, **bind)
    return footing_of(target, PG if target.bind.family == "postgresql" else MY, Owner.here("test"))


@contextmanager
def session_in(url: URL) -> Iterator[Session]:
    """A session in a database. It gives the lock back by itself: a server that finds its client
    gone does so some time later."""
    session = open_session(url)
    try:
        enter(session, footing_in(url))
        yield session
    finally:
        leave(session, footing_in(url))
        session.close()


def run(url: URL, *steps: CompiledStep, expected: Sequence[str] = ()) -> None:
    """Replay steps one after the other, on one session."""
    with session_in(url) as session:
        held = tuple(expected)
        for one in steps:
            replay(session, footing_in(url), [one], held)
            held = (one[0].revision,)


def versions(url: URL) -> list[str]:
    """The rows of the version table."""
    return sorted(row[0] for row in rows(url, "SELECT version_num FROM alembic_version"))
