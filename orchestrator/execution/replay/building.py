"""PostgreSQL statements that cannot be in a transaction: CREATE INDEX CONCURRENTLY and its kin.

Enters: such a statement, whose journal row is committed, and what the catalogue said before it.
Leaves: it done, whatever an earlier attempt left behind; or SendError, Locked, or Unclear.

One that waits for others by its nature runs without lock_timeout, under a lock that one session of
a database holds at a time. That lock is tried and polled, outside of any transaction: a session
that waited inside the server would be one that the build waits for.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from orchestrator.execution.replay.types import Footing, Locked, Waits
from orchestrator.execution.replay.watching import watched
from orchestrator.fleet.sessions import PostgreSQLSession, SendError
from orchestrator.fleet.sqlstate import sqlstate
from orchestrator.safety.alone import REFUSED_INSIDE, Alone
from orchestrator.safety.evidence import Finding, answers, judge
from orchestrator.safety.holders import holder_words
from orchestrator.safety.locks import builds_lock

_FIRST_POLL, _SLOWER, _SLOWEST = 0.01, 1.5, 0.5
"""Seconds before the second look at the lock, how that grows, and where it ends."""

_TELL_FIRST = 1.0
"""Seconds of waiting that nobody needs to hear of: most turns come sooner."""

_TELL_AGAIN = 10.0
"""Seconds after which a wait that goes on is told again."""

_CLEAR_UP = 30.0
"""Seconds that clearing up behind a failure may take before the failure is told; what is not done
then is done by the next attempt."""


class Unclear(Exception):
    """Nothing tells whether a statement in doubt ran."""


@dataclass(frozen=True, slots=True)
class Building:
    """A statement that cannot be in a transaction. before: what the catalogue said before it was
    begun; None when it was not begun yet. done: sent when it is done. undone: sent when it failed
    and nothing of it is left."""

    text: str
    alone: Alone
    before: Mapping[str, str] | None
    done: str
    undone: str


@dataclass(frozen=True, slots=True)
class _Turn:
    """A session's turn. pid: its process. now: what the catalogue says. parting: what is sent at
    its end."""

    pid: int
    now: Mapping[str, str]
    parting: list[str]


def prepared(footing: Footing, alone: Alone) -> list[str]:
    """What is sent behind the transaction that writes its row. The last one gives a row: whether
    it may begin, the session's process, and the answers of the catalogue."""
    if not alone.concurrent:
        return [_look(alone)]
    limit = round(footing.concurrent_timeout * 1000)
    names = ("lock_timeout", "statement_timeout")
    kept = [f"set_config('orchestrator.{one}', current_setting('{one}'), false)" for one in names]
    sets = f"set_config('lock_timeout', '0', false), {_limited(limit)}"
    return [f"SELECT {', '.join(kept)}", f"SELECT {sets}", _look(alone)]


def _limited(milliseconds: int) -> str:
    return f"set_config('statement_timeout', '{milliseconds}', false)"


def _look(alone: Alone) -> str:
    lock = f"pg_try_advisory_lock({builds_lock().number})" if alone.concurrent else "true"
    return f"SELECT {lock}, pg_backend_pid(), {answers(alone)}"


def build(
    session: PostgreSQLSession,
    footing: Footing,
    waits: Waits,
    building: Building,
    looked: Sequence[object],
) -> None:
    """Run it, unless it is done. looked: the row that the last of `prepared` gave.

    Raises SendError, Locked when the run is stopped while another session builds, and Unclear.
    """
    alone, begun = building.alone, building.before is not None
    with _turn(session, waits, alone, looked) as turn:
        before = turn.now if building.before is None else building.before
        found = judge(alone, before, turn.now)
        if begun and found.ran is None:
            raise Unclear(found.why)
        if found.first:
            waits.told(found.why)
        for text in found.first:
            with watched(waits, turn.pid, text):
                session.single(text)
        try:
            if not found.ran:
                with watched(waits, turn.pid, building.text):
                    session.single(building.text)
            turn.parting.append(building.done)
        except SendError as error:
            _clear_up(session, waits, building, before, error)
            raise


@contextmanager
def _turn(
    session: PostgreSQLSession, waits: Waits, alone: Alone, looked: Sequence[object]
) -> Iterator[_Turn]:
    """This session's turn to run such a statement: from when nobody else does."""
    got, pid, told = looked
    started = told_at = time.monotonic()
    wait = _FIRST_POLL
    parting: list[str] = []
    try:
        while True:
            now = json.loads(str(told))
            busy = judge(alone, now, now).busy
            if got and not busy:
                break
            holder = holder_words(session, builds_lock()) if not busy else "a session of others"
            if waits.stopping():
                raise Locked(holder)
            if time.monotonic() - told_at >= (_TELL_FIRST if told_at == started else _TELL_AGAIN):
                told_at = time.monotonic()
                waits.told(f"one CONCURRENTLY statement at a time: waiting for {holder}")
            waits.pause(wait * random.uniform(0.5, 1.0))
            wait = min(_SLOWEST, wait * _SLOWER)
            got = got or session.rows(f"SELECT pg_try_advisory_lock({builds_lock().number})")[0][0]
            told = session.rows(f"SELECT {answers(alone)}")[0][0]
        yield _Turn(int(str(pid)), now, parting)
    finally:
        parting += [_given_back(held=bool(got))] if alone.concurrent else []
        if parting and not session.lost:
            with suppress(SendError):
                session.batch(parting)


def _given_back(*, held: bool) -> str:
    sets = [
        f"set_config('{one}', current_setting('orchestrator.{one}'), false)"
        for one in ("lock_timeout", "statement_timeout")
    ]
    unlock = [f"pg_advisory_unlock({builds_lock().number})"] if held else []
    return f"SELECT {', '.join([*unlock, *sets])}"


def _clear_up(
    session: PostgreSQLSession,
    waits: Waits,
    building: Building,
    before: Mapping[str, str],
    error: SendError,
) -> None:
    """After a failure: drop what it left behind and say in the journal that it did nothing. Where
    that does not go well, the next attempt does it. Not when the run is stopped: what was cancelled
    must not begin to wait for the same again."""
    if session.lost or waits.stopping():
        return
    with suppress(SendError):
        session.rollback()
        session.single(f"SELECT {_limited(round(_CLEAR_UP * 1000))}")
        found = _finding(session, building.alone, before)
        for text in found.first:
            session.single(text)
        if found.first:
            found = _finding(session, building.alone, before)
        # A text that is refused for where it stands has not begun to do anything.
        misplaced = sqlstate(error.error) == REFUSED_INSIDE[0]
        if found.ran is False or misplaced:
            session.single(building.undone)


def _finding(session: PostgreSQLSession, alone: Alone, before: Mapping[str, str]) -> Finding:
    now = json.loads(session.rows(f"SELECT {answers(alone)}")[0][0])
    return judge(alone, before, now)
