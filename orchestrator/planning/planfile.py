"""The plan file: a plan as JSON that is reviewed, kept, and run later.

Enters: a Plan, or the text of a plan file.  Leaves: the text, or a PlanFile.  No I/O.  What is done
with a file that was read stands in `planfile_resume`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import __version__
from orchestrator.config import Flavour
from orchestrator.errors import Problem, UsageError
from orchestrator.planning.digest import digest_of
from orchestrator.planning.paths import Verb
from orchestrator.planning.plan import Cohort, Plan, PlanStep
from orchestrator.revisions.types import Direction, Segment, VersionChange

FORMAT = 1


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step as the file has it.

    file: the revision file, relative to the project. source: its SHA-256. segments: empty for a
    live step.
    """

    revision: str
    direction: Direction
    message: str
    file: str
    source: str
    changes: tuple[VersionChange, ...]
    segments: tuple[Segment, ...]
    live: bool


@dataclass(frozen=True, slots=True)
class PlannedCohort:
    """One cohort as the file has it. targets: their ids."""

    bind: str
    flavour: Flavour
    dialect: str
    state: tuple[str, ...]
    steps: tuple[PlannedStep, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan that was read. selection: the options that selected its targets, by their names."""

    verb: Verb
    destinations: Mapping[str, str]
    selection: Mapping[str, Any]
    cohorts: tuple[PlannedCohort, ...]
    digest: str


def plan_document(plan: Plan, root: Path, selection: Mapping[str, Any]) -> dict[str, Any]:
    """A plan as plain values: what `plan --json` prints and `plan -o` writes.

    selection: the options that selected its targets, by their names.
    """
    revisions: dict[tuple[str, ...], int] = {}
    paths: list[dict[str, Any]] = []
    written: list[dict[str, Any]] = []
    ordered = sorted(
        plan.cohorts,
        key=lambda one: (
            one.bind,
            str(one.flavour),
            one.dialect,
            one.state,
            # In a revert, targets of one state go back to several.
            [step.step.revision for step in one.steps],
        ),
    )
    for cohort in ordered:
        steps = []
        for one in cohort.steps:
            row = _revision(cohort.bind, one, root)
            number = revisions.setdefault(tuple(row), len(revisions))
            steps.append(_step(number, one))
        path = {"steps": steps}
        if path not in paths:
            paths.append(path)
        written.append(_cohort(cohort, paths.index(path)))
    document: dict[str, Any] = {
        "format": FORMAT,
        "orchestrator": __version__,
        "verb": plan.goal.verb,
        "destinations": dict(plan.goal.destinations),
        "selection": dict(selection),
        "revisions": [dict(zip(_REVISION, row, strict=True)) for row in revisions],
        "paths": paths,
        "cohorts": written,
        "live": _reasons(plan),
        "blocked": [
            {"target": one.target.id, "state": one.state.kind, "problem": one.problem.what}
            for one in plan.blocked
        ],
        "waiting": [{"bind": one.bind, "after": list(one.after)} for one in plan.waiting],
        "unknown": [
            {"bind": one.bind.name, "server": one.server, "problem": one.words}
            for one in plan.unknown
        ],
    }
    return {"digest": digest_of(document), **document}


_REVISION = ("bind", "revision", "direction", "message", "file", "sha256")


def _revision(bind: str, one: PlanStep, root: Path) -> list[str]:
    step = one.step
    file = step.file.relative_to(root) if step.file.is_relative_to(root) else Path(step.file.name)
    return [
        bind,
        step.revision,
        str(step.direction),
        step.message,
        file.as_posix(),
        one.source,
    ]


def _step(number: int, one: PlanStep) -> dict[str, Any]:
    return {
        "revision": number,
        "live": one.live,
        "segments": [
            {"transactional": segment.transactional, "statements": list(segment.statements)}
            for segment in one.recording.segments
        ],
        "changes": [
            {"kind": change.kind, "old": change.old, "new": change.new}
            for change in one.step.changes
        ],
    }


def _cohort(cohort: Cohort, path: int) -> dict[str, Any]:
    return {
        "bind": cohort.bind,
        "flavour": str(cohort.flavour),
        "dialect": cohort.dialect,
        "from": list(cohort.state),
        "path": path,
        "targets": sorted(target.id for target in cohort.targets),
    }


def _reasons(plan: Plan) -> list[dict[str, str]]:
    """Why steps are live, for the reader: places are told as on this machine, so no digest covers
    them."""
    found = {
        (cohort.bind, one.step.revision, reason.name, reason.where, reason.detail)
        for cohort in plan.cohorts
        for one in cohort.steps
        for reason in one.recording.live
    }
    names = ("bind", "revision", "reason", "where", "detail")
    return [dict(zip(names, row, strict=True)) for row in sorted(found)]


def write_plan(document: Mapping[str, Any]) -> str:
    """The text of a plan file."""
    return json.dumps(document, indent=1) + "\n"


def read_plan(text: str, name: str) -> PlanFile:
    """Read a plan file. name: how to call it in messages.

    Raises UsageError for what is no plan file, another format, and one that was edited.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _refused(name, f"it is no JSON: {error}") from error
    if not isinstance(document, dict) or "digest" not in document:
        raise _refused(name, "it is no plan file")
    if document.get("format") != FORMAT:
        raise _refused(name, f"it has format {document.get('format')}, and this is {FORMAT}")
    if document["digest"] != digest_of(document):
        raise _refused(name, "it was changed after it was written: its digest does not fit")
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise _refused(name, f"it is damaged: {type(error).__name__}: {error}") from error


def _refused(name: str, what: str) -> UsageError:
    return UsageError(Problem(what, where=name, todo="Make it again with `orchestrator plan -o`."))


def _read(document: Mapping[str, Any]) -> PlanFile:
    revisions = document["revisions"]
    paths = [
        tuple(_read_step(step, revisions[step["revision"]]) for step in path["steps"])
        for path in document["paths"]
    ]
    return PlanFile(
        document["verb"],
        dict(document["destinations"]),
        dict(document["selection"]),
        tuple(
            PlannedCohort(
                one["bind"],
                Flavour.parse(one["flavour"]),
                one["dialect"],
                tuple(one["from"]),
                paths[one["path"]],
                tuple(one["targets"]),
            )
            for one in document["cohorts"]
        ),
        document["digest"],
    )


def _read_step(step: Mapping[str, Any], revision: Mapping[str, str]) -> PlannedStep:
    return PlannedStep(
        revision["revision"],
        Direction(revision["direction"]),
        revision["message"],
        revision["file"],
        revision["sha256"],
        tuple(VersionChange(one["kind"], one["old"], one["new"]) for one in step["changes"]),
        _segments(step["segments"]),
        bool(step["live"]),
    )


def _segments(written: Sequence[Mapping[str, Any]]) -> tuple[Segment, ...]:
    return tuple(Segment(tuple(one["statements"]), one["transactional"]) for one in written)
