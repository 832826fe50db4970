"""Compiled steps on one target: exactly the recorded texts, by plain driver calls.

Enters: a Session that stands in the target, and steps with their recorded segments.
Leaves: the steps done with their version rows, or ReplayFailed, Moved or Locked.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.execution.replay.mysql import replay_mysql
from orchestrator.execution.replay.postgresql import replay_postgresql
from orchestrator.execution.replay.types import CompiledStep, Footing, Waits
from orchestrator.fleet.sessions import MySQLSession, PostgreSQLSession, Session


def replay(
    session: Session,
    footing: Footing,
    steps: Sequence[CompiledStep],
    expected: tuple[str, ...],
    *,
    last: bool = False,
    waits: Waits | None = None,
) -> None:
    """Run steps where the version table holds `expected`: each revision in its own transaction,
    or, with several, all in one where the server's DDL is transactional.

    last: nothing follows in this target, so that its lock can go back in the last round trip.
    waits: how statements wait that cannot be in a transaction.

    Raises Moved when it holds something else (nothing was run then), Locked when another session
    holds the target's lock (nothing was run either), ReplayFailed, and Dirty.
    """
    waits = waits or Waits()
    if isinstance(session, PostgreSQLSession):
        replay_postgresql(session, footing, steps, expected, waits, last=last)
        return
    assert isinstance(session, MySQLSession)
    for number, step in enumerate(steps, start=1):
        replay_mysql(session, footing, step, expected, waits, last=last and number == len(steps))
