"""A rollout live on a terminal: the screen of `screen`, drawn again and again.

Enters: Pictures, from the ledger or from the process that drives it.  Leaves: what rich draws.
Imported where there is a terminal.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.live import Live

from orchestrator.cli.output import note
from orchestrator.cli.rollout.screen import screen
from orchestrator.cli.rollout.watching import Looker
from orchestrator.ledger.rollout_types import RolloutView


def watch(looker: Looker) -> RolloutView:
    """Draw a rollout until nothing drives it any more; the last screen stays. Gives how it stands
    then."""
    picture = looker.picture()
    try:
        with Live(
            screen(picture, live=picture.view.status == "running"),
            console=Console(file=sys.stdout, highlight=False),
            auto_refresh=False,
        ) as shown:
            for picture in looker.pictures():
                shown.update(screen(picture, live=picture.view.status == "running"), refresh=True)
    except KeyboardInterrupt:
        note("no longer watched; the rollout goes on")
        raise SystemExit(130) from None
    return picture.view
