"""What a bundle's README says of revisions (`planning.bundle.remarks`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestrator.checks.lint.types import Answer, Finding, LintReport, NotChecked, Sent, Subject
from orchestrator.checks.types import Item, Shape
from orchestrator.config import Flavour
from orchestrator.planning.bundle.remarks import remarks_of
from orchestrator.revisions.types import Direction, Step

PG, MARIADB = Flavour("postgresql", (18,)), Flavour("mariadb", (10, 11))
STEP = Step("r1", Direction.UPGRADE, "message", Path("r1.py"), ())
KEY = ("shop", "r1", "upgrade")


def _subject(*texts: str, flavour: Flavour = PG, answer: Answer | None = None) -> Subject:
    sent = tuple(Sent(text, answer=answer) for text in texts)
    return Subject("shop", flavour, STEP, "r1.py", sent, asked=answer is not None)


def _lines(*subjects: Subject, report: LintReport | None = None) -> tuple[str, ...]:
    return remarks_of(subjects, report or LintReport()).revisions[KEY]


def test_statements_of_one_lock_stand_on_one_line() -> None:
    assert _lines(_subject("DROP TABLE a", "ALTER TABLE a DROP b", "CREATE INDEX x ON c (i)")) == (
        "locks: ACCESS EXCLUSIVE on a: `DROP TABLE a`, `ALTER TABLE a DROP b`",
        "locks: SHARE on c, for as long as it takes to build an index: `CREATE INDEX x ON c (i)`",
    )
    many = _subject(*(f"UPDATE a SET i = {number}" for number in range(9)))
    assert _lines(many) == ("locks: ROW EXCLUSIVE on a (9 statements)",)


def test_a_table_that_the_revision_makes_is_nobodys_yet() -> None:
    own = _subject("CREATE TABLE a (i int)", "CREATE INDEX x ON a (i)", "INSERT INTO a VALUES (1)")
    assert _lines(own) == ()


def test_the_types_around_a_change_tell_whether_rows_are_written_anew() -> None:
    unknown = _subject("ALTER TABLE a ALTER b TYPE text")
    assert "may write the whole table anew" in _lines(unknown)[0]

    def shape(sort: str) -> Shape:
        item = Item("column", "a", "b", (("type", sort),))
        return Shape((item,))

    longer = replace(unknown, before=shape("character varying(5)"), after=shape("text"))
    assert _lines(longer) == ("locks: ACCESS EXCLUSIVE on a: `ALTER TABLE a ALTER b TYPE text`",)
    other = replace(unknown, before=shape("integer"), after=shape("text"))
    assert "**writes the whole table anew**" in _lines(other)[0]


def test_mysql_says_it_itself_or_nobody_does() -> None:
    text = "ALTER TABLE a MODIFY b text"
    asked = _subject(text, flavour=MARIADB, answer=Answer("copy", "shared", True))
    assert _lines(asked) == (
        "locks: a: reads go on, writes wait (ALGORITHM=COPY, LOCK=SHARED), and **writes the whole"
        f" table anew**: `{text}`",
    )
    silent = remarks_of([_subject(text, "DELETE FROM a", flavour=MARIADB)], LintReport())
    assert silent.revisions[KEY] == (
        "locks: the rows of a that it reads or changes: `DELETE FROM a`",
    )
    assert any("mariadb-10.11 are **not known**" in note for note in silent.notes)
    assert not any("not known" in note for note in remarks_of([asked], LintReport()).notes)


def test_two_kinds_of_server_are_told_apart() -> None:
    text = "ALTER TABLE a ADD b int"
    one = _subject(text, flavour=MARIADB, answer=Answer("instant", "none", False))
    two = _subject(text, flavour=Flavour("mysql", (9, 7)), answer=Answer("copy", "shared", True))
    told = _lines(one, two)
    assert [line.split(":")[0] for line in told] == ["locks on mariadb-10.11", "locks on mysql-9.7"]


def test_a_live_revision_has_no_statements_to_speak_of() -> None:
    assert _lines(replace(_subject("DROP TABLE a"), live=True)) == ()


def test_findings_and_what_nobody_looked_at() -> None:
    finding = Finding(
        "drop-table",
        "error",
        *("shop", "postgresql-18", "r1", "upgrade", "r1.py"),
        9,
        "it goes",
        "Do not",
    )
    allowed = replace(finding, rule="truncate", line=0, allowed="we want it")
    live = replace(finding, rule="live-step")  # said where the README tells what to do
    gap = NotChecked("shop", "postgresql-18", ("one", "two"), "there was no scratch database")
    remarks = remarks_of([_subject()], LintReport((finding, allowed, live), (gap,), 1))
    assert remarks.revisions[KEY] == (
        "lint **error** (drop-table, r1.py:9): it goes. Do not",
        "lint (truncate): it goes. Allowed by its author: we want it",
    )
    assert remarks.notes[-1] == (
        "Not looked at (bind shop, postgresql-18), for there was no scratch database: one, two."
    )


def test_only_the_modes_that_occur_are_explained() -> None:
    notes = remarks_of([_subject("CREATE INDEX x ON a (i)")], LintReport()).notes
    assert notes[0] == "SHARE: reads go on, writes wait."
    assert not any(note.startswith("ACCESS EXCLUSIVE") for note in notes)
    own = _subject("CREATE TABLE a (i int)", "DROP TABLE a")
    live = replace(_subject("DROP TABLE b"), live=True)
    notes = remarks_of([own, live], LintReport()).notes
    assert not any(note.startswith("ACCESS EXCLUSIVE") for note in notes)
