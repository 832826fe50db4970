"""Sessions that break off at the n-th statement that is sent, as if the process were killed there.

Enters: a session, and n. Leaves: the session, which closes its connection and raises Cut in front
of that statement. A text of several statements is sent as single ones: the server sees the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import URL

from orchestrator.execution.replay.entering import enter, leave
from orchestrator.execution.replay.replay import replay
from orchestrator.execution.replay.types import CompiledStep, Locked
from orchestrator.fleet.sessions import MySQLSession, SendError, open_session
from tests.execution.replayed import footing_in

NEVER = 1_000_000


class Cut(BaseException):
    """The process is gone."""


def cut_before(session: MySQLSession, number: int) -> list[str]:
    """Break off in front of statement `number`, from 0. Gives the texts that were sent, as they
    come."""
    whole, sent = session.batch, list[str]()

    def batch(statements: Sequence[str]) -> list[int]:
        counts: list[int] = []
        for place, text in enumerate(statements):
            if len(sent) == number:
                session._connection._force_close()
                raise Cut
            try:
                counts += whole([text])
            except SendError as error:
                raise SendError(error.error, text, place) from error
            sent.append(text)
        return counts

    session.batch = batch  # type: ignore[method-assign]
    return sent


def run_cut(
    url: URL, steps: Sequence[CompiledStep], number: int = NEVER, start: Sequence[str] = ()
) -> list[str]:
    """Run steps, cut in front of a statement; gives what was sent. Raises what `replay` raises."""
    session = open_session(url)
    assert isinstance(session, MySQLSession)
    try:
        _entered(session, url)
        sent = cut_before(session, number)
        held = tuple(start)
        for one in steps:
            try:
                replay(session, footing_in(url), [one], held)
            except Cut:
                return sent
            held = (one[0].revision,)
        leave(session, footing_in(url))
        return sent
    finally:
        session.close()


def _entered(session: MySQLSession, url: URL) -> None:
    """As soon as the server has noticed that the session before is gone."""
    for _ in range(100):
        try:
            enter(session, footing_in(url))
            return
        except Locked:
            time.sleep(0.05)
    raise AssertionError("the lock stays held")
