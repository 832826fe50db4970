"""Which words of transaction control a statement's text holds.

Enters: the text of one driver call, which may hold several statements on PostgreSQL.
Leaves: `Control`: none, the whole text is one such word, or they are mixed into other SQL.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from orchestrator.config import Family


class Control(Enum):
    """What a text does to the transaction that it runs in."""

    NONE = auto()
    BEGIN = auto()
    COMMIT = auto()
    SAVEPOINT = auto()
    RELEASE = auto()
    MIXED = auto()
    """A rollback, or control words together with other statements."""


# PostgreSQL 18 documentation, section 4.1.2 (string constants) and 4.1.5 (comments).
_POSTGRESQL_OPAQUE = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
      | [eE]'(?:[^'\\]|\\.|'')*'
      | '(?:[^']|'')*'
      | "(?:[^"]|"")*"
      | (?<![\w$])\$(?P<tag>[^\W\d]\w*)?\$.*?\$(?(tag)(?P=tag))\$
    """,
    re.DOTALL | re.VERBOSE,
)
_LEADING_COMMENTS = re.compile(r"(?:\s+|/\*(?!!).*?\*/|(?:--\s|\#)[^\n]*(?:\n|\Z))*", re.DOTALL)
_ROLLBACK_TO = re.compile(r"ROLLBACK\s+(?:WORK\s+|TRANSACTION\s+)?TO\b", re.IGNORECASE)
_CONTROL = re.compile(
    r"""(?P<begin>BEGIN|START\s+TRANSACTION)
      | (?P<commit>COMMIT|END)
      | (?P<savepoint>SAVEPOINT)
      | (?P<release>RELEASE)
      | (?P<mixed>ROLLBACK|ABORT|PREPARE\s+TRANSACTION|SET\s+(?:SESSION\s+)?AUTOCOMMIT|XA)
    """,
    re.IGNORECASE | re.VERBOSE,
)


def control(text: str, family: Family) -> Control:
    """Read the transaction control in a text as the driver sends it."""
    pieces = [text] if family == "mysql" else _pieces(text)
    kinds = [kind for kind in map(_kind, pieces) if kind is not None]
    if not kinds:
        return Control.NONE
    if len(kinds) == 1:
        return kinds[0]
    rest = set(kinds) - {Control.NONE, Control.SAVEPOINT, Control.RELEASE}
    return Control.MIXED if rest else Control.NONE


def _pieces(text: str) -> list[str]:
    """The statements of a PostgreSQL text, with literals and comments blanked."""
    bare = _POSTGRESQL_OPAQUE.sub(lambda found: " " if found["comment"] else "''", text)
    # The body of an SQL-standard function has semicolons of its own, and an END.
    return [bare] if re.search(r"\bBEGIN\s+ATOMIC\b", bare, re.IGNORECASE) else bare.split(";")


def _kind(piece: str) -> Control | None:
    """The control of one statement, or None when there is none to speak of (an empty piece)."""
    start = _LEADING_COMMENTS.match(piece)
    bare = piece[start.end() :] if start else piece
    if not bare.strip():
        return None
    found = _CONTROL.match(bare)
    if found is None or re.match(r"\w", bare[found.end() : found.end() + 1]):
        return Control.NONE
    if _ROLLBACK_TO.match(bare):
        return Control.NONE
    return Control[str(found.lastgroup).upper()]
