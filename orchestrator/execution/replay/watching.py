"""Whom a PostgreSQL statement waits for, while it runs.

Enters: a server process that runs a statement.  Leaves: words for people, from a second session,
when it takes long.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.execution.replay.types import Waits
from orchestrator.fleet.sessions import PostgreSQLSession, SendError
from orchestrator.safety.owners import owner_of

FIRST, AGAIN = 5.0, 10.0
"""Seconds after which a statement is looked at, and between two looks."""

_JOINED = 1.0


@contextmanager
def watched(waits: Waits, pid: int, statement: str) -> Iterator[None]:
    """Tell whom the process waits for, for as long as the block lasts."""
    ended = threading.Event()
    thread = threading.Thread(
        target=_watch, args=(ended, waits, pid, statement), name="watch a build", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_JOINED)


def _watch(ended: threading.Event, waits: Waits, pid: int, statement: str) -> None:
    """Never fails: what is only told must not end what is done."""
    if ended.wait(FIRST):
        return
    session = waits.beside()
    if not isinstance(session, PostgreSQLSession):
        return
    does = " ".join(statement.split())[:80]
    try:
        while True:
            words = progress_words(session, pid)
            if ended.is_set():
                return
            waits.told(f"{does}: {words}")
            if ended.wait(AGAIN):
                return
    except SendError:
        return
    finally:
        session.close()


def progress_words(session: PostgreSQLSession, pid: int) -> str:
    """What a process does now, and whom it waits for. Raises SendError."""
    rows = session.rows(_PROGRESS.format(pid=pid))
    if not rows:
        return "it is about to end"
    seconds, phase, done, total, blocks, all_blocks, waits_for = rows[0][:7]
    words = [f"runs for {seconds:.0f} s"]
    if phase:
        words.append(str(phase))
    if total:
        words.append(f"{done} of {total} transactions have ended")
    elif all_blocks:
        words.append(f"{blocks} of {all_blocks} blocks")
    if waits_for is not None:
        words.append(f"waits for {_other(rows[0][7:], waits_for)}")
    return ", ".join(words)


def _other(values: tuple[object, ...], pid: int) -> str:
    user, client, state, query, since, name = (str(one or "") for one in values)
    owner = owner_of(name)
    who = owner.words if owner else (user or "somebody") + (f" from {client}" if client else "")
    does = " ".join(query.split())[:80]
    last = f"runs: {does}" if state == "active" else f"{state or 'state unknown'}, last: {does}"
    opened = f", in a transaction for {float(since):.0f} s" if since else ""
    return f"{who}, session {pid}{opened}, {last}"


# PostgreSQL 18 manual, 27.4.4 "CREATE INDEX Progress Reporting", and 9.27 (pg_blocking_pids), which
# knows whom the others wait for.
_PROGRESS = """
SELECT extract(epoch FROM clock_timestamp() - me.query_start)::float, p.phase,
       p.lockers_done, p.lockers_total, p.blocks_done, p.blocks_total,
       w.pid, a.usename, host(a.client_addr), a.state, a.query,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float, a.application_name
FROM pg_catalog.pg_stat_activity me
LEFT JOIN pg_catalog.pg_stat_progress_create_index p ON p.pid = me.pid
LEFT JOIN LATERAL (
    SELECT coalesce(nullif(p.current_locker_pid, 0)::int, (pg_blocking_pids(me.pid))[1]) AS pid
) w ON true
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = w.pid
WHERE me.pid = {pid} AND me.state = 'active'
"""
