"""What statements of MySQL and MariaDB are read as."""

from __future__ import annotations

import pytest

from orchestrator.safety.definitions_mysql import read
from orchestrator.safety.journal import Entry, digest_of
from orchestrator.safety.settle_mysql import settle

WHOLE = [
    ("ALTER TABLE `a``b` ADD x int", "table a`b"),
    ("/* why */ alter table a.b MODIFY x int -- RENAME TO c", "table a.b"),
    ("ALTER ONLINE IGNORE TABLE IF EXISTS t NOWAIT DROP COLUMN a", "table t"),
    ("ALTER TABLE t WAIT 5 RENAME COLUMN a TO b, RENAME INDEX i TO j", "table t"),
    ("SET STATEMENT max_statement_time=9 FOR ALTER TABLE t ADD a int", "table t"),
    ("ALTER TABLE é COMMENT 'x, RENAME TO y'", "table é"),
    ("# note\nALTER TABLE t PARTITION BY RANGE (a) (PARTITION p VALUES LESS THAN (1))", "table t"),
    ('ALTER TABLE "t u" ENGINE=InnoDB', "table t u"),
]


@pytest.mark.parametrize(("text", "key"), WHOLE)
def test_the_definition_of_its_table_tells(text: str, key: str) -> None:
    reading = read(text)
    assert [(one.key, one.whole) for one in reading.things] == [(key, True)]
    assert (reading.kind, reading.again) == ("ddl", False)


THERE = [
    ("ALTER TABLE a ADD c int, RENAME TO b", ["table a", "table b"]),
    ("ALTER TABLE x.a RENAME AS b", ["table x.a", "table x.b"]),
    ("ALTER TABLE a RENAME y.b", ["table a", "table y.b"]),
    ("CREATE TABLE t (id int)", ["table t"]),
    ("CREATE TABLE `x` . `t` LIKE u", ["table x.t"]),
    ("CREATE UNIQUE INDEX i USING BTREE ON t (a)", ["index t.i"]),
    ("CREATE SPATIAL INDEX i ON x.t (g)", ["index x.t.i"]),
    ("DROP INDEX `PRIMARY` ON t", ["index t.PRIMARY"]),
    ("CREATE DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW v AS SELECT 1", ["table v"]),
    ("CREATE DEFINER = CURRENT_USER() PROCEDURE p() SELECT 1", ["procedure p"]),
    (
        "/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`h`*/ /*!50003 TRIGGER g BEFORE INSERT ON t"
        " FOR EACH ROW SET @x = 1*/",
        ["trigger g"],
    ),
    ("DROP TABLE a, `b c` CASCADE", ["table a", "table b c"]),
    ("RENAME TABLE a TO b, c TO d.e", ["table a", "table c", "table b", "table d.e"]),
    ("RENAME TABLE a TO b, b TO c", ["table a", "table c"]),
    ("DROP DATABASE d", ["database d"]),
    ("CREATE FUNCTION f() RETURNS int RETURN 1", ["function f"]),
    ("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1", ["event e"]),
    ("CREATE SEQUENCE s", ["table s"]),
]


@pytest.mark.parametrize(("text", "keys"), THERE)
def test_their_being_there_tells(text: str, keys: list[str]) -> None:
    reading = read(text)
    assert [one.key for one in reading.things] == keys
    assert not any(one.whole for one in reading.things)
    assert (reading.kind, reading.again) == ("ddl", False)


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE IF NOT EXISTS t (id int)",
        "CREATE OR REPLACE VIEW v AS SELECT 1",
        "DROP TABLE IF EXISTS a, b",
        "TRUNCATE t",
        "ANALYZE TABLE t",
        "GRANT SELECT ON t TO u",
        "ALTER VIEW v AS SELECT 2",
        "ALTER ALGORITHM=MERGE VIEW v AS SELECT 2",
        "ALTER DATABASE d CHARACTER SET utf8mb4",
        "COMMIT",
        "BEGIN WORK",
        "FLUSH PRIVILEGES",
        "LOAD INDEX INTO CACHE t",
        "SET PASSWORD = 'x'",
    ],
)
def test_it_may_run_again(text: str) -> None:
    assert (read(text).kind, read(text).again) == ("ddl", True)


@pytest.mark.parametrize(
    "text",
    [
        "CALL p()",
        "EXECUTE s",
        "CREATE USER u",
        "DROP USER u",
        "REVOKE ALL ON t FROM u",
        "RENAME TABLE a TO t, b TO a, t TO b",
        "RENAME TABLE a TO A",
        "ALTER TABLE a RENAME TO A",
        "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u",
        "ALTER TABLE t DISCARD TABLESPACE",
        "CREATE FUNCTION f RETURNS STRING SONAME 'f.so'",
        "CREATE SPATIAL REFERENCE SYSTEM 4120 NAME 'x'",
        "ALTER EVENT e RENAME TO f",
        "BEGIN NOT ATOMIC SELECT 1; END",
        "WHATEVER comes next",
        "LOCK TABLES t WRITE",
        "FLUSH TABLES WITH READ LOCK",
    ],
)
def test_nothing_tells(text: str) -> None:
    reading = read(text)
    assert (reading.kind, reading.things, reading.again) == ("ddl", (), False)
    assert settle(entry(text, {}), reading, {}).ran == "unknown"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "(SELECT 1)",
        "-- x\nINSERT INTO t VALUES ('; DROP TABLE t')",
        "LOAD DATA INFILE 'x'",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "DO SLEEP(1)",
        "",
        "/* nothing */",
    ],
)
def test_data(text: str) -> None:
    assert (read(text).kind, read(text).makes) == ("data", frozenset())


@pytest.mark.parametrize(
    ("text", "again", "makes", "ends"),
    [
        ("SET FOREIGN_KEY_CHECKS=0", True, set(), set()),
        ("SET sql_mode = (SELECT REPLACE(@@sql_mode, 'ANSI', ''))", True, set(), set()),
        ("/*!40101 SET NAMES utf8 */", True, set(), set()),
        ("SET @OLD=@@SQL_MODE", True, {"@OLD"}, set()),
        ("SET @a = 'x', @b := 2", True, {"@a", "@b"}, set()),
        ("SET @a = (SELECT max(id) FROM t)", False, {"@a"}, set()),
        ("SET @a = CURRENT_TIMESTAMP", False, {"@a"}, set()),
        ("CREATE TEMPORARY TABLE `x y` (a int)", False, {"x y"}, set()),
        ("CREATE OR REPLACE TEMPORARY TABLE IF NOT EXISTS x (a int)", False, {"x"}, set()),
        ("DROP TEMPORARY TABLE IF EXISTS x, y", False, set(), {"x", "y"}),
        ("PREPARE s FROM 'SELECT 1'", True, {"s"}, set()),
        ("DEALLOCATE PREPARE s", False, set(), {"s"}),
        ("USE `d`", True, set(), set()),
    ],
)
def test_sessions(text: str, again: bool, makes: set[str], ends: set[str]) -> None:
    reading = read(text)
    assert (reading.kind, reading.again) == ("session", again)
    assert (set(reading.makes), set(reading.ends)) == (makes, ends)


def test_variables_that_queries_assign() -> None:
    assert read("SELECT a, b INTO @x, @y FROM t").makes == {"@x", "@y"}
    assert read("SELECT @n := @n + 1 FROM t").makes == {"@n"}
    assert read("INSERT INTO t VALUES (@x, '@y := 1')").makes == frozenset()


def test_names_stand_in_the_database_that_use_named() -> None:
    assert read("USE `d`").use == "d"
    assert [one.key for one in read("ALTER TABLE t ADD a int", "d").things] == ["table d.t"]
    assert [one.key for one in read("DROP TABLE e.t", "d").things] == ["table e.t"]


def entry(text: str, before: dict[str, str], kind: str = "ddl") -> Entry:
    return Entry("r", "upgrade", 1, kind, text, digest_of(text), before)  # type: ignore[arg-type]


ADD = "ALTER TABLE t ADD a int"
SWAP = "ALTER TABLE t CHANGE a b int, CHANGE b a int"


@pytest.mark.parametrize(
    ("text", "before", "now", "ran"),
    [
        (ADD, {"table t": "1"}, {"table t": "1"}, "no"),
        (ADD, {"table t": "1"}, {"table t": "2"}, "yes"),
        (ADD, {"table t": "1"}, {}, "yes"),
        ("CREATE TABLE t (a int)", {"table t": ""}, {"table t": ""}, "no"),
        ("CREATE TABLE t (a int)", {"table t": ""}, {"table t": "there"}, "yes"),
        ("TRUNCATE t", {}, {}, "again"),
        (SWAP, {"table t": "1"}, {"table t": "1"}, "unknown"),
        (SWAP, {"table t": "1"}, {"table t": "2"}, "yes"),
        (
            "RENAME TABLE a TO b",
            {"table a": "there", "table b": ""},
            {"table a": "there", "table b": "there"},
            "unknown",
        ),
    ],
)
def test_settling(text: str, before: dict[str, str], now: dict[str, str], ran: str) -> None:
    assert settle(entry(text, before), read(text), now).ran == ran


def test_a_drop_that_stopped_half_way_is_finished() -> None:
    text = "DROP TABLE a, `b``c`, d.e"
    before = {"table a": "there", "table b`c": "there", "table d.e": "there"}
    verdict = settle(entry(text, before), read(text), {**before, "table a": ""})
    assert (verdict.ran, verdict.rest) == ("partly", "DROP TABLE `b``c`, `d`.`e`")


def test_rows_that_are_in_no_doubt() -> None:
    text = "CALL p()"
    assert settle(entry(text, {}, "data"), read(text), {}).ran == "yes"
    assert settle(entry(text, {}, "refused"), read(text), {}).ran == "no"
