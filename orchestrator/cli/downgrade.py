"""`orchestrator downgrade`: bring targets back to a revision, or write the SQL that does."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.apply import dry_run, log_format, plan, run, show
from orchestrator.cli.options import as_json, must_select, opened, selects
from orchestrator.cli.output import note
from orchestrator.cli.script import from_revision, output_folder, print_scripts, write_sql
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection


@click.command(
    "downgrade", epilog="Example: orchestrator downgrade --bind shop --tenant acme --to -1"
)
@selects
@click.option(
    "--to", multiple=True, required=True, metavar="[BIND:]REV", help="Destination: REV, -N, base."
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
    """Take the selected targets back to a revision. It asks first, because downgrades lose data."""
    must_select(selection, "downgrade")
    if sql:
        return write_sql(project, selection, "downgrade", to, from_, output)
    planned = plan(project, selection, "downgrade", to, allow_empty=allow_empty)
    if dry_run:
        return show(planned, as_json=as_json)
    steps = sum(len(one.steps) for one in planned.plans)
    if steps and not yes:
        moved = sum(bool(one.steps) for one in planned.plans)
        note(f"This takes back {steps} steps on {moved} targets; data in them may be lost.")
        click.confirm("Go on?", abort=True, err=True)
    return run(planned, log_format=log_format, as_json=as_json)
