"""A half-applied step on MySQL and MariaDB: where it goes on, and what a failure leaves of it.

Enters: a session alone in a target, the journal's rows, and the step at hand.  Leaves: the first
statement to run, or Dirty.
"""

from __future__ import annotations

import re

from orchestrator.execution.replay.begun import check_begun
from orchestrator.execution.replay.journalled_mysql import Work, journal_of
from orchestrator.execution.replay.types import Dirty, Footing
from orchestrator.fleet.sessions import MySQLSession
from orchestrator.safety.definitions_now import now_kept
from orchestrator.safety.journal import Entry, HalfApplied, clear, decide, half_applied, read_rows
from orchestrator.safety.owners import owner_of
from orchestrator.safety.settle_mysql import Verdict, settle


def journalled(session: MySQLSession, footing: Footing) -> HalfApplied | None:
    """What the target's journal tells. Raises SendError."""
    return half_applied(session.rows(read_rows(journal_of(footing.place))))


def continued(session: MySQLSession, work: Work, half: HalfApplied) -> tuple[int, str]:
    """The number of the first statement to run, and what to send for it ("" for its own text), in a
    session that is as the statements before left it. Raises Dirty and SendError."""
    check_begun(half, work.revision, work.direction, work.texts)
    entry = half.rows[-1] if half.rows else None
    if entry is None:
        return 1, ""
    again, _ = _session(work, entry.number)
    if again:
        session.batch(again)
    verdict = settled(session, work, entry)
    if verdict.ran == "unknown":
        owner = owner_of(half.owner)
        who = owner.words if owner else "somebody"
        number = f"statement {entry.number} of {len(work.texts)}"
        raise Dirty(half, f"{who} began {number}, and {verdict.why}")
    first = entry.number + (verdict.ran == "yes")
    _needed(work, half, first)
    return first, verdict.rest


def settled(session: MySQLSession, work: Work, entry: Entry) -> Verdict:
    """Whether the statement of a row ran. Raises SendError."""
    reading = work.readings[entry.number - 1]
    looks = bool(entry.before) and entry.kind == "ddl" and not reading.again
    now = now_kept(session, reading.things, entry.before) if looks else {}
    return settle(entry, reading, now)


def tidied(session: MySQLSession, footing: Footing, work: Work, refused: str) -> int:
    """Write down what the server's refusal of a statement tells, after a ROLLBACK: whether the last
    row's statement ran; nothing when nothing stays done. Gives how many statements stay done.
    Raises SendError."""
    half, journal = journalled(session, footing), journal_of(footing.place)
    if half is None or not half.rows or half.source != work.source:
        return 0
    entry = half.rows[-1]
    if not _is_of(work, entry, refused):
        session.batch([decide(journal, entry.number, done=True)])
        return entry.number
    verdict = settled(session, work, entry)
    before, reading = work.readings[: entry.number - 1], work.readings[entry.number - 1]
    if verdict.ran in ("no", "again") or (verdict.ran == "unknown" and not reading.partly):
        if all(one.kind == "session" for one in before):
            session.batch([clear(journal)])
            return 0
        session.batch([decide(journal, entry.number, done=False)])
    return entry.number - (verdict.ran != "yes")


def _is_of(work: Work, entry: Entry, refused: str) -> bool:
    """Whether the refused statement is the one of a row, or what was sent for it."""
    reading = work.readings[entry.number - 1]
    rest = bool(reading.drops) and refused.startswith(f"{reading.drops} `")
    return refused == work.texts[entry.number - 1] or (rest and refused not in work.texts)


def _session(work: Work, number: int) -> tuple[list[str], set[str]]:
    """What the statements before one made of the session: those to run again, and the names of what
    ended with the session that made it."""
    gone: set[str] = set()
    again = []
    for reading, text in zip(work.readings[: number - 1], work.texts, strict=False):
        gone -= reading.ends
        if reading.kind == "session" and reading.again and not _named(gone, text):
            again.append(text)
        else:
            gone |= reading.makes
    return again, gone


def _needed(work: Work, half: HalfApplied, first: int) -> None:
    """Raise Dirty when the statements that are left need what ended with the session."""
    if _locked(work, first):
        raise Dirty(half, "it was begun under LOCK TABLES, which ended with its session")
    _, gone = _session(work, first)
    for number, text in enumerate(work.texts[first - 1 :], start=first):
        for name in _named(gone, text):
            raise Dirty(
                half,
                f"statement {number} of {len(work.texts)} needs {name}, which ended with the"
                " session that made it",
            )


def _named(names: set[str], text: str) -> list[str]:
    return [
        name
        for name in sorted(names)
        if re.search(rf"(?<![\w$@]){re.escape(name)}(?![\w$])", text, re.IGNORECASE)
    ]


def _locked(work: Work, number: int) -> bool:
    locked = False
    for reading in work.readings[: number - 1]:
        locked = reading.locks or (locked and not reading.unlocks)
    return locked
