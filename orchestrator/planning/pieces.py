"""The pieces in which a compiled PostgreSQL step is sent.

Enters: a step's segments.  Leaves: its statements in pieces, each with its way of being sent and
its place among the step's statements.  No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from orchestrator.revisions.recording.transactions import Control
from orchestrator.revisions.types import Segment
from orchestrator.safety.alone import plain_control


@dataclass(frozen=True, slots=True)
class Piece:
    """Statements that are sent in one way.

    way: transaction: all of them or none. single: one of an autocommit block. raw: texts that
    control transactions in a way that cannot be told from their words, one by one as the driver
    would. end: the number of the last one in the step, from 1; words that only begin or end a
    transaction are counted and not kept. opened: a raw piece begins in a transaction.
    """

    way: Literal["transaction", "single", "raw"]
    statements: tuple[str, ...]
    end: int
    opened: bool = False

    @property
    def first(self) -> int:
        """The number of its first statement; of a transaction that has words in it, a later one."""
        return self.end - len(self.statements) + 1

    def after(self, done: int) -> Piece | None:
        """What is left of it when so many statements of the step are done."""
        if done < self.first:
            return self
        left = self.end - done
        return replace(self, statements=self.statements[-left:]) if left > 0 else None


def pieces_of(segments: Sequence[Segment]) -> Sequence[Piece]:
    """The pieces of a step, in order."""
    return _pieces_of(tuple(segments))


@lru_cache(maxsize=256)
def _pieces_of(segments: tuple[Segment, ...]) -> Sequence[Piece]:
    """Every target of a fleet asks for those of the same few steps."""
    found: list[Piece] = []
    before = 0
    for segment in segments:
        found += _pieces(segment, before)
        before += len(segment.statements)
    return found


def _pieces(segment: Segment, before: int) -> Iterator[Piece]:
    texts = segment.statements
    words = [plain_control(text) for text in texts]
    if Control.MIXED in words:
        yield Piece("raw", texts, before + len(texts), opened=segment.transactional)
        return
    inside, pending = segment.transactional, list[str]()
    for number, (text, word) in enumerate(zip(texts, words, strict=True), before + 1):
        if word is Control.NONE and not inside:
            yield Piece("single", (text,), number)
        elif word is Control.NONE or (word is Control.BEGIN and inside):
            pending.append(text)
        else:
            if pending:
                yield Piece("transaction", tuple(pending), number - 1)
                pending = []
            inside = word is Control.BEGIN
    if pending:
        yield Piece("transaction", tuple(pending), before + len(texts))


def journalled(pieces: Sequence[Piece], *, joined: bool) -> bool:
    """Whether a step can be cut in two: it is more than one transaction. joined: transactions that
    follow one another are one."""
    if any(piece.way != "transaction" for piece in pieces):
        return True
    return len(pieces) > 1 and not joined
