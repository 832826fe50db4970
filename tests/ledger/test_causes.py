"""Failures of one cause share a text, whatever their targets are called."""

from __future__ import annotations

from orchestrator.ledger.causes import cause_of


def test_what_differs_from_target_to_target_is_left_out() -> None:
    one = cause_of('relation "t_acme.x" is gone; Key (id)=(3)', ("t_acme", None, "acme"))
    other = cause_of('relation "t_globex.x" is gone; Key (id)=(71)', ("t_globex", None, "globex"))
    assert one == other == "relation _ is gone; Key (id)_"


def test_names_count_as_whole_words_only() -> None:
    assert cause_of("a lock of table a", ("a",)) == "<target> lock of table <target>"
    assert cause_of("late", ("a", None, "t")) == "late"
    assert cause_of("plain", ("", None)) == "plain"
