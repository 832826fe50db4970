"""`orchestrator rollout pause`: let running targets end, and start no new ones."""

from __future__ import annotations

import click

from orchestrator.cli.options import opened
from orchestrator.cli.output import note, say
from orchestrator.cli.rollout.choosing import (
    active,
    ledger_of,
    rollout_argument,
    settled,
    wait_option,
)
from orchestrator.execution.project import Project
from orchestrator.ledger.process import who
from orchestrator.ledger.rollouts import Rollouts


@click.command(
    "pause",
    epilog="Examples: orchestrator rollout pause; orchestrator rollout pause 20261122T2103 --wait "
    "10m",
)
@rollout_argument
@wait_option
@opened
def command(project: Project, name: str | None, wait: float) -> int:
    """Pause a rollout: running targets end, and no new ones start.

    It works from any terminal or machine that reaches the ledger, and waits until the rollout
    stands. ROLLOUT is its id, as much of its start as makes it the only one, or nothing when only
    one is not over. Exits 1 when targets still run when --wait is over: it pauses as they end.
    """
    rollouts = Rollouts(ledger_of(project.config))
    view = active(rollouts, name)
    name = view.row.id
    if view.status in ("paused", "stopped"):
        say(f"rollout {name} is {view.status} already; nothing of it runs")
        return 0
    if view.driven:
        note("pausing: running targets go on to their end")
    view = settled(rollouts, view, "pause", "paused", f"paused by {who()}", wait=wait)
    if view.status == "running":
        note(f"rollout {name} is asked to pause, and targets still run")
        return 1
    say(f"rollout {name} is {view.status}")
    if view.status == "paused":
        say(f"`orchestrator rollout resume {name}` goes on where it was")
    return 0
