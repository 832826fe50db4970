"""What the parent and the recording process tell each other, as lines of JSON.

Enters: dataclasses on one side.  Leaves: the same on the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator import errors
from orchestrator.config import Flavour
from orchestrator.errors import OrchestratorError, Problem, RecordingError
from orchestrator.revisions.recording.inputs import InputDigests
from orchestrator.revisions.recording.tape import Tape
from orchestrator.revisions.types import Direction

NamedType = tuple[str, str | None, str]
"""A type of PostgreSQL that has a name: its kind as SQLAlchemy remembers it, schema and name."""


@dataclass(frozen=True, slots=True)
class CompileRequest:
    """Steps of one bind to record, on one flavour, in the order of a run.

    The order matters where Alembic remembers over revisions: a PostgreSQL enum that an earlier step
    has made is not made again.

    types: what the steps before these have left in Alembic's memory (see RecordedStep). dialect:
    the name in the targets' URL, when it is not the flavour's ("mysql" for a MariaDB that
    is reached through mysql://). x: what `context.get_x_argument()` gives. time_limit: seconds for
    all steps together; a step gets at least `children.STEP_SECONDS` whatever came before it.
    callbacks: whether env.py's on_version_apply makes steps live; a script cannot call it anyway.
    """

    config_file: Path
    root: Path
    bind: str
    flavour: Flavour
    steps: tuple[tuple[str, Direction], ...]
    dialect: str = ""
    x: tuple[str, ...] = ()
    types: tuple[NamedType, ...] = ()
    time_limit: float = 60.0
    callbacks: bool = True


@dataclass(frozen=True, slots=True)
class Pretence:
    """What differs between the two recordings: the target's name, the clock, the order of sets."""

    target: str
    clock_shift: float
    hash_seed: str


@dataclass(frozen=True, slots=True)
class RecordedSegment:
    """As Segment, with the line that sent each statement."""

    transactional: bool
    statements: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """One recording of one step. reasons: (name, file:line, detail). types: those that Alembic
    remembers from this step on, for the rest of the run."""

    segments: tuple[RecordedSegment, ...] = ()
    reasons: tuple[tuple[str, str, str], ...] = field(default=())
    types: tuple[NamedType, ...] = ()

    @classmethod
    def of(cls, tape: Tape, types: Iterable[NamedType] = ()) -> RecordedStep:
        """What a tape holds."""
        if tape.reasons:
            return cls(reasons=tuple(tape.reasons), types=tuple(types))
        return cls(
            tuple(
                RecordedSegment(one.transactional, tuple(one.statements)) for one in tape.segments
            ),
            types=tuple(types),
        )


def write_request(request: CompileRequest, pretence: Pretence, first: int, folder: Path) -> str:
    """The request for the steps from `first` on. folder: where the process may keep its socket."""
    return json.dumps(
        {
            "config_file": str(request.config_file),
            "root": str(request.root),
            "bind": request.bind,
            "flavour": [request.flavour.name, list(request.flavour.version)],
            "steps": [[revision, str(way)] for revision, way in request.steps[first:]],
            "dialect": request.dialect,
            "x": list(request.x),
            "types": request.types,
            "time_limit": request.time_limit,
            "callbacks": request.callbacks,
            "folder": str(folder),
            "pretence": [pretence.target, pretence.clock_shift, pretence.hash_seed],
        }
    )


def read_request(text: str) -> tuple[CompileRequest, Pretence, Path]:
    """The reverse of write_request."""
    data = json.loads(text)
    name, version = data["flavour"]
    request = CompileRequest(
        Path(data["config_file"]),
        Path(data["root"]),
        data["bind"],
        Flavour(name, tuple(version)),
        tuple((revision, Direction(way)) for revision, way in data["steps"]),
        data["dialect"],
        tuple(data["x"]),
        _named_types(data["types"]),
        data["time_limit"],
        data["callbacks"],
    )
    if not request.dialect:
        request = replace(request, dialect=request.flavour.name)
    return request, Pretence(*data["pretence"]), Path(data["folder"])


def started(file: Path) -> dict[str, Any]:
    """The next step begins; it stands in this file."""
    return {"started": str(file)}


def used(inputs: InputDigests) -> dict[str, Any]:
    """What the process has taken from the project since it told last."""
    return {"used": [dict(inputs.files), dict(inputs.variables)]}


def read_used(message: dict[str, Any]) -> InputDigests:
    """The reverse of used()."""
    return InputDigests(*message["used"])


def recorded(step: RecordedStep) -> dict[str, Any]:
    """The step that began has ended."""
    return {
        "segments": [[one.transactional, one.statements] for one in step.segments],
        "reasons": step.reasons,
        "types": step.types,
    }


def read_recorded(message: dict[str, Any]) -> RecordedStep:
    """The reverse of recorded()."""
    return RecordedStep(
        tuple(
            RecordedSegment(transactional, tuple((text, where) for text, where in statements))
            for transactional, statements in message["segments"]
        ),
        tuple((name, where, detail) for name, where, detail in message["reasons"]),
        _named_types(message["types"]),
    )


def _named_types(values: Iterable[Sequence[Any]]) -> tuple[NamedType, ...]:
    return tuple((kind, schema, name) for kind, schema, name in values)


def failed(error: OrchestratorError) -> dict[str, Any]:
    """The project could not be loaded."""
    return {
        "failed": type(error).__name__,
        "problems": [[one.what, one.where, one.key, one.todo] for one in error.problems],
    }


def read_failed(message: dict[str, Any]) -> OrchestratorError:
    """The error that failed() told, of the same class."""
    problems: Iterable[Problem] = [Problem(*parts) for parts in message["problems"]]
    kind = getattr(errors, message["failed"], RecordingError)
    error: OrchestratorError = kind(problems)
    return error
