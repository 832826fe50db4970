"""What `upgrade --plan` adds: a plan file read, compared with how things are, and taken up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from orchestrator.cli.apply import told
from orchestrator.cli.output import named, note, plural
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.planner import Request, resume_plan
from orchestrator.execution.project import Project
from orchestrator.fleet.selections import selection_data as selection_data
from orchestrator.fleet.selections import selection_of as selection_of
from orchestrator.fleet.targets import Selection
from orchestrator.planning.planfile import read_plan
from orchestrator.planning.planfile_resume import Resumed

plan_file = click.option(
    "--plan",
    "plan_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take the steps of a file that `plan -o` wrote, and no others.",
)
strict = click.option(
    "--strict",
    is_flag=True,
    help="With --plan: refuse to run anything when any target is not as the plan says.",
)


def resumed(
    project: Project,
    path: Path,
    selection: Selection,
    log_format: str,
    *,
    allow_empty: bool,
    strict: bool,
) -> Resumed:
    """What is left of a plan file; what is not as the plan says is told on stderr.

    Raises UsageError, before anything runs, for a file that is damaged, changed revision files and
    statements, and with `strict` for any difference.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            Problem(
                f"it cannot be read: {error}",
                where=str(path),
                todo="Make it with `orchestrator plan -o`.",
            )
        ) from error
    file = read_plan(text, path.name)
    if file.verb != "upgrade":
        raise UsageError(Problem(f"it is a plan to {file.verb}", where=path.name))
    chosen = selection if selection.given else selection_of(file.selection)
    request = Request(
        chosen,
        file.verb,
        (),
        allow_empty=allow_empty or not selection.given,
        listener=told(log_format),
    )
    left = resume_plan(project, file, path.name, request, strict=strict, whole=not selection.given)
    if log_format == "text":
        _tell(left)
    return replace(left, digest=file.digest)


def _tell(left: Resumed) -> None:
    for ids, words in ((left.extra, "not in the plan"), (left.gone, "in the plan, not found now")):
        if ids:
            note(f"{plural(len(ids), 'target')} {words}: {named(ids)}")
    if left.passed:
        note(f"{plural(left.passed, 'target')} beyond the plan's start already: continued")
