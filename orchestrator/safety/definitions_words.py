"""The words of a MySQL or MariaDB statement, for whoever must know what it is about.

Enters: a statement's text.  Leaves: its words one after the other, without comments; what stands in
conditional comments is read, because the server runs it.  No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

# MySQL 8.4 manual, 11.1.1 "String Literals", 11.2 "Schema Object Names", 11.4 "User-Defined
# Variables", 11.7 "Comments"; MariaDB's /*M! ... */.
_WORD = re.compile(
    r"""(?P<skip> \s+ | --(?=\s|\Z)[^\n]* | \#[^\n]* | /\*(?!M?!).*?\*/ | /\*M?!\d* | \*/ )
      | (?P<quoted> `(?:[^`]|``)*` )
      | (?P<text> '(?:[^'\\]|''|\\.)*' | "(?:[^"\\]|""|\\.)*" )
      | (?P<variable> @(?!@)(?: [\w.$]+ | `(?:[^`]|``)*` | '[^']*' | "[^"]*" ) )
      | (?P<plain> (?:@@)?[\w$]+ )
      | (?P<mark> := | . )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Word:
    """kind: plain (a keyword, a bare name, a number), quoted (a name in backticks), text (a
    literal, or a name under ANSI_QUOTES), variable (a user's @x), mark. start: where it begins."""

    kind: Literal["plain", "quoted", "text", "variable", "mark"]
    text: str
    start: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords (given in capitals) or marks."""
        return self.kind in ("plain", "mark") and self.text.upper() in words

    @property
    def name(self) -> str:
        """As a name: without its quotes."""
        if self.kind in ("quoted", "text"):
            mark = self.text[0]
            return self.text[1:-1].replace(mark * 2, mark)
        return self.text


def words(text: str) -> Iterator[Word]:
    """The words of a statement, as far as they are asked for."""
    for found in _WORD.finditer(text):
        kind = found.lastgroup
        if kind != "skip":
            yield Word(kind, found.group(), found.start())  # type: ignore[arg-type]


class Cursor:
    """A place in a statement's words."""

    def __init__(self, found: Sequence[Word]) -> None:
        self._words = found
        self._at = 0

    @property
    def here(self) -> Word | None:
        """The next word; None at the end."""
        return self._words[self._at] if self._at < len(self._words) else None

    def rest(self) -> Sequence[Word]:
        """All words from here on."""
        return self._words[self._at :]

    def take(self, *keywords: str) -> bool:
        """Step over these words when all of them come next, in this order."""
        following = self._words[self._at : self._at + len(keywords)]
        if len(following) < len(keywords) or not all(
            word.is_word(one) for word, one in zip(following, keywords, strict=True)
        ):
            return False
        self._at += len(keywords)
        return True

    def take_any(self, *keywords: str) -> str:
        """Step over the next word when it is one of these; gives it in capitals, or ""."""
        word = self.here
        if word is None or not word.is_word(*keywords):
            return ""
        self._at += 1
        return word.text.upper()

    def step(self) -> Word | None:
        """Step over the next word, whatever it is."""
        word = self.here
        self._at += 1
        return word

    def name(self) -> tuple[str, str] | None:
        """Step over a name: (database, name), the database "" where it is not said."""
        word = self.here
        if word is None or word.kind in ("variable", "mark"):
            return None
        self._at += 1
        if not self.take("."):
            return "", word.name
        behind = self.step()
        return None if behind is None else (word.name, behind.name)


def parts(found: Sequence[Word]) -> Iterator[list[Word]]:
    """Words between the commas that stand outside of parentheses."""
    depth, part = 0, list[Word]()
    for word in found:
        depth += word.is_word("(") - word.is_word(")")
        if depth == 0 and word.is_word(","):
            yield part
            part = []
        else:
            part.append(word)
    yield part
