"""PostgreSQL sessions that break off: at the n-th statement that is sent, as if the process were
killed there.

Enters: a session, and n. Leaves: the session, which closes its connection and raises Cut in
front of that statement; what came before it in the same text was sent.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import psycopg2.extensions
from sqlalchemy import URL

from orchestrator.execution.replay.entering import enter, leave
from orchestrator.execution.replay.replay import replay
from orchestrator.execution.replay.types import CompiledStep, Footing, Waits
from orchestrator.fleet.sessions import PostgreSQLSession, SendError, open_session
from tests.execution.replayed import footing_in

NEVER = 1_000_000


class Cut(BaseException):
    """The process is gone."""


def cut_before(session: PostgreSQLSession, number: int) -> list[str]:
    """Break off in front of statement `number`, from 0. Gives the texts that were sent, as they
    come."""
    seen: list[str] = []

    class Cutting(psycopg2.extensions.cursor):
        """As psycopg2's own, as far as it gets."""

        def execute(self, text: Any, given: Any = None) -> Any:
            statements = text.split("\n;\n")
            left = number - len(seen)
            if left < len(statements):
                if left:
                    super().execute("\n;\n".join(statements[:left]))
                self.connection.close()
                raise Cut
            seen.extend(statements)
            return super().execute(text, given)

    session._connection.cursor_factory = Cutting
    return seen


def entered(url: URL, footing: Footing) -> PostgreSQLSession:
    """A session with the lock, as soon as the server has noticed that the one before is gone."""
    session = open_session(url)
    assert isinstance(session, PostgreSQLSession)
    for _ in range(100):
        try:
            enter(session, footing)
            session.rows("SELECT 1")
            return session
        except SendError:
            time.sleep(0.05)
    raise AssertionError("the lock stays held")


def run_cut(
    url: URL,
    steps: Sequence[CompiledStep],
    number: int = NEVER,
    start: Sequence[str] = (),
    *,
    whole: bool = False,
    waits: Waits | None = None,
) -> list[str]:
    """Run steps, cut in front of a statement; gives what was sent. whole: as one path. Raises what
    `replay` raises."""
    footing = footing_in(url)
    session = entered(url, footing)
    try:
        seen = cut_before(session, number)
        held = tuple(start)
        try:
            for group in [steps] if whole else [[one] for one in steps]:
                replay(session, footing, group, held, waits=waits)
                held = (group[-1][0].revision,)
            leave(session, footing)
        except Cut:
            pass
        return seen
    finally:
        session.close()
