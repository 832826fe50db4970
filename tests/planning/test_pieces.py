"""The pieces in which a step is sent. No server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.planning.pieces import Piece, journalled, pieces_of
from orchestrator.revisions.types import Segment
from tests.execution.replayed import alone


def whole(*texts: str, end: int) -> Piece:
    return Piece("transaction", texts, end)


def single(text: str, end: int) -> Piece:
    return Piece("single", (text,), end)


@pytest.mark.parametrize(
    ("segments", "wanted"),
    [
        ([], []),
        ([Segment(("a", "b"))], [whole("a", "b", end=2)]),
        (
            [Segment(("a",)), alone("b", "c"), Segment(("d", "e"))],
            [whole("a", end=1), single("b", 2), single("c", 3), whole("d", "e", end=5)],
        ),
        (
            [Segment(("a", "COMMIT", "b", "BEGIN", "c", "d"))],
            [whole("a", end=1), single("b", 3), whole("c", "d", end=6)],
        ),
        ([Segment(("COMMIT", "b"))], [single("b", 2)]),
        ([Segment(("a", "BEGIN", "b"))], [whole("a", "BEGIN", "b", end=3)]),
        ([alone("BEGIN", "a", "COMMIT", "COMMIT")], [whole("a", end=2)]),
        ([Segment(("a", "SAVEPOINT x", "b"))], [whole("a", "SAVEPOINT x", "b", end=3)]),
        ([Segment(("a", "END; BEGIN"))], [Piece("raw", ("a", "END; BEGIN"), 2, opened=True)]),
        ([alone("a", "ROLLBACK")], [Piece("raw", ("a", "ROLLBACK"), 2)]),
    ],
)
def test_pieces(segments: list[Segment], wanted: list[Piece]) -> None:
    assert pieces_of(segments) == wanted


def test_which_steps_are_journalled() -> None:
    one, two, block = Segment(("a",)), Segment(("b",)), alone("c")
    for segments, apart, together in (
        ([], False, False),
        ([one], False, False),
        ([one, two], True, False),
        ([block], True, True),
        ([one, block], True, True),
        ([Segment(("a", "END; BEGIN"))], True, True),
    ):
        pieces = pieces_of(segments)
        assert journalled(pieces, joined=False) is apart
        assert journalled(pieces, joined=True) is together


TEXTS = st.lists(st.sampled_from(["x", "BEGIN", "COMMIT", "END; BEGIN"]), max_size=6)
SEGMENTS = st.lists(
    st.builds(lambda texts, whole: Segment(tuple(texts), whole), TEXTS, st.booleans()), max_size=4
)


@given(SEGMENTS, st.integers(0, 24))
def test_what_is_left_is_what_was_not_done(segments: list[Segment], done: int) -> None:
    """However far it got: each statement is left or done, once, in its order."""
    pieces = pieces_of(segments)
    assert [one.end for one in pieces] == sorted(one.end for one in pieces)
    numbered = [number for one in pieces for number in range(one.first, one.end + 1)]
    assert len(set(numbered)) == len(numbered)
    left = [one for piece in pieces if (one := piece.after(done))]
    assert [number for one in left for number in range(one.first, one.end + 1)] == [
        number for number in numbered if number > done
    ]
