"""Rules, squawk's words and comments become findings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.checks.lint.catalogue import all_rules
from orchestrator.checks.lint.judge import Case, judge, lacking
from orchestrator.checks.lint.source import read_source
from orchestrator.checks.lint.squawk_rules import SEVERITIES, TWINS, SquawkHit
from orchestrator.checks.lint.types import Finding, Sent, Subject, TableFacts
from orchestrator.checks.types import Item, Shape
from orchestrator.config import Flavour, Lint
from orchestrator.revisions.types import Direction, Step

PG15 = Flavour("postgresql", (15,))
STEP = Step("r1", Direction.UPGRADE, "", Path("r1.py"), ())
EMPTY = Shape(())


def subject(*texts: str, allows: str = "", flavour: Flavour = PG15) -> Subject:
    """A revision of these statements, one a line from line 1 on."""
    sent = tuple(Sent(text, line) for line, text in enumerate(texts, 1))
    return Subject("main", flavour, STEP, "r1.py", sent, allows=read_source(allows).allows)


def rules(found: tuple[Finding, ...]) -> list[str]:
    """The rules that found something."""
    return [one.rule for one in found]


def hit(rule: str, statement: int = 0) -> SquawkHit:
    """Something that squawk says."""
    return SquawkHit(rule, statement, "So it\nis.", "Do that.")


def test_the_same_on_two_flavours_is_one_finding() -> None:
    one, two = (
        subject("DROP TABLE a"),
        subject("DROP TABLE a", flavour=Flavour("postgresql", (18,))),
    )
    (found,) = judge([Case(one, []), Case(two, [])], Lint())
    assert (found.rule, found.flavour) == ("drop-table", "postgresql-15, postgresql-18")


def test_a_twin_counts_only_where_ours_could_not_run() -> None:
    change = subject("ALTER TABLE a ALTER b TYPE bigint")
    found = judge([Case(change, [hit("changing-column-type")])], Lint())
    assert rules(found) == ["squawk/changing-column-type"]
    assert (found[0].message, found[0].todo, found[0].line) == ("So it is", "Do that.", 1)
    walked = replace(change, before=EMPTY, after=EMPTY)
    assert judge([Case(walked, [hit("changing-column-type")])], Lint()) == ()


def test_severities_of_squawk() -> None:
    one = subject("SELECT 1")
    assert judge([Case(one, [hit("prefer-identity")])], Lint()) == ()
    found = judge([Case(one, [hit("some-new-rule"), hit("ban-char-field")])], Lint())
    assert [(one.rule, one.severity) for one in found] == [
        ("squawk/ban-char-field", "notice"),
        ("squawk/some-new-rule", "warning"),
    ]
    wanted = Lint(rules={"squawk/prefer-identity": "error", "squawk/ban-char-field": "off"})
    found = judge([Case(one, [hit("prefer-identity"), hit("ban-char-field")])], wanted)
    assert [(one.rule, one.severity) for one in found] == [("squawk/prefer-identity", "error")]


def test_locks_on_a_new_table_are_free() -> None:
    unique = "ALTER TABLE a ADD CONSTRAINT u UNIQUE (b)"
    said = hit("disallowed-unique-constraint", 1)
    assert rules(judge([Case(subject("SELECT 1", unique), [said])], Lint())) == [
        "squawk/disallowed-unique-constraint"
    ]
    made = subject("CREATE TABLE a (b int)", unique)
    # squawk does not see that when the two stand in different transactions.
    assert judge([Case(made, [said])], Lint()) == ()


def test_comments_are_heeded_and_unused_ones_told() -> None:
    allows = "# orchestrator: allow drop-table because of this\n"
    (found,) = judge([Case(subject("DROP TABLE a", allows=allows), [])], Lint())
    assert found.allowed == "of this"
    (found,) = judge([Case(subject("SELECT 1", allows=allows), [])], Lint())
    assert (found.rule, found.line) == ("allow-unused", 1)


def test_what_was_not_asked_is_not_called_unused() -> None:
    allows = "# orchestrator: allow type-narrowing because of this\n"
    one = subject("SELECT 1", allows=allows)
    assert judge([Case(one, [])], Lint()) == ()
    walked = replace(one, before=EMPTY, after=EMPTY)
    assert rules(judge([Case(walked, [])], Lint())) == ["allow-unused"]
    off = "# orchestrator: allow drop-table because of this\n"
    settings = Lint(rules={"drop-table": "off"})
    assert judge([Case(subject("SELECT 1", allows=off), [])], settings) == ()


def test_a_comment_that_one_flavour_needs_is_used() -> None:
    allows = "# orchestrator: allow non-concurrent-index because of this\n"
    text = "CREATE INDEX i ON a (b)"
    mysql = subject(text, allows=allows, flavour=Flavour("mysql", (8, 4)))
    found = judge([Case(subject(text, allows=allows), []), Case(mysql)], Lint())
    assert [(one.rule, one.allowed) for one in found] == [("non-concurrent-index", "of this")]


def test_small_tables_are_left_out_and_sizes_told() -> None:
    one = subject("UPDATE a SET b = 1", "CREATE INDEX i ON a (b)")
    small = replace(one, tables={"a": TableFacts(9_999, 1)})
    assert judge([Case(small, [])], Lint()) == ()
    large = replace(one, tables={"a": TableFacts(1_200_000, 1, "shop/acme")})
    found = judge([Case(large, [])], Lint())
    assert rules(found) == ["data-migration-at-once", "non-concurrent-index"]
    assert all("which holds 1,200,000 rows in shop/acme" in one.message for one in found)


def test_a_unique_column_bounds_rows_where_the_schema_is_known() -> None:
    one = subject("UPDATE a SET b = 1 WHERE code = 'x'")
    assert rules(judge([Case(one, [])], Lint())) == ["data-migration-at-once"]
    key = Item("unique constraint", "a", "u", (("columns", "code"),))
    known = replace(one, before=Shape((key,)), after=Shape((key,)))
    assert judge([Case(known, [])], Lint()) == ()


def test_what_is_lacking() -> None:
    told = lacking(subject("SELECT 1"), Lint(rules={"type-narrowing": "off"}))
    assert set(told) == {"run", "walk", "undone"}
    assert "set-not-null" in told["walk"]
    assert "type-narrowing" not in told["walk"]
    assert "allow-unused" not in {name for names in told.values() for name in names}


@pytest.mark.parametrize("name", all_rules())
def test_rules_say_why_and_where_that_is_from(name: str) -> None:
    rule = all_rules()[name]
    assert rule.why.count("\n\n") >= 2
    assert rule.summary.endswith(".")
    assert rule.why.split("\n\n")[-1].startswith("Source: ")


def test_twins_are_rules_of_ours() -> None:
    assert set(TWINS.values()) <= set(all_rules())
    assert not set(SEVERITIES) & set(all_rules())
