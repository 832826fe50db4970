"""`orchestrator downgrade`: bring targets back to a revision, or write the SQL that does."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from orchestrator.cli.apply import dry_run, log_format, planner, run, show, told
from orchestrator.cli.options import as_json, must_select, opened, selects
from orchestrator.cli.output import is_terminal, note, plural
from orchestrator.cli.script import from_revision, output_folder, print_scripts, write_sql
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.planner import Request
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection


@click.command(
    "downgrade",
    epilog="Examples: orchestrator downgrade --bind shop --tenant acme --to -1; "
    "orchestrator downgrade --bind audit --to base --from audit:head --sql",
)
@selects
@click.option(
    "--to",
    multiple=True,
    required=True,
    metavar="[BIND:]REV",
    help="Destination: a revision, -N or base.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@dry_run
@print_scripts
@output_folder
@from_revision
@log_format
@as_json
@opened
def command(
    project: Project,
    selection: Selection,
    allow_empty: bool,
    to: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    sql: bool,
    output: Path | None,
    from_: tuple[str, ...],
    log_format: str,
    as_json: bool,
) -> int:
    """Take the selected targets back to a revision.

    It asks first, because downgrades lose data. With --sql nothing is run: the SQL is printed (one
    target) or written to -o DIR, and --from must say where the targets stand.
    """
    must_select(selection, "downgrade")
    if sql:
        return write_sql(
            project, selection, "downgrade", to, from_, output, allow_empty=allow_empty
        )
    request = Request(
        selection,
        "downgrade",
        to,
        allow_empty=allow_empty,
        record=not dry_run,
        listener=told(log_format),
    )
    plan = planner(project, request).plan()
    if dry_run:
        return show(plan, as_json=as_json)
    steps = sum(len(one.steps) * len(one.targets) for one in plan.cohorts)
    if steps and not yes:
        moved = sum(len(one.targets) for one in plan.moving)
        if not _agreed(plural(steps, "step"), plural(moved, "target")):
            note("nothing was done")
            return 1
    return run(project, "downgrade", [plan], log_format=log_format, as_json=as_json)


def _agreed(steps: str, targets: str) -> bool:
    """Ask a person. Raises UsageError where there is none."""
    what = f"this takes back {steps} on {targets}; data in them may be lost"
    if not is_terminal(sys.stdin):
        raise UsageError(
            Problem(
                f"{what}, and there is no terminal to ask on",
                todo="Pass --yes to do it, or --dry-run to see the steps.",
            )
        )
    note(f"{what}.")
    return click.confirm("Go on?", err=True)
