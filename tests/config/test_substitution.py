"""Variables in one text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.mistake import Mistake
from orchestrator.config.substitution import expand

ENVIRON = {"A": "one", "B": "two", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("$A and $$ and {A}", "$A and $$ and {A}"),
        ("${A}", "one"),
        ("<${A}${B}>", "<onetwo>"),
        ("${A:-other}", "one"),
        ("${UNSET:-other}", "other"),
        ("${UNSET:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-other}", "other"),
        ("${UNSET:-${A}}", "one"),
        ("${UNSET:-${OTHER:-x}y}z", "xyz"),
        ("${UNSET:-a:-b}", "a:-b"),
        ("${UNSET:-postgresql://app@localhost:5432/main}", "postgresql://app@localhost:5432/main"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("${A}$${B}", "one${B}"),
    ],
)
def test_expands(text: str, expected: str) -> None:
    expanded = expand(text, ENVIRON)
    assert expanded.text == expected
    assert expanded.unset == ()


def test_names_what_is_used_and_what_is_unset() -> None:
    expanded = expand("${A}${X}${Y:-${Z}}${X}${B:-b}", ENVIRON)
    assert expanded.used == ("A", "B")
    assert expanded.unset == ("X", "Z")


@pytest.mark.parametrize(
    "text", ["${", "${A", "${}", "${1}", "${A-b}", "${A:b}", "${ A }", "${a.b}"]
)
def test_refuses_other_forms(text: str) -> None:
    with pytest.raises(Mistake) as caught:
        expand(f"hunter2{text}hunter2", ENVIRON)
    assert "hunter2" not in caught.value.what + caught.value.todo


@given(st.text(alphabet="${}:-AB \n"))
def test_an_escaped_text_stays_what_it_was(text: str) -> None:
    assert expand(text.replace("${", "$${"), {}).text == text


@given(st.text(), st.text(), st.text())
def test_values_are_not_expanded_again(before: str, value: str, after: str) -> None:
    def escaped(text: str) -> str:
        return text.replace("${", "$${")

    # A '$' just before "${" would escape it, as anywhere.
    before = before.rstrip("$")
    text = f"{escaped(before)}${{X}}{escaped(after)}"
    assert expand(text, {"X": value}).text == before + value + after
