"""`orchestrator upgrade`: bring targets to head or to a revision, or write the SQL that does."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.apply import dry_run, log_format, planner, run, show, told
from orchestrator.cli.options import as_json, must_select, opened, selects
from orchestrator.cli.resume import plan_file, resumed, strict
from orchestrator.cli.script import from_revision, output_folder, print_scripts, write_sql
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.planner import Request
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection


@click.command(
    "upgrade",
    epilog="Examples: orchestrator upgrade --all; orchestrator upgrade --bind shop --tenant acme "
    "--to +1; orchestrator upgrade --plan plan.json; orchestrator upgrade --sql --bind audit",
)
@selects
@click.option(
    "--to",
    multiple=True,
    metavar="[BIND:]REV",
    help="Destination: a revision, +N or head (default: the head of each bind).",
)
@dry_run
@plan_file
@strict
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
    plan_file: Path | None,
    strict: bool,
    sql: bool,
    output: Path | None,
    from_: tuple[str, ...],
    log_format: str,
    as_json: bool,
) -> int:
    """Take every selected target from where it is to head, bind by bind.

    A target that fails stops alone; the others go on, and the exit code is 1. With --sql nothing is
    run and no connection is made: the SQL is printed (one target) or written to -o DIR. With --plan
    exactly the steps of a plan file are taken, on its targets unless a selection narrows them.
    """
    if plan_file is not None:
        if to or sql or from_ or output:
            raise UsageError(
                Problem(
                    "--plan says by itself what is run, and where to",
                    todo="Leave out --to, --sql, --from and -o.",
                )
            )
        left = resumed(
            project,
            plan_file,
            selection,
            log_format,
            allow_empty=allow_empty,
            strict=strict,
        )
        if dry_run:
            return show(left.plan, as_json=as_json) or int(bool(left.gone))
        code = run(project, "upgrade", [left.plan], log_format=log_format, as_json=as_json)
        return code or int(bool(left.gone))
    if strict:
        raise UsageError(Problem("--strict goes with --plan", todo="Name the plan file."))
    must_select(selection, "upgrade")
    written = to or ("head",)
    if sql:
        return write_sql(
            project, selection, "upgrade", written, from_, output, allow_empty=allow_empty
        )
    request = Request(
        selection,
        "upgrade",
        written,
        allow_empty=allow_empty,
        record=not dry_run,
        listener=told(log_format),
    )
    made = planner(project, request)
    if dry_run:
        return show(made.plan(), as_json=as_json)
    return run(project, "upgrade", made.stages(), log_format=log_format, as_json=as_json)
