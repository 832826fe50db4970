"""What is said of a command that moves targets of a bind which is in a rollout.

Enters: plans, each when its turn has come.  Leaves: the same plans, and a warning on stderr.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from orchestrator.cli.output import note
from orchestrator.errors import LedgerError
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.taken import Taken, taken
from orchestrator.planning.plan import Plan


def told_beside(
    plans: Iterable[Plan], ledger: Ledger, verb: str, log_format: str
) -> Iterator[Plan]:
    """The same plans; before each, what is said of the binds that it moves. Each rollout is told
    once a bind."""
    heard: set[str] = set()
    for plan in plans:
        binds = {cohort.bind for cohort in plan.moving} - heard
        heard |= binds
        if binds:
            tell_beside(binds, ledger, verb, log_format)
        yield plan


def tell_beside(binds: Iterable[str], ledger: Ledger, verb: str, log_format: str) -> None:
    """Say which of these binds are in a rollout that is not over. It is no error: somebody may have
    to bring one target where it should be meanwhile."""
    try:
        found = taken(ledger, frozenset(binds))
    except LedgerError:
        return  # Its own problem, which is told where it is written.
    for one in found:
        words = _words(one, verb)
        if log_format == "json":
            event = {"event": "warning", "message": words, "bind": one.bind}
            note(json.dumps(event | {"rollout": one.rollout, "status": one.status}))
        else:
            note(f"warning: {words}")


def _words(one: Taken, verb: str) -> str:
    return (
        f"bind {one.bind}: rollout {one.rollout} is {one.status}, and this {verb} knows nothing of "
        f"its waves, checks and failure budget; {one.ways_out}"
    )
