"""`orchestrator stamp`: set the revision of targets without running anything."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.apply import dry_run, log_format, planner, run, show
from orchestrator.cli.options import as_json, must_select, opened, selects
from orchestrator.cli.script import from_revision, output_folder, print_scripts, write_sql
from orchestrator.execution.planner import Request
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection


@click.command("stamp", epilog="Example: orchestrator stamp head --bind shop --tenant acme")
@click.argument("revision")
@selects
@click.option("--purge", is_flag=True, help="Empty the version table first.")
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
    revision: str,
    purge: bool,
    dry_run: bool,
    sql: bool,
    output: Path | None,
    from_: tuple[str, ...],
    log_format: str,
    as_json: bool,
) -> int:
    """Write REVISION ([BIND:]REV, head, base) into the version tables; no migration is run.

    For databases that have a revision's tables already: a restored dump, or one made by create_all.
    """
    must_select(selection, "stamp")
    if sql:
        return write_sql(
            project, selection, "stamp", (revision,), from_, output, allow_empty=allow_empty
        )
    request = Request(selection, "stamp", (revision,), purge=purge, allow_empty=allow_empty)
    plan = planner(project, request).plan()
    if dry_run:
        return show(plan, as_json=as_json)
    return run(project, "stamp", [plan], log_format=log_format, as_json=as_json, purge=purge)
