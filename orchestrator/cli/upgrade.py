"""`orchestrator upgrade`: bring targets to head or to a revision, or write the SQL that does."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.apply import dry_run, log_format, plan, run, show
from orchestrator.cli.options import as_json, must_select, opened, selects
from orchestrator.cli.script import from_revision, output_folder, print_scripts, write_sql
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection


@click.command(
    "upgrade",
    epilog="Examples: orchestrator upgrade --all; orchestrator upgrade --bind shop --tenant acme "
    "--to +1; orchestrator upgrade --sql --bind audit",
)
@selects
@click.option(
    "--to",
    multiple=True,
    metavar="[BIND:]REV",
    help="Destination: a revision, +N or head (default: the head of each bind).",
)
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
    dry_run: bool,
    sql: bool,
    output: Path | None,
    from_: tuple[str, ...],
    log_format: str,
    as_json: bool,
) -> int:
    """Take every selected target from where it is to head, bind by bind.

    A target that fails stops alone; the others go on, and the exit code is 1. With --sql nothing is
    run and no connection is made: the SQL is printed (one target) or written to -o DIR.
    """
    must_select(selection, "upgrade")
    written = to or ("head",)
    if sql:
        return write_sql(
            project, selection, "upgrade", written, from_, output, allow_empty=allow_empty
        )
    planned = plan(project, selection, "upgrade", written, allow_empty=allow_empty)
    if dry_run:
        return show(planned, as_json=as_json)
    return run(planned, log_format=log_format, as_json=as_json)
