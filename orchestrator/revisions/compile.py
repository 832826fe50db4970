"""Steps -> Recordings: each revision is run twice on stand-ins for a server, and compared.

Enters: a CompileRequest (a bind's steps and a flavour).  Leaves: a Recording for each step: the
statements exactly as the driver would send them, or the reasons why the step is live.
No database is touched and none is needed; see `revisions/recording` for how.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile, zip_longest
from pathlib import Path

from orchestrator.config import Where
from orchestrator.revisions.recording.children import record
from orchestrator.revisions.recording.inputs import InputDigests
from orchestrator.revisions.recording.messages import (
    CompileRequest,
    NamedType,
    Pretence,
    RecordedStep,
)
from orchestrator.revisions.types import LiveReason, Recording, Segment

__all__ = ["CompileRequest", "compile_steps", "compile_with_inputs"]

_A_YEAR_A_MONTH_AND_A_DAY = 397 * 86_400 + 3_661.0
"""How far the clocks of the two recordings are apart. Not one day: then a revision that writes this
year or this month into a name would seem to write a fixed text on most days."""

_PRETENCES = (
    Pretence("orchestrator_tenant_a", 0.0, "1"),
    Pretence("orchestrator_tenant_b", _A_YEAR_A_MONTH_AND_A_DAY, "2"),
)


def compile_steps(request: CompileRequest) -> tuple[Recording, ...]:
    """Record these steps, in their order.

    Raises the errors of loading the project (ConfigError, EnvironmentScriptError, DiscoveryError,
    HistoryError), and RecordingError when the recording processes cannot be used.
    """
    return compile_with_inputs(request).recordings


@dataclass(frozen=True, slots=True)
class Compilation:
    """Recordings with what they were made from. types: those that Alembic remembers from each step
    on (a later step of the run does not make them again). inputs: what all were made from beside
    the revision files."""

    recordings: tuple[Recording, ...] = ()
    types: tuple[tuple[NamedType, ...], ...] = ()
    inputs: InputDigests = field(default_factory=InputDigests)


def compile_with_inputs(request: CompileRequest) -> Compilation:
    """As compile_steps, for whoever keeps the recordings."""
    if not request.steps:
        return Compilation()
    first, second = record(request, _PRETENCES)
    recordings = tuple(
        Recording(revision, direction, *_compare(one, other))
        for (revision, direction), one, other in zip(
            request.steps, first.steps, second.steps, strict=True
        )
    )
    types = tuple(step.types for step in first.steps)
    return Compilation(recordings, types, first.inputs | second.inputs)


def _compare(
    one: RecordedStep, other: RecordedStep
) -> tuple[tuple[Segment, ...], tuple[LiveReason, ...]]:
    reasons = one.reasons or other.reasons or _difference(one, other)
    if reasons:
        return (), tuple(LiveReason(name, _shown(where), detail) for name, where, detail in reasons)
    return tuple(
        Segment(
            tuple(text for text, _where in segment.statements),
            segment.transactional,
            tuple(_line(where) for _text, where in segment.statements),
        )
        for segment in one.segments
    ), ()


def _line(where: str) -> int:
    number = where.rpartition(":")[2]
    return int(number) if number.isdigit() else 0


def _difference(one: RecordedStep, other: RecordedStep) -> tuple[tuple[str, str, str], ...]:
    """The first place where two recordings differ, as a reason; nothing when they are the same."""
    for number, (left, right) in enumerate(zip_longest(_flat(one), _flat(other)), start=1):
        if left is not None and right is not None and left[:2] == right[:2]:
            continue
        text, _transactional, where = left or right or ("", True, "")
        if left is not None and right is not None:
            same = _common_start(left[0], right[0])
            if left[0].replace(_PRETENCES[0].target, _PRETENCES[1].target) == right[0]:
                detail = f"statement {number} holds a name that is the target's own"
                return (("reads-tenant", where, f"{detail}: {_start(same)}"),)
            text = same
        detail = f"statement {number} differs between two recordings: {_start(text)}"
        return (("differs-between-runs", where, detail),)
    return ()


def _flat(step: RecordedStep) -> list[tuple[str, bool, str]]:
    return [
        (text, segment.transactional, where)
        for segment in step.segments
        for text, where in segment.statements
    ]


def _common_start(one: str, other: str) -> str:
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(pair[0] for pair in pairs)


def _start(text: str) -> str:
    line = " ".join(text.split())
    return f"{line[:60]}..."


def _shown(where: str) -> str:
    """file:line as the rest of the program prints it: relative to the working directory."""
    file, _colon, line = where.rpartition(":")
    return str(Where(Path(file), int(line))) if file and line.isdigit() else where
