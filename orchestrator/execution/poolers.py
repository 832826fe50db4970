"""Which targets of a run stand behind a pooler: each server is asked once, before anything runs.

Enters: targets.  Leaves: the problem of each whose server is behind one that lends its sessions by
the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from orchestrator.errors import Problem
from orchestrator.fleet.poolers import pooler_problem
from orchestrator.fleet.types import Target

_AT_A_TIME = 32


class Poolers:
    """What is known of the servers of one run. Used by one thread."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Problem | None] = {}

    def refused(self, targets: Sequence[Target]) -> dict[str, Problem]:
        """The targets on which nothing can be run, by their ids."""
        asked = {_server(one): one for one in targets if _server(one) not in self._known}
        if asked:
            with ThreadPoolExecutor(min(_AT_A_TIME, len(asked)), "orchestrator-pooler") as threads:
                found = threads.map(pooler_problem, asked.values())
                self._known.update(zip(asked, found, strict=True))
        problems = ((one.id, self._known[_server(one)]) for one in targets)
        return {name: problem for name, problem in problems if problem is not None}


def _server(target: Target) -> tuple[str, str]:
    return target.bind.name, target.server.name
