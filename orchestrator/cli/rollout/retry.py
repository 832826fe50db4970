"""`orchestrator rollout retry`: run the failed targets of a rollout again."""

from __future__ import annotations

import click

from orchestrator.cli.apply import log_format
from orchestrator.cli.asking import agreed, yes
from orchestrator.cli.changing import patient
from orchestrator.cli.options import as_json, opened
from orchestrator.cli.output import note, plural
from orchestrator.cli.rollout.choosing import driven, ledger_of, rollout_argument
from orchestrator.cli.rollout.control import Told, control
from orchestrator.cli.rollout.picture import added
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.ledger.rollouts import Rollouts


@click.command(
    "retry",
    epilog="Examples: orchestrator rollout retry; orchestrator rollout retry last --yes",
)
@rollout_argument
@yes
@log_format
@as_json
@opened
@patient
def command(project: Project, name: str | None, yes: bool, log_format: str, as_json: bool) -> int:
    """Run the failed targets of a rollout again, and no others: of every wave that it has begun.

    It works on one that is done, too. ROLLOUT is its id, as much of its start as makes it the only
    one, `last`, or nothing: the one that is not over, else the last.
    """
    ledger = ledger_of(project.config)
    view = Rollouts(ledger).view(name)
    if view.driven:
        raise driven(view)
    if view.row.status == "aborted":
        raise UsageError(
            Problem(
                f"rollout {view.row.id} is aborted",
                todo="Begin a new one with `orchestrator rollout start`.",
            )
        )
    total = added(view.counts)
    bad = total.failed + total.different
    if not bad:
        goes_on = f"; `orchestrator rollout resume {view.row.id}` goes on where it was"
        more = "" if view.row.status == "done" else goes_on
        note(f"rollout {view.row.id}: no target has failed; nothing to do{more}")
        return 0
    what = f"this runs {plural(bad, 'failed target')} of rollout {view.row.id} again"
    if not yes and not agreed(what, "Pass --yes to do it."):
        return 1
    return control(project, ledger, view, "retry", Told(log_format, as_json), retry=True)
