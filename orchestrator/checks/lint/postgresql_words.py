"""The words of a PostgreSQL statement.

Enters: a statement's text.  Leaves: its words one after the other, without comments, of the same
kinds as those of MySQL (`safety.definitions_words`).  No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.safety.definitions_words import Word

# PostgreSQL 18 manual, 4.1 "Lexical Structure". Nested comments end at the first */ here.
_WORD = re.compile(
    r"""(?P<skip> \s+ | --[^\n]* | /\*.*?\*/ )
      | (?P<text> [eE]'(?:[^'\\]|''|\\.)*' | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'
          | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$ )
      | (?P<quoted> "(?:[^"]|"")*" )
      | (?P<plain> [\w$]+ )
      | (?P<mark> :: | . )
    """,
    re.VERBOSE | re.DOTALL,
)


def words(text: str) -> Iterator[Word]:
    """The words of a statement, as far as they are asked for. A plain name comes in the lower case
    that the server folds it to; keywords are compared without regard to case anyway."""
    for found in _WORD.finditer(text):
        kind = found.lastgroup
        if kind == "skip":
            continue
        said = found.group()
        yield Word(kind, said.lower() if kind == "plain" else said, found.start())  # type: ignore[arg-type]
