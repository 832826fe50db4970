"""`orchestrator plan`: what an upgrade would do, to be reviewed, and kept as a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from orchestrator.cli.apply import continuing, planner, told, upgrade_to
from orchestrator.cli.options import as_json, opened, selects
from orchestrator.cli.output import named, plural, revisions, say
from orchestrator.cli.resume import selection_data
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.planner import Request
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection
from orchestrator.planning.destructive import destroys
from orchestrator.planning.plan import Blocked, Cohort, Plan, PlanStep
from orchestrator.planning.planfile import plan_document, write_plan
from orchestrator.planning.statements import states_along
from orchestrator.revisions.types import Direction

COHORTS_SHOWN = 20
STEPS_SHOWN = 25
"""More cohorts, and more steps of one cohort, are counted without -v: a plan fits a screen."""


@click.command(
    "plan",
    epilog="Examples: orchestrator plan; orchestrator plan --bind shop --to +1 -v; "
    "orchestrator plan -o plan.json",
)
@selects
@upgrade_to
@click.option(
    "-o",
    "output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the plan to this file, for `upgrade --plan FILE`.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show every statement.")
@as_json
@opened
def command(
    project: Project,
    selection: Selection,
    allow_empty: bool,
    to: tuple[str, ...],
    output: Path | None,
    verbose: bool,
    as_json: bool,
) -> int:
    """Show what `upgrade` would do: cohorts, their steps, and what each step runs.

    Nothing is changed. Steps are compiled to their SQL, or live: then it is said why, and where.
    Statements that destroy data are marked. Exits 1 when some targets cannot be planned.
    """
    request = Request(
        selection, "upgrade", to or ("head",), allow_empty=allow_empty, listener=told()
    )
    plan = planner(project, request).plan()
    document = plan_document(plan, project.config.root, selection_data(selection))
    if output is not None:
        _write(output, write_plan(document))
    if as_json:
        say(write_plan(document).rstrip())
    else:
        Printer(plan, verbose=verbose).print(document["digest"])
        if output is not None:
            say(f"written to {output}; run it with: orchestrator upgrade --plan {output}")
    return int(bool(plan.blocked or plan.unknown))


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(
            Problem(f"it cannot be written: {error.strerror}", str(path), todo="Choose another -o.")
        ) from error


class Printer:
    """A plan for a person, on one screen unless every statement is asked for."""

    def __init__(self, plan: Plan, *, verbose: bool) -> None:
        self._plan = plan
        self._verbose = verbose
        self._shown: list[Cohort] = []

    def print(self, digest: str) -> None:
        """All of it."""
        moving = self._plan.moving
        limit = len(moving) if self._verbose else COHORTS_SHOWN
        for cohort in moving[:limit]:
            self._cohort(cohort)
        self._rest(moving[limit:])
        for cohort in self._plan.cohorts:
            if not cohort.steps:
                count = plural(len(cohort.targets), "target")
                say(f"{cohort.bind}: {count} at {revisions(cohort.state)}, nothing to do")
        for waiting in self._plan.waiting:
            say(f"{waiting.bind}, after {' and '.join(waiting.after)}: its tenants are known then")
        self._problems()
        self._totals(digest)

    def _rest(self, cohorts: Sequence[Cohort]) -> None:
        if cohorts:
            count = plural(sum(len(one.targets) for one in cohorts), "target")
            say(f"... and {len(cohorts):,} smaller cohorts with {count}; -v shows them")

    def _cohort(self, cohort: Cohort) -> None:
        after = self._after(cohort)
        missing = f", {cohort.missing:,} to be created" if cohort.missing else ""
        end = _end(cohort)
        say(
            f"{cohort.bind}{after}, {cohort.flavour}: "
            f"{plural(len(cohort.targets), 'target')}{missing}, {revisions(cohort.state)} -> {end}"
        )
        if cohort.targets[0].tenant is not None:
            say(f"    targets: {named(target.id for target in cohort.targets)}")
        if cohort.continued:
            say(f"    {continuing(cohort)}: {named(cohort.continued)}")
        longer = next((one for one in self._shown if _ends_with(one, cohort)), None)
        if longer is not None and not self._verbose:
            count = len(cohort.steps)
            say(f"    the last {plural(count, 'step')} of {revisions(longer.state)} -> {end} above")
        else:
            self._steps(cohort)
        self._shown.append(cohort)

    def _after(self, cohort: Cohort) -> str:
        pending = {one.bind for one in self._plan.moving}
        names = [name for name in cohort.targets[0].bind.depends_on if name in pending]
        return f" (after {', '.join(names)})" if names else ""

    def _steps(self, cohort: Cohort) -> None:
        limit = len(cohort.steps) if self._verbose else STEPS_SHOWN
        width = max(len(one.step.revision) for one in cohort.steps)
        for number, one in enumerate(cohort.steps):
            # What destroys data, or is live, is never left out.
            marks = destroyed(cohort, one)
            if number < limit or marks or one.live:
                self._step(one, width, marks)
        hidden = [
            one for one in cohort.steps[limit:] if not one.live and not destroyed(cohort, one)
        ]
        if hidden:
            say(f"    ... and {plural(len(hidden), 'step')} more; -v shows them")

    def _step(self, one: PlanStep, width: int, marks: Sequence[str]) -> None:
        step = one.step
        what = "live" if one.live else plural(one.statements, "statement")
        message = f"{step.message}  " if step.message else ""
        say(f"    {step.revision:<{width}}  {message}({what})")
        for reason in one.recording.live:
            say(f"        live: {reason.name}, {reason.where}: {reason.detail}")
        for mark in marks:
            say(f"        DESTRUCTIVE: {mark}")
        if self._verbose:
            for segment in one.recording.segments:
                kind = "" if segment.transactional else "  -- each for itself (autocommit)"
                for text in segment.statements:
                    say("        " + text.replace("\n", "\n        ") + ";" + kind)

    def _problems(self) -> None:
        causes: dict[str, list[Blocked]] = {}
        for one in self._plan.blocked:
            causes.setdefault(one.problem.what, []).append(one)
        shown = sorted(causes.items(), key=lambda cause: -len(cause[1]))
        for what, some in shown[:COHORTS_SHOWN]:
            say(f"cannot be planned: {named(one.target.id for one in some)}: {what}")
            if some[0].problem.todo:
                say(f"    {some[0].problem.todo}")
        if len(shown) > COHORTS_SHOWN:
            say(f"... and {len(shown) - COHORTS_SHOWN:,} other causes")
        for unknown in self._plan.unknown:
            say(f"{unknown.bind.name}: {unknown.words}")

    def _totals(self, digest: str) -> None:
        moving = self._plan.moving
        targets = sum(len(one.targets) for one in moving)
        steps = {(c.bind, one.step.revision): one for c in moving for one in c.steps}
        live = sum(one.live for one in steps.values())
        marked = {
            (c.bind, one.step.revision) for c in moving for one in c.steps if destroyed(c, one)
        }
        parts = [f"{plural(targets, 'target')} to change", plural(len(steps), "revision")]
        parts += [f"{live:,} live"] if live else []
        parts += [f"{len(marked):,} destructive"] if marked else []
        blocked = len(self._plan.blocked)
        parts += [f"{plural(blocked, 'target')} that cannot be planned"] if blocked else []
        say(f"plan: {', '.join(parts)}; digest {digest}")


def _end(cohort: Cohort) -> str:
    """Where a cohort's path leads."""
    last = cohort.steps[-1].step
    if last.direction is Direction.UPGRADE:
        return last.revision
    return revisions(states_along(cohort.state, [one.step.changes for one in cohort.steps])[-1])


def destroyed(cohort: Cohort, one: PlanStep) -> list[str]:
    """What a step's statements destroy: "drops a table: DROP TABLE users"."""
    return [
        f"{', '.join(found)}: {_line(text)}"
        for segment in one.recording.segments
        for text in segment.statements
        if (found := destroys(text, cohort.flavour.family))
    ]


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:97]}..."


def _ends_with(longer: Cohort, cohort: Cohort) -> bool:
    """Whether a cohort's steps are the last ones of another's."""
    same = longer.bind == cohort.bind and longer.flavour == cohort.flavour
    return same and longer.steps[-len(cohort.steps) :] == cohort.steps
