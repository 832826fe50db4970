"""`orchestrator rollout`: upgrade in waves, one file a verb.

Enters: the command line.  Leaves: a rollout in the ledger, driven by this process, or asked of the
one that drives it.  A verb's module is imported when the verb runs.
"""

from __future__ import annotations

import click

from orchestrator.cli.verbs import VerbGroup

VERBS = {
    "start": "Plan, show the waves, ask, and run them.",
    "status": "How far a rollout is, once or live.",
    "pause": "Let running targets end, and start no new ones.",
    "resume": "Go on where a rollout was paused, stopped or killed.",
    "retry": "Run the failed targets again.",
    "abort": "End a rollout for good; what was done stays done.",
    "revert": "Take back what a run or a rollout did.",
}
"""Each verb with its line in the help; orchestrator.cli.rollout.<verb> holds it as `command`."""


@click.command(
    "rollout",
    cls=VerbGroup,
    package=__name__,
    verbs=VERBS,
    epilog="Examples: orchestrator rollout start --all; orchestrator rollout status --watch; "
    "orchestrator rollout resume",
)
def command() -> None:
    """Upgrade in waves: a canary first, then as many as the failure budget allows.

    Its state is in the ledger: it is seen, paused and ended from any terminal or machine that
    reaches the ledger, and one whose process was killed goes on with `rollout resume`. A bind has
    one rollout at a time.
    """
