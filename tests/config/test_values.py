"""Readers of single values."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import values
from orchestrator.config.document import Scalar
from orchestrator.config.mistake import Mistake


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("60s", 60.0),
        ("10m", 600.0),
        ("2h", 7200.0),
        ("500ms", 0.5),
        ("1.5h", 5400.0),
        (" 5 s ", 5.0),
        ("0", 0.0),
        (0, 0.0),
        (7, 7.0),
        (0.25, 0.25),
    ],
)
def test_duration(written: object, seconds: float) -> None:
    assert values.duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "s", "5 minutes", "5x", "-5s", -5, "1h30m", True, None, [], "inf", "nan", "1e3"]
)
def test_bad_duration(written: object) -> None:
    with pytest.raises(Mistake, match="is no duration"):
        values.duration(written)


@given(st.integers(0, 2_000_000), st.sampled_from(sorted(values.UNITS)))
def test_durations_keep_their_length(number: int, unit: str) -> None:
    # A rule of its own: milliseconds in a unit, as whole numbers.
    milliseconds = number * {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[unit]
    if milliseconds > 2**31 - 1:
        with pytest.raises(Mistake, match="too long"):
            values.duration(f"{number}{unit}")
    else:
        read = values.duration(f"{number}{unit}")
        assert abs(Fraction(read) - Fraction(milliseconds, 1000)) < Fraction(1, 10**6)


@given(st.text())
def test_durations_are_read_or_refused(text: str) -> None:
    try:
        seconds = values.duration(text)
    except Mistake:
        return
    assert 0 <= seconds <= values.LONGEST_DURATION


@pytest.mark.parametrize(
    ("written", "share"), [(10, 10.0), ("10%", 10.0), (0.5, 0.5), ("100 %", 100)]
)
def test_percent(written: object, share: float) -> None:
    assert values.percent(written) == share


@pytest.mark.parametrize("written", [0, -1, 101, "", "%", "nan", "ten", True, None, []])
def test_bad_percent(written: object) -> None:
    with pytest.raises(Mistake, match="is no percentage"):
        values.percent(written)


@pytest.mark.parametrize(
    ("written", "budget"), [(0, "0"), (3, "3"), ("03", "3"), ("2%", "2%"), ("2.5 %", "2.5%")]
)
def test_failures(written: object, budget: str) -> None:
    assert values.failures(written) == budget


@pytest.mark.parametrize("written", [-1, 2.5, "101%", "%", "", "many"])
def test_bad_failures(written: object) -> None:
    with pytest.raises(Mistake, match="is no failure budget"):
        values.failures(written)


@pytest.mark.parametrize("name", ["main", "a", "_x", "shop-2", "v1.2", "größe", "x" * 63])
def test_word(name: str) -> None:
    assert values.word(name) == name


@pytest.mark.parametrize(
    "name", ["a/b", ".", "..", ".a", "a.", "-a", "a b", "a@b", "a:b", "x" * 64]
)
def test_bad_word(name: str) -> None:
    with pytest.raises(Mistake, match="cannot stand in a path"):
        values.word(name)


def test_text_is_taken_as_it_was_written() -> None:
    assert values.text(Scalar((), 1, "007", 7)) == "007"
    assert values.text(Scalar((), 1, "no", False)) == "no"


def test_a_scalar_does_not_show_its_text() -> None:
    assert "hunter2" not in repr(Scalar((), 1, "hunter2", "hunter2"))
