"""`orchestrator stamp`: set the revision of targets without running anything."""

from __future__ import annotations

import click

from orchestrator.cli.apply import planner, run, show
from orchestrator.cli.changing import Asked, changes
from orchestrator.cli.options import must_select
from orchestrator.cli.script import no_state, write_sql
from orchestrator.execution.planner import Request
from orchestrator.execution.project import Project


@click.command("stamp", epilog="Example: orchestrator stamp head --bind shop --tenant acme")
@click.argument("revision")
@click.option("--purge", is_flag=True, help="Empty the version table first.")
@changes
def command(project: Project, asked: Asked, revision: str, purge: bool) -> int:
    """Write REVISION ([BIND:]REV, head, base) into the version tables; no migration is run.

    For databases that have a revision's tables already: a restored dump, or one made by create_all.
    """
    must_select(asked.selection, "stamp")
    no_state(asked.state)
    if asked.sql:
        return write_sql(
            project,
            asked.selection,
            "stamp",
            (revision,),
            asked.from_,
            asked.output,
            allow_empty=asked.allow_empty,
        )
    request = Request(
        asked.selection, "stamp", (revision,), purge=purge, allow_empty=asked.allow_empty
    )
    plan = planner(project, request).plan()
    if asked.dry_run:
        return show(plan, as_json=asked.as_json)
    return run(
        project,
        "stamp",
        [plan],
        log_format=asked.log_format,
        as_json=asked.as_json,
        purge=purge,
    )
