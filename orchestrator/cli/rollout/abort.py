"""`orchestrator rollout abort`: end a rollout for good."""

from __future__ import annotations

import click

from orchestrator.cli.asking import agreed, yes
from orchestrator.cli.options import opened
from orchestrator.cli.output import note, plural, say
from orchestrator.cli.rollout.choosing import (
    active,
    ledger_of,
    rollout_argument,
    settled,
    wait_option,
)
from orchestrator.cli.rollout.picture import added, through
from orchestrator.execution.project import Project
from orchestrator.ledger.process import who
from orchestrator.ledger.rollout_types import RolloutView
from orchestrator.ledger.rollouts import Rollouts


@click.command(
    "abort",
    epilog="Examples: orchestrator rollout abort; orchestrator rollout abort 20261122T2103 --yes",
)
@rollout_argument
@yes
@wait_option
@opened
def command(project: Project, name: str | None, yes: bool, wait: float) -> int:
    """End a rollout for good: running targets end, no new ones start, and its binds are free.

    What was done stays done. ROLLOUT is its id, as much of its start as makes it the only one, or
    nothing when only one is not over. Exits 1 when targets still run when --wait is over: it is
    aborted as they end.
    """
    rollouts = Rollouts(ledger_of(project.config))
    view = active(rollouts, name)
    name = view.row.id
    if not yes and not agreed(_what(view), "Pass --yes to do it."):
        return 1
    if view.driven:
        note("aborting: running targets go on to their end")
    view = settled(rollouts, view, "abort", "aborted", f"aborted by {who()}", wait=wait)
    if view.status == "running":
        note(f"rollout {name} is asked to end, and targets still run")
        return 1
    say(f"rollout {name} is {view.status}: {_through(view)}")
    return 0


def _what(view: RolloutView) -> str:
    return f"this ends rollout {view.row.id} for good; {_through(view)}, and that stays so"


def _through(view: RolloutView) -> str:
    count = added(view.counts)
    return f"{through(count):,} of {plural(count.total, 'target')} are through"
