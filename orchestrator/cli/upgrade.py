"""`orchestrator upgrade`: bring targets to head or to a revision, or write the SQL that does."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.apply import planner, refuse_verify, run, show, told, upgrade_to, verify
from orchestrator.cli.changing import Asked, changes
from orchestrator.cli.options import must_select
from orchestrator.cli.resume import plan_file, resumed, strict
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.planner import Request
from orchestrator.execution.project import Project


@click.command(
    "upgrade",
    epilog="Examples: orchestrator upgrade --all; orchestrator upgrade --bind shop --tenant acme "
    "--to +1; orchestrator upgrade --plan plan.json; orchestrator upgrade --sql --bind audit",
)
@upgrade_to
@plan_file
@strict
@verify
@changes
def command(
    project: Project,
    asked: Asked,
    to: tuple[str, ...],
    plan_file: Path | None,
    strict: bool,
    verify: bool,
) -> int:
    """Take every selected target from where it is to head, bind by bind.

    A target that fails stops alone; the others go on, and the exit code is 1. With --sql nothing is
    run: the SQL of one target is printed, or a bundle for a DBA is written to -o DIR, with scripts
    for all targets and all that is needed to run them. With --plan exactly the steps of a plan file
    are taken, on its targets unless a selection narrows them.
    """
    if plan_file is not None:
        return _planned(project, asked, to, plan_file, strict=strict, verify=verify)
    if strict:
        raise UsageError(Problem("--strict goes with --plan", todo="Name the plan file."))
    must_select(asked.selection, "upgrade")
    refuse_verify(verify=verify, sql=asked.sql)
    written = to or ("head",)
    if asked.sql:
        # Few runs write SQL, and what a bundle tells takes long to import.
        from orchestrator.cli.bundle import sql

        return sql(project, asked, "upgrade", written)
    request = Request(
        asked.selection,
        "upgrade",
        written,
        allow_empty=asked.allow_empty,
        record=not asked.dry_run,
        listener=told(asked.log_format),
    )
    made = planner(project, request)
    if asked.dry_run:
        return show(made.plan(), as_json=asked.as_json)
    return run(
        project,
        "upgrade",
        made.stages(),
        log_format=asked.log_format,
        as_json=asked.as_json,
        verify=verify,
    )


def _planned(
    project: Project,
    asked: Asked,
    to: tuple[str, ...],
    plan_file: Path,
    *,
    strict: bool,
    verify: bool,
) -> int:
    """Take the steps of a plan file."""
    if to or asked.sql or asked.from_ or asked.output or asked.state:
        raise UsageError(
            Problem(
                "--plan says by itself what is run, and where to",
                todo="Leave out --to, --sql, --from, --state and -o.",
            )
        )
    left = resumed(
        project,
        plan_file,
        asked.selection,
        asked.log_format,
        allow_empty=asked.allow_empty,
        strict=strict,
    )
    if asked.dry_run:
        return show(left.plan, as_json=asked.as_json) or int(bool(left.gone))
    code = run(
        project,
        "upgrade",
        [left.plan],
        log_format=asked.log_format,
        as_json=asked.as_json,
        digest=left.digest,
        verify=verify,
    )
    return code or int(bool(left.gone))
