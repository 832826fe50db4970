"""`orchestrator downgrade`: bring targets back to a revision, or write the SQL that does."""

from __future__ import annotations

import click

from orchestrator.cli.apply import planner, refuse_verify, run, show, told, verify
from orchestrator.cli.asking import agreed, yes
from orchestrator.cli.changing import Asked, changes
from orchestrator.cli.options import must_select
from orchestrator.cli.output import plural
from orchestrator.execution.planner import Request
from orchestrator.execution.project import Project
from orchestrator.planning.plan import Plan


@click.command(
    "downgrade",
    epilog="Examples: orchestrator downgrade --bind shop --tenant acme --to -1; "
    "orchestrator downgrade --bind audit --to base --from audit:head --sql",
)
@click.option(
    "--to",
    multiple=True,
    required=True,
    metavar="[BIND:]REV",
    help="Destination: a revision, -N or base.",
)
@yes
@verify
@changes
def command(project: Project, asked: Asked, to: tuple[str, ...], yes: bool, verify: bool) -> int:
    """Take the selected targets back to a revision.

    It asks first, because downgrades lose data. With --sql nothing is run: the SQL of one target is
    printed, for which --from must say where it stands, or a bundle for a DBA is written to -o DIR.
    """
    must_select(asked.selection, "downgrade")
    refuse_verify(verify=verify, sql=asked.sql)
    if asked.sql:
        # Few runs write SQL, and what a bundle tells takes long to import.
        from orchestrator.cli.bundle import sql

        return sql(project, asked, "downgrade", to)
    request = Request(
        asked.selection,
        "downgrade",
        to,
        allow_empty=asked.allow_empty,
        record=not asked.dry_run,
        listener=told(asked.log_format),
    )
    plan = planner(project, request).plan()
    if asked.dry_run:
        return show(plan, as_json=asked.as_json)
    steps = sum(len(one.steps) * len(one.targets) for one in plan.cohorts)
    asks = bool(steps) and not yes
    if asks:
        _tell_rollouts(project, plan, asked.log_format)
        moved = sum(len(one.targets) for one in plan.moving)
        what = (
            f"this takes back {plural(steps, 'step')} on {plural(moved, 'target')}; "
            "data in them may be lost"
        )
        if not agreed(what, "Pass --yes to do it, or --dry-run to see the steps."):
            return 1
    return run(
        project,
        "downgrade",
        [plan],
        log_format=asked.log_format,
        as_json=asked.as_json,
        verify=verify,
        rollouts_told=asks,
    )


def _tell_rollouts(project: Project, plan: Plan, log_format: str) -> None:
    """Say which binds are in a rollout before anything is asked."""
    # Only who is asked pays for looking into the ledger twice.
    from orchestrator.cli.beside import tell_beside
    from orchestrator.cli.recorder import read_ledger

    ledger = read_ledger(project.config, told(log_format).warning)
    if ledger is not None:
        tell_beside({one.bind for one in plan.moving}, ledger, "downgrade", log_format)
