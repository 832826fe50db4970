"""Which statements go to MySQL and MariaDB together, in one text.

Enters: statements.  Leaves: groups of them, without what would be an empty statement between two.
No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

_MOST_CHARACTERS = 1_000_000
_REMEMBERED = 10_000
"""Up to so many characters a statement is looked at once for all targets."""

_MANY_RESULTS = re.compile(
    r"(?:\s+|/\*(?!!).*?\*/|(?:--\s|\#)[^\n]*(?:\n|\Z))*(?:CALL|EXECUTE|BEGIN)\b",
    re.IGNORECASE | re.DOTALL,
)
# The server keeps the text of these up to where the next statement begins, its separator too.
_KEPT_AS_WRITTEN = re.compile(
    r"(?:CREATE|ALTER)\b.{0,300}?\b(?:TRIGGER|PROCEDURE|FUNCTION|EVENT|PACKAGE)\b",
    re.IGNORECASE | re.DOTALL,
)
# MySQL 8.4 manual, 11.1.1 "String Literals", 11.7 "Comments"; /*! ... */ is run.
_PARTS = re.compile(
    r"""(?P<comment> --(?=\s|\Z)[^\n]* | \#[^\n]* | /\*(?!!).*?\*/ | \s+ )
      | (?P<end> ; )
      | '(?:[^'\\]|''|\\.)*' | "(?:[^"\\]|""|\\.)*" | `(?:[^`]|``)*`
      | [^\s;'"`/#-]+ | .
    """,
    re.VERBOSE | re.DOTALL,
)


def rounds(statements: Sequence[str]) -> Iterator[list[str]]:
    """Groups that may be sent in one text each. A group ends with a statement that may hold several
    or give several results, and with one that makes it long."""
    pending: list[str] = []
    for statement in statements:
        look = _remembered if len(statement) <= _REMEMBERED else _looked_at
        known = isinstance(statement, Single)
        bare, alone = (statement, len(statement) > _MOST_CHARACTERS) if known else look(statement)
        if pending and (alone or sum(map(len, pending)) > _MOST_CHARACTERS):
            yield pending
            pending = []
        pending.append(bare)
        if alone:
            yield pending
            pending = []
    if pending:
        yield pending


class Single(str):
    """A text that is one statement with one result, without anything behind it: written here, and
    different in each target, so that looking at it again each time would be in vain."""

    __slots__ = ()


def _looked_at(statement: str) -> tuple[str, bool]:
    """A statement without its end, and whether it is sent alone."""
    bare = _without_end(statement)
    alone = (
        ";" in bare
        or len(bare) > _MOST_CHARACTERS
        or bool(_MANY_RESULTS.match(bare))
        or bool(_KEPT_AS_WRITTEN.search(bare, 0, 2_000))
    )
    return bare, alone


_remembered = lru_cache(1024)(_looked_at)


def _without_end(statement: str) -> str:
    """A statement without its last semicolon and the comments behind that: between statements the
    server would read an empty one there."""
    bare = statement.rstrip().rstrip(";")
    if ";" not in bare:
        return bare
    end = None
    for part in _PARTS.finditer(statement):
        if part["end"]:
            end = part.start() if end is None else end
        elif not part["comment"]:
            end = None
    return statement if end is None else statement[:end]
