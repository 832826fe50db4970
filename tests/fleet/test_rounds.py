"""Which statements share a text."""

from __future__ import annotations

import pytest

from orchestrator.fleet.rounds import Single, rounds


def test_plain_statements_share_a_text() -> None:
    assert list(rounds(["A;", "B", "C; -- done"])) == [["A", "B", "C"]]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.b = 1",
        "create definer = 'x'@'%' procedure p() SELECT 1",
        "CREATE OR REPLACE FUNCTION f() RETURNS int RETURN 1",
        "ALTER EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        "CALL p()",
        "BEGIN NOT ATOMIC SELECT 1; END",
    ],
)
def test_what_the_server_keeps_or_answers_at_length_ends_its_text(statement: str) -> None:
    assert list(rounds(["A", statement, "B"])) == [["A"], [statement], ["B"]]


def test_what_is_known_to_be_single_shares_a_text() -> None:
    row = Single("INSERT INTO j VALUES ('CREATE TRIGGER t; x')")
    assert list(rounds(["A", row, "B"])) == [["A", row, "B"]]
    assert list(rounds(["A", str(row), "B"])) == [["A"], [str(row)], ["B"]]
