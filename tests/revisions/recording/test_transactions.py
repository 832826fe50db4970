"""Transaction control inside texts."""

from __future__ import annotations

import pytest

from orchestrator.config import Family
from orchestrator.revisions.recording.transactions import Control, control


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("COMMIT", Control.COMMIT),
        (" commit ; ", Control.COMMIT),
        ("-- why\nCOMMIT;", Control.COMMIT),
        ("END", Control.COMMIT),
        ("BEGIN", Control.BEGIN),
        ("begin isolation level serializable", Control.BEGIN),
        ("START  TRANSACTION", Control.BEGIN),
        ("ROLLBACK", Control.MIXED),
        ("ROLLBACK TO SAVEPOINT a", Control.NONE),
        ("rollback work to a", Control.NONE),
        ("SAVEPOINT a", Control.SAVEPOINT),
        ("RELEASE SAVEPOINT a", Control.RELEASE),
        ("COMMIT; VACUUM", Control.MIXED),
        ("SELECT 1; SELECT 2;", Control.NONE),
        ("SELECT ';COMMIT;'", Control.NONE),
        ("SELECT E'\\';COMMIT;'", Control.NONE),
        ('SELECT 1 AS ";COMMIT;"', Control.NONE),
        ("SELECT 1 -- ;COMMIT;", Control.NONE),
        ("SELECT 1 /* ;COMMIT; */", Control.NONE),
        ("DO $$ BEGIN PERFORM 1; COMMIT; END $$", Control.NONE),
        ("DO $x$ BEGIN; END; $x$; COMMIT", Control.MIXED),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END", Control.NONE),
        ("COMMITTED", Control.NONE),
        ("", Control.NONE),
    ],
)
def test_postgresql(text: str, found: Control) -> None:
    assert control(text, "postgresql") is found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("COMMIT", Control.COMMIT),
        ("# why\nCOMMIT", Control.COMMIT),
        ("/* why */ BEGIN", Control.BEGIN),
        ("CREATE PROCEDURE p() BEGIN COMMIT; END", Control.NONE),
        ("SET autocommit = 0", Control.MIXED),
        ("SET NAMES utf8mb4", Control.NONE),
        ("/*!40101 SET NAMES utf8 */", Control.NONE),
    ],
)
def test_mysql_reads_one_statement(text: str, found: Control) -> None:
    family: Family = "mysql"
    assert control(text, family) is found
