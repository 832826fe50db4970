"""Which statements go to MySQL and MariaDB together, in one text.

Enters: statements.  Leaves: groups of them, without what would be an empty statement between two.
No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_MOST_CHARACTERS = 1_000_000

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
        bare = _without_end(statement)
        alone = (
            ";" in bare
            or len(bare) > _MOST_CHARACTERS
            or bool(_MANY_RESULTS.match(bare))
            or bool(_KEPT_AS_WRITTEN.search(bare, 0, 2_000))
        )
        if pending and (alone or sum(map(len, pending)) > _MOST_CHARACTERS):
            yield pending
            pending = []
        pending.append(bare)
        if alone:
            yield pending
            pending = []
    if pending:
        yield pending


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
