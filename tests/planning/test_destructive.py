"""Which statements are marked as destructive, and which are not."""

from __future__ import annotations

import pytest

from orchestrator.config.flavour import Family
from orchestrator.planning.destructive import destroys

BOTH: tuple[Family, ...] = ("postgresql", "mysql")

DESTRUCTIVE = [
    ("DROP TABLE users", "drops a table"),
    ("drop table if exists a, b", "drops a table"),
    ("DROP SCHEMA x CASCADE", "drops a schema"),
    ("DROP DATABASE x", "drops a database"),
    ("\n -- why\n/* really */ DROP TABLE x", "drops a table"),
    ("SELECT 1; DROP TABLE x", "drops a table"),
    ("ALTER TABLE a DROP COLUMN b", "drops a column"),
    ("ALTER TABLE a DROP b", "drops a column"),
    ("ALTER TABLE a DROP CONSTRAINT c, DROP COLUMN b", "drops a column"),
    ("TRUNCATE a", "empties a table"),
    ("DELETE FROM a", "deletes every row"),
    ("DELETE FROM a -- WHERE x", "deletes every row"),
    ("DELETE FROM a RETURNING 'WHERE'", "deletes every row"),
    ("UPDATE a SET b = 1", "changes every row"),
    ("ALTER TABLE a ALTER COLUMN b TYPE INTEGER USING b::integer", "changes a column's type"),
    ("ALTER TABLE a MODIFY b INTEGER NULL", "may change a column's type"),
    ("DROP TYPE mood CASCADE", "drops what depends on it"),
]
HARMLESS = [
    "CREATE TABLE a (b int)",
    "ALTER TABLE a ADD COLUMN b int",
    "ALTER TABLE a DROP CONSTRAINT c",
    "ALTER TABLE a ALTER COLUMN b DROP NOT NULL",
    "ALTER TABLE a ALTER COLUMN b DROP DEFAULT",
    "ALTER TABLE a DROP FOREIGN KEY f",
    "DROP INDEX i",
    "DROP TYPE mood",
    "DELETE FROM a WHERE b = 1",
    "UPDATE a SET b = 1 WHERE c = 2",
    "INSERT INTO a VALUES ('DROP TABLE x; TRUNCATE y')",
    "INSERT INTO a VALUES ('it''s; DROP TABLE x')",
    "COMMENT ON TABLE a IS 'x; DELETE FROM y'",
    "-- DROP TABLE a\nSELECT 1",
    "/* ; DROP TABLE a */ SELECT 1",
    "",
]


@pytest.mark.parametrize("family", BOTH)
@pytest.mark.parametrize(("statement", "said"), DESTRUCTIVE)
def test_marked(statement: str, said: str, family: Family) -> None:
    assert said in destroys(statement, family)


@pytest.mark.parametrize("family", BOTH)
@pytest.mark.parametrize("statement", HARMLESS)
def test_not_marked(statement: str, family: Family) -> None:
    assert destroys(statement, family) == ()


@pytest.mark.parametrize(
    ("family", "statement", "marked"),
    [
        # A backslash is a letter in PostgreSQL, and an escape in MySQL.
        ("postgresql", r"INSERT INTO a VALUES ('\'); DROP TABLE x; SELECT ''", True),
        ("mysql", r"INSERT INTO a VALUES ('\'; DROP TABLE x; -- ')", False),
        ("postgresql", "CREATE FUNCTION f() AS $x$ DELETE FROM a; $x$", False),
        ("postgresql", "DO $$ BEGIN DROP TABLE a; END $$", False),
        ("postgresql", 'ALTER TABLE "my DROP table" ADD b int', False),
        ("mysql", "ALTER TABLE `a` DROP `b`", True),
        ("mysql", "DELETE a FROM a JOIN b ON a.i = b.i", True),
        ("mysql", "# DROP TABLE a\nSELECT 1", False),
        ("postgresql", "UPDATE a SET b = c #> '{x}' WHERE d", False),
        ("mysql", "INSERT INTO a VALUES (1) ON DUPLICATE KEY UPDATE b = 1", False),
    ],
)
def test_dialects(family: Family, statement: str, marked: bool) -> None:
    assert bool(destroys(statement, family)) == marked
