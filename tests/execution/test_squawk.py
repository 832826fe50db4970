"""squawk is run as a program, on each script with what it must know."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.checks.lint.squawk_rules import SquawkHit, scripts_of
from orchestrator.checks.lint.types import Sent
from orchestrator.config import Flavour
from orchestrator.errors import LintError
from orchestrator.execution import squawk
from orchestrator.execution.squawk import ask_squawk

PG15 = Flavour("postgresql", (15,))
TASTE = ("prefer-", "require-lock-timeout", "require-statement-timeout")


def asked(*sent: Sent, flavour: Flavour = PG15) -> list[tuple[str, int]]:
    """The rules that find something, each with the number of its statement; taste left out."""
    hits: list[SquawkHit] = [one for some in ask_squawk(scripts_of(sent), flavour) for one in some]
    return [(one.rule, one.statement) for one in hits if not one.rule.startswith(TASTE)]


def test_lines_lead_back_to_statements() -> None:
    found = asked(
        Sent("SELECT 1\n\n"),
        Sent("ALTER TABLE a\n  ADD CONSTRAINT c CHECK (\n b > 0)"),
        Sent("SELECT 2"),
        Sent("DROP TABLE a"),
    )
    assert found == [("constraint-missing-not-valid", 1), ("ban-drop-table", 3)]


def test_transactions_are_known() -> None:
    build = "CREATE INDEX CONCURRENTLY i ON a (b)"
    inside = asked(Sent("SELECT 1"), Sent(build))
    assert inside == [("ban-concurrent-index-creation-in-transaction", 1)]
    assert asked(Sent("SELECT 1"), Sent(build, transactional=False), Sent("SELECT 2")) == []


def test_the_servers_version_is_known() -> None:
    add = Sent("ALTER TABLE a ADD COLUMN b int DEFAULT 1")
    assert asked(add) == []
    assert asked(add, flavour=Flavour("postgresql", (10,))) == [("adding-field-with-default", 0)]
    assert asked(add, flavour=Flavour("postgresql")) == []


def test_what_it_cannot_read_hides_nothing_else() -> None:
    found = asked(Sent("DROP TABLE a"), Sent("NO SUCH\nSTATEMENT at all"), Sent("DROP TABLE b"))
    assert found == [("syntax-error", 1), ("ban-drop-table", 0), ("ban-drop-table", 2)]


def test_one_thing_is_said_once() -> None:
    key = Sent("ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES c (d)")
    unique = Sent("ALTER TABLE a ADD CONSTRAINT u UNIQUE (b)")
    assert asked(key, unique) == [
        ("adding-foreign-key-constraint", 0),
        ("disallowed-unique-constraint", 1),
    ]


def test_many_scripts_in_their_order() -> None:
    sent = [Sent(f"DROP TABLE t{number}", transactional=number % 3 > 0) for number in range(900)]
    assert asked(*sent) == [("ban-drop-table", number) for number in range(900)]


def test_configuration_of_the_project_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".squawk.toml").write_text('excluded_rules = ["ban-drop-table"]\n')
    monkeypatch.chdir(tmp_path)
    assert asked(Sent("DROP TABLE a")) == [("ban-drop-table", 0)]


def test_bytes_that_are_no_text() -> None:
    assert asked(Sent("DROP TABLE \"a\udcff\" -- '\u00e4'")) == [("ban-drop-table", 0)]


def test_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LintError, match="the program squawk is not there") as caught:
        asked(Sent("SELECT 1"))
    assert caught.value.exit_code == 2
    assert "pip install squawk-cli" in caught.value.problems[0].todo


def test_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / squawk.PROGRAM
    program.write_text("#!/bin/sh\necho it is broken >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(LintError, match="squawk does not run: it is broken"):
        asked(Sent("SELECT 1"))
