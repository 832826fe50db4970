"""Which PostgreSQL statements cannot be in a transaction, and which change the session alone.

Enters: the text of one driver call, which may hold several statements.  Leaves: what it names, as
far as it must be known to tell later whether it ran.  No I/O.

Nothing depends on this list being complete: a statement that is not in it is tried in a transaction
first, where the server refuses it before it does anything (`REFUSED_INSIDE`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from orchestrator.revisions.recording.transactions import Control, control

REFUSED_INSIDE = ("25001", "2D000")
"""PostgreSQL 18 manual, appendix A: active_sql_transaction (the statement cannot run in one) and
invalid_transaction_termination (a procedure that commits)."""

Sort = Literal[
    "create index",
    "drop index",
    "reindex",
    "detach",
    "exists",
    "repeat",
    "unknown",
]
"""What tells whether it ran. exists: the row of a catalogue. repeat: nothing has to, it may run
again. unknown: nothing does."""


@dataclass(frozen=True, slots=True)
class Alone:
    """A statement that cannot be in a transaction.

    name: what it makes, changes or drops, as written; "" where the server chooses a name, or all of
    a database is meant. on: the table of an index, the parent of a partition; for `exists` the
    catalogue; for `reindex` what is named ("TABLE"). concurrent: it waits for other transactions by
    its nature.
    """

    sort: Sort
    name: str = ""
    on: str = ""
    concurrent: bool = False


_SKIPPED = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
# PostgreSQL 18 manual, 4.1.1 "Identifiers and Key Words".
_PART = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})*"
_OPAQUE = re.compile(
    r"""--[^\n]* | /\*.*?\*/ | [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
      | (?<![\w$])\$(?P<tag>[^\W\d]\w*)?\$.*?\$(?(tag)(?P=tag))\$ | (?P<end>;)
    """,
    re.DOTALL | re.VERBOSE,
)


def _pattern(text: str) -> re.Pattern[str]:
    """A pattern in which a space stands for any space, NAME for a name and IF for IF [NOT] EXISTS,
    which may be missing."""
    text = text.replace(" IF", r"(?:\s+IF\s+(?:NOT\s+)?EXISTS)?").replace("NAME", _NAME)
    return re.compile(text.replace(" ", r"\s+"), re.IGNORECASE | re.DOTALL)


_CREATE_INDEX = _pattern(
    r"CREATE(?: UNIQUE)? INDEX CONCURRENTLY IF(?: (?!ON )(?P<name>NAME))? ON(?: ONLY)? (?P<on>NAME)"
)
_DROP_INDEX = _pattern(r"DROP INDEX CONCURRENTLY IF (?P<name>NAME)")
_REINDEX = _pattern(
    r"REINDEX(?P<options>\s*\([^)]*\))?\s*(?P<what>INDEX|TABLE|SCHEMA|DATABASE|SYSTEM)"
    r"(?P<concurrently> CONCURRENTLY)?(?: (?P<name>NAME))?"
)
_DETACH = _pattern(
    r"ALTER TABLE IF(?: ONLY)? (?P<on>NAME)\s*\*?\s*DETACH PARTITION (?P<name>NAME)"
    r" (?P<how>CONCURRENTLY|FINALIZE)"
)
_OBJECT = _pattern(r"(?:CREATE|DROP) (?P<what>DATABASE|TABLESPACE|SUBSCRIPTION) IF (?P<name>NAME)")
_REPEATED = _pattern(
    r"(?:VACUUM\b|CLUSTER(?:\s+VERBOSE)?\s*\Z|ALTER SYSTEM |DISCARD ALL\b"
    r"|ALTER SUBSCRIPTION NAME (?:REFRESH |(?:SET|ADD|DROP) PUBLICATION ))"
)
_RUN_AGAIN = re.compile(r"(?:REINDEX|REPACK|ANALYZE|CHECKPOINT)\b", re.IGNORECASE)
_CATALOGUES = {
    "DATABASE": "pg_database",
    "TABLESPACE": "pg_tablespace",
    "SUBSCRIPTION": "pg_subscription",
}

_SESSION = _pattern(
    r"(?:SET (?!LOCAL\b|TRANSACTION\b|CONSTRAINTS\b)|RESET |PREPARE (?!TRANSACTION\b)|DEALLOCATE "
    r"|LISTEN |UNLISTEN |LOAD |SELECT (?:pg_catalog\.)?set_config\s*\()"
)
_TEMPORARY = _pattern(
    r"CREATE(?: OR REPLACE)?(?: GLOBAL| LOCAL)? TEMP(?:ORARY)?(?: RECURSIVE)?"
    r" (?:TABLE|VIEW|SEQUENCE) IF (?P<name>NAME)"
)


def alone(text: str) -> Alone | None:
    """What a text is that cannot be in a transaction; None when it may be in one, as far as its
    words tell."""
    pieces = list(statements_of(text))
    if len(pieces) != 1:
        return None  # Several in one text are one transaction in the server.
    piece = _OPAQUE.sub(_without_comment, pieces[0])
    for pattern, read in _READERS:
        found = pattern.match(piece)
        made = read(found) if found else None
        if made is not None:
            return made
    return None


def refused_inside(text: str) -> Alone:
    """What is known of a text that the server refused in a transaction."""
    pieces = list(statements_of(text))
    again = len(pieces) == 1 and _RUN_AGAIN.match(pieces[0])
    return alone(text) or Alone("repeat" if again else "unknown")


def _without_comment(found: re.Match[str]) -> str:
    return " " if found[0].startswith(("--", "/*")) else found[0]


def _index(found: re.Match[str]) -> Alone:
    return Alone("create index", found["name"] or "", found["on"], concurrent=True)


def _dropped(found: re.Match[str]) -> Alone:
    return Alone("drop index", found["name"], concurrent=True)


def _reindexed(found: re.Match[str]) -> Alone | None:
    what = found["what"].upper()
    options = found["options"] or ""
    off = re.search(r"CONCURRENTLY\s+(?:FALSE|OFF|0)\b", options, re.IGNORECASE)
    if found["concurrently"] or ("CONCURRENTLY" in options.upper() and not off):
        return Alone("reindex", found["name"] or "", what, concurrent=True)
    return Alone("repeat") if what in ("SCHEMA", "DATABASE", "SYSTEM") else None


def _detached(found: re.Match[str]) -> Alone:
    return Alone("detach", found["name"], found["on"], concurrent=True)


def _object(found: re.Match[str]) -> Alone:
    return Alone("exists", found["name"], _CATALOGUES[found["what"].upper()])


def _again(_found: re.Match[str]) -> Alone:
    return Alone("repeat")


_Reader = tuple[re.Pattern[str], Callable[[re.Match[str]], Alone | None]]
_READERS: tuple[_Reader, ...] = (
    (_CREATE_INDEX, _index),
    (_DROP_INDEX, _dropped),
    (_REINDEX, _reindexed),
    (_DETACH, _detached),
    (_REPEATED, _again),
    (_OBJECT, _object),
)


def statements_of(text: str) -> Iterator[str]:
    """The statements of a text, as they are, without the comments before them."""
    if re.search(r"\bBEGIN\s+ATOMIC\b", text, re.IGNORECASE):
        # The body of an SQL-standard function has semicolons of its own.
        yield text
        return
    start = 0
    for found in _OPAQUE.finditer(text):
        if found["end"]:
            yield from _bare(text[start : found.start()])
            start = found.end()
    yield from _bare(text[start:])


def _bare(piece: str) -> Iterator[str]:
    skipped = _SKIPPED.match(piece)
    bare = piece[skipped.end() :] if skipped else piece
    if bare.strip():
        yield bare.strip()


def session_changes(text: str) -> tuple[str, ...]:
    """The statements of a text that change the session: they are lost with it."""
    return tuple(piece for piece in statements_of(text) if _SESSION.match(piece))


def temporary_names(text: str) -> tuple[str, ...]:
    """What a text makes that is gone with its session, as written."""
    found = (_TEMPORARY.match(piece) for piece in statements_of(text))
    return tuple(one["name"] for one in found if one)


def plain_control(text: str) -> Control:
    """What a text does to its transaction, where it is one plain word for it; MIXED otherwise.

    BEGIN may come with a mode; COMMIT AND CHAIN begins another transaction.
    """
    what = control(text, "postgresql")
    if what in (Control.NONE, Control.SAVEPOINT, Control.RELEASE):
        return Control.NONE
    pieces = list(statements_of(text))
    plain = len(pieces) == 1 and re.fullmatch(
        r"(?:BEGIN|START\s+TRANSACTION|COMMIT|END)(?:\s+(?:WORK|TRANSACTION))?",
        pieces[0],
        re.IGNORECASE,
    )
    return what if plain and what in (Control.BEGIN, Control.COMMIT) else Control.MIXED
