"""`orchestrator rollout resume`: go on where a rollout was paused, stopped or killed."""

from __future__ import annotations

import click

from orchestrator.cli.apply import log_format
from orchestrator.cli.asking import agreed, yes
from orchestrator.cli.changing import patient, seconds
from orchestrator.cli.options import as_json, opened
from orchestrator.cli.output import plural
from orchestrator.cli.rollout.choosing import driven, ledger_of, rollout_argument
from orchestrator.cli.rollout.control import Told, control
from orchestrator.cli.rollout.picture import added
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.ledger.rollout_types import OVER, RolloutView
from orchestrator.ledger.rollouts import Rollouts


@click.command(
    "resume",
    epilog="Examples: orchestrator rollout resume; orchestrator rollout resume 20261122T2103 "
    "--yes; orchestrator rollout resume last --include-new; orchestrator rollout resume "
    "--check-timeout 30m",
)
@rollout_argument
@yes
@click.option(
    "--include-new",
    is_flag=True,
    help="Take targets that came after the plan too, as one more wave; of one that is done too.",
)
@click.option(
    "--accept-different",
    is_flag=True,
    help="Take targets whose schema is not that of their cohort as they are.",
)
@click.option(
    "--check-timeout",
    callback=seconds,
    metavar="DURATION",
    help="Time limit of each command among the checks, from now on in this rollout; 0: none.",
)
@log_format
@as_json
@opened
@patient
def command(
    project: Project,
    name: str | None,
    yes: bool,
    include_new: bool,
    accept_different: bool,
    check_timeout: float | None,
    log_format: str,
    as_json: bool,
) -> int:
    """Go on with a rollout that was paused, stopped or interrupted, under the same plan.

    What is done is not done again, and the failed targets of the wave where it stands are tried
    again, with a fresh failure budget. Revision files that are not those of the plan are refused.
    ROLLOUT is its id, as much of its start as makes it the only one, or nothing when only one is
    not over.
    """
    ledger = ledger_of(project.config)
    rollouts = Rollouts(ledger)
    view = rollouts.view(name)
    _fitting(view, include_new=include_new)
    if not yes and not agreed(_what(view), "Pass --yes to do it."):
        return 1
    told = Told(log_format, as_json)
    return control(
        project,
        ledger,
        view,
        "resume",
        told,
        include_new=include_new,
        accept_different=accept_different,
        check_timeout=check_timeout,
    )


def _fitting(view: RolloutView, *, include_new: bool) -> None:
    """Raises UsageError for a rollout that cannot go on."""
    name = view.row.id
    if view.driven:
        raise driven(view)
    if view.row.status == "aborted" or (view.row.status in OVER and not include_new):
        again = (
            f"`orchestrator rollout retry {name}` takes its failed targets again, and "
            "`--include-new` those that came after the plan."
            if view.row.status == "done"
            else "Begin a new one with `orchestrator rollout start`."
        )
        raise UsageError(Problem(f"rollout {name} is {view.row.status}", todo=again))


def _what(view: RolloutView) -> str:
    total = added(view.counts)
    return (
        f"this goes on with rollout {view.row.id} ({view.status}"
        + (f": {view.row.reason}" if view.row.reason else "")
        + f"); {plural(total.waiting, 'target')} to come"
    )
