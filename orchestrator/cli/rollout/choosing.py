"""Which rollout a command line means, and the words by which one is asked to stop.

Enters: an id, the start of one, or nothing.  Leaves: the rollouts of the project's ledger, and a
RolloutView.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from orchestrator.cli.changing import seconds
from orchestrator.cli.output import note
from orchestrator.cli.recorder import read_ledger
from orchestrator.config import Config
from orchestrator.errors import Problem, UsageError
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import OVER, Ask, RolloutStatus, RolloutView
from orchestrator.ledger.rollouts import Rollouts

POLL = 0.3
"""Seconds between two looks at the ledger."""

Function = Callable[..., Any]


def rollout_argument(function: Function) -> Function:
    """Add the argument that names a rollout."""
    return click.argument("name", metavar="[ROLLOUT]", required=False)(function)


def wait_option(function: Function) -> Function:
    """Add how long to wait until running targets have ended."""
    return click.option(
        "--wait",
        callback=seconds,
        default="60s",
        show_default=True,
        metavar="DURATION",
        help="How long to wait until the running targets have ended; 0: not at all.",
    )(function)


def warn(text: str) -> None:
    """Tell what is no error."""
    note(f"warning: {text}")


def ledger_of(config: Config) -> Ledger:
    """The ledger of a command that looks rollouts up. Raises UsageError where nothing was ever
    written, ConfigError and LedgerError."""
    ledger = read_ledger(config, warn)
    if ledger is None:
        raise UsageError(
            Problem(
                "the ledger has no rollout yet", todo="`orchestrator rollout start` begins one."
            )
        )
    return ledger


def active(rollouts: Rollouts, name: str | None) -> RolloutView:
    """The rollout of this name, which must not be over. Raises UsageError."""
    view = rollouts.view(name, plan=False)
    if view.row.status in OVER:
        raise UsageError(
            Problem(
                f"rollout {view.row.id} is {view.row.status}",
                todo=f"See `orchestrator rollout status {view.row.id}`.",
            )
        )
    return view


def driven(view: RolloutView) -> UsageError:
    """The error of a rollout that another process drives."""
    return UsageError(
        Problem(
            f"rollout {view.row.id} runs: run {view.row.run} drives it",
            todo="Watch it with `orchestrator rollout status --watch`, or stop it with "
            "`orchestrator rollout pause`.",
        )
    )


def settled(
    rollouts: Rollouts,
    view: RolloutView,
    ask: Ask,
    becomes: RolloutStatus,
    reason: str,
    *,
    wait: float,
) -> RolloutView:
    """Bring a rollout to a status: by asking the process that drives it, and by writing it down
    where there is none. Gives what became of it until `wait` is over."""
    name, asked_of = view.row.id, ""
    until = time.monotonic() + wait
    while True:
        if not view.driven or view.status != "running":
            if rollouts.settle(name, becomes, reason, run=view.row.run):
                return rollouts.view(name, plan=False)
        elif asked_of != view.row.run:
            # A run that takes over forgets what was asked before.
            rollouts.ask(name, ask)
            asked_of = view.row.run
        if time.monotonic() >= until:
            return view
        time.sleep(POLL)
        view = rollouts.view(name, plan=False)
        if view.status == becomes or view.row.status in OVER:
            return view
