"""A live step's turn to run a statement that waits for others by its nature, such as CREATE INDEX
CONCURRENTLY.

Enters: a session on the step's own connection, outside a transaction.  Leaves: that session without
a lock timeout, under the lock that one session of a database holds at a time, while a block lasts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from orchestrator.execution.replay.types import Footing, Locked, Waits
from orchestrator.fleet.sessions import PostgreSQLSession, SendError
from orchestrator.safety.holders import holder_words
from orchestrator.safety.locks import builds_lock

_POLL = 0.1, 0.5
"""Seconds between two looks at the lock."""

_TELL_AGAIN = 10.0
"""Seconds after which a wait that goes on is told again."""


@contextmanager
def turn(session: PostgreSQLSession, footing: Footing, waits: Waits) -> Iterator[None]:
    """Raises Locked when the run is stopped while another session has its turn, and SendError."""
    number = builds_lock().number
    kept = session.rows(
        "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
    )[0]
    told_at: float | None = None
    while not session.rows(f"SELECT pg_try_advisory_lock({number})")[0][0]:
        holder = holder_words(session, builds_lock())
        if waits.stopping():
            raise Locked(holder)
        if told_at is None or time.monotonic() - told_at >= _TELL_AGAIN:
            told_at = time.monotonic()
            waits.told(f"one CONCURRENTLY statement at a time: waiting for {holder}")
        waits.pause(random.uniform(*_POLL))
    try:
        session.rows(_limits("0", str(round(footing.concurrent_timeout * 1000))))
        yield
    finally:
        with suppress(SendError):  # A session that is lost has neither.
            session.rows(f"{_limits(*kept)}, pg_advisory_unlock({number})")


def _limits(lock: str, statement: str) -> str:
    return (
        f"SELECT set_config('lock_timeout', '{lock}', false),"
        f" set_config('statement_timeout', '{statement}', false)"
    )
