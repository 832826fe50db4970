"""What a journal on MySQL and MariaDB tells the next run: go on, run again, or ask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.execution.replay.journalled_mysql import header_of, journal_of, work_of
from orchestrator.execution.replay.types import CompiledStep, Dirty, ReplayFailed
from orchestrator.fleet.sessions import MySQLSession
from orchestrator.revisions.types import Direction
from orchestrator.safety.definitions_now import definitions, kept
from orchestrator.safety.journal import decide, insert_rows, row
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.databases.dump import dump
from tests.execution.live_project import driven, driving
from tests.execution.replayed import (
    footing_in,
    plan_step,
    run,
    session_in,
    step,
    target_of,
    versions,
)

A = step(
    "a", None, "CREATE TABLE t (id int PRIMARY KEY, note varchar(99))", "CREATE TABLE u (x int)"
)
ONCE = "INSERT INTO t (id) VALUES (1)"


def journal(url: URL) -> list[tuple[int, str]]:
    query = "SELECT number, kind FROM orchestrator_journal ORDER BY number"
    return [tuple(one) for one in rows(url, query)]


def ids(url: URL) -> list[int]:
    return [one[0] for one in rows(url, "SELECT id FROM t ORDER BY id")]


def begun(url: URL, compiled: CompiledStep, number: int) -> None:
    """What is in a database when a run dies in front of statement `number`, its row written: the
    statements before it are done."""
    work = work_of(compiled)
    with session_in(url) as session:
        assert isinstance(session, MySQLSession)
        session.batch(list(work.texts[: number - 1]))
        before = kept(definitions(session, work.readings[number - 1].things))
        start = header_of(work, "orchestrator run1 7 web-1")
        entry = row(start, number, "ddl", work.texts[number - 1], before)
        journal = journal_of(footing_in(url).place)
        session.batch([insert_rows("mysql", journal, [start, entry])])


IN_DOUBT = [
    "ALTER TABLE t ADD more int",
    "ALTER TABLE t DROP note",
    "ALTER TABLE t RENAME TO `t ``2`",
    "CREATE TABLE v (id int)",
    "DROP TABLE u",
    "DROP TABLE u, t",
    "RENAME TABLE t TO v, u TO w",
    "CREATE INDEX `i é` ON t (note)",
    "CREATE OR REPLACE VIEW s AS SELECT 1",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.note = 'x'",
    "CREATE PROCEDURE p() SELECT 1",
    "CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 1",
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01' DISABLE DO SELECT 1",
    "TRUNCATE t",
    "CREATE TABLE IF NOT EXISTS v (id int)",
]


@pytest.mark.parametrize("text", IN_DOUBT)
@pytest.mark.parametrize("ran", [False, True])
def test_a_statement_in_doubt_is_settled(
    my_database: DatabaseFactory, text: str, ran: bool
) -> None:
    compiled = step("b", "a", ONCE, text, "CREATE TABLE behind (id int)")
    clean, url = my_database(), my_database()
    run(clean, A, compiled)
    run(url, A)
    begun(url, compiled, 2)
    if ran:
        rows(url, text)
    run(url, compiled, expected=("a",))
    assert dump(url) == dump(clean)
    assert journal(url) == []


@pytest.mark.parametrize("text", ["ALTER TABLE t ADD more int", "CREATE VIEW s AS SELECT 1 AS x"])
def test_a_statement_that_ran_is_not_run_again(my_database: DatabaseFactory, text: str) -> None:
    """Else it would fail: the column is there."""
    url = my_database()
    compiled = step("b", "a", text)
    run(url, A)
    begun(url, compiled, 1)
    rows(url, text)
    run(url, compiled, expected=("a",))
    assert versions(url) == ["b"]


def test_rows_change_no_definition(my_database: DatabaseFactory) -> None:
    """AUTO_INCREMENT counts on, and the statement is still seen not to have run."""
    url = my_database()
    compiled = step("b", "a", "ALTER TABLE n ADD more int")
    run(url, step("a", None, "CREATE TABLE n (id int AUTO_INCREMENT PRIMARY KEY, c char(9))"))
    begun(url, compiled, 1)
    rows(url, "INSERT INTO n (c) VALUES ('x'), ('y')")
    run(url, compiled, expected=("a",))
    assert rows(url, "SELECT c, more FROM n") == [("x", None), ("y", None)]


def test_a_drop_that_stopped_half_way(my_database: DatabaseFactory) -> None:
    url = my_database()
    compiled = step("b", "a", "DROP TABLE u, t")
    run(url, A)
    begun(url, compiled, 1)
    rows(url, "DROP TABLE u")
    run(url, compiled, expected=("a",))
    assert versions(url) == ["b"]
    left = rows(url, "SHOW TABLES LIKE 't'")
    assert left == []


UNKNOWN = step("b", "a", "CREATE PROCEDURE p() BEGIN COMMIT; END", "CALL p()", ONCE)


def test_what_cannot_be_told_is_dirty(my_database: DatabaseFactory) -> None:
    url = my_database()
    run(url, A)
    begun(url, UNKNOWN, 2)
    with pytest.raises(Dirty) as dirty:
        run(url, UNKNOWN, expected=("a",))
    assert dirty.value.why == (
        "run run1 (pid 7 on web-1) began statement 2 of 3, and nothing in the database tells"
        " whether it ran"
    )
    assert dirty.value.half.in_doubt is not None
    assert dirty.value.half.in_doubt.statement == "CALL p()"
    assert (versions(url), len(journal(url))) == (["a"], 2)


@pytest.mark.parametrize("done", [False, True])
def test_a_decision_settles_it(my_database: DatabaseFactory, done: bool) -> None:
    url = my_database()
    run(url, A)
    compiled = step("b", "a", "CREATE USER IF NOT EXISTS x", "DROP USER x", ONCE)
    begun(url, compiled, 2)
    if done:
        rows(url, "DROP USER x")
    rows(url, decide("orchestrator_journal", 2, done=done))
    run(url, compiled, expected=("a",))
    assert (versions(url), ids(url), journal(url)) == (["b"], [1], [])
    assert rows(url, "SELECT count(*) FROM mysql.user WHERE user = 'x'") == [(0,)]


def test_an_edited_revision_is_dirty(my_database: DatabaseFactory) -> None:
    url = my_database()
    run(url, A)
    begun(url, step("b", "a", "ALTER TABLE t ADD one int", "ALTER TABLE t ADD two int"), 2)
    with pytest.raises(Dirty, match="edited after it was begun") as dirty:
        run(
            url,
            step("b", "a", "ALTER TABLE t ADD one int", "ALTER TABLE t ADD second int"),
            expected=("a",),
        )
    assert dirty.value.diff == (
        "--- as it was begun",
        "+++ as it is now",
        "@@ -1,2 +1,2 @@",
        " ALTER TABLE t ADD one int;",
        "-ALTER TABLE t ADD two int;",
        "+ALTER TABLE t ADD second int;",
    )


def test_another_step_is_dirty(my_database: DatabaseFactory) -> None:
    url = my_database()
    run(url, A)
    begun(url, step("b", "a", "ALTER TABLE t ADD one int", ONCE), 1)
    other = step("c", "a", ONCE)
    back = replace(step("b", "a", ONCE)[0], direction=Direction.DOWNGRADE), other[1]
    for compiled in (other, back, step("s", "a")):
        with pytest.raises(Dirty, match=r"half-way through the upgrade of b; .* upgrade --to b"):
            run(url, compiled, expected=("a",))
    assert (ids(url), versions(url)) == ([], ["a"])


@pytest.mark.parametrize(
    ("first", "rest", "why"),
    [
        ("CREATE TEMPORARY TABLE tmp (id int)", "INSERT INTO t (id) SELECT id FROM tmp", "tmp"),
        ("SELECT max(id) INTO @top FROM t", "INSERT INTO t (id) VALUES (@top + 1)", "@top"),
        ("SET @now = NOW()", "UPDATE t SET note = @now", "@now"),
    ],
)
def test_what_ended_with_the_session_is_not_guessed(
    my_database: DatabaseFactory, first: str, rest: str, why: str
) -> None:
    url = my_database()
    run(url, A)
    needing = step("b", "a", first, "ALTER TABLE u ADD y int", rest)
    begun(url, needing, 2)
    with pytest.raises(Dirty, match=f"statement 3 of 3 needs {why}, which ended"):
        run(url, needing, expected=("a",))
    rows(url, "DELETE FROM orchestrator_journal")
    free = step("b", "a", first, "ALTER TABLE u ADD z int", ONCE)
    begun(url, free, 2)
    run(url, free, expected=("a",))
    assert ids(url) == [1]


def test_settings_of_the_session_are_made_again(my_database: DatabaseFactory) -> None:
    url = my_database()
    run(url, A)
    compiled = step(
        "b",
        "a",
        "SET FOREIGN_KEY_CHECKS = 0, @id = 5",
        "CREATE TABLE w (id int, FOREIGN KEY (id) REFERENCES nowhere (id))",
        "INSERT INTO w VALUES (@id)",
    )
    begun(url, compiled, 2)
    run(url, compiled, expected=("a",))
    assert rows(url, "SELECT id FROM w") == [(5,)]


def test_a_step_that_uses_another_database(my_database: DatabaseFactory) -> None:
    """Only its names: what comes behind USE stands there, and the journal does not."""
    url, other = my_database(), my_database()
    here = f"USE `{url.database}`"
    compiled = step(
        "b", "a", f"USE `{other.database}`", "CREATE TABLE o (id int)",
        "ALTER TABLE o ADD x int", "INSERT INTO o VALUES (1, 2)", here, ONCE,
    )  # fmt: skip
    run(url, A)
    begun(url, compiled, 3)
    run(url, compiled, expected=("a",))
    assert rows(other, "SELECT * FROM o") == [(1, 2)]
    assert (ids(url), versions(url), journal(url)) == ([1], ["b"], [])


def test_data_that_fails_behind_ddl_is_repaired_and_continued(
    my_database: DatabaseFactory, tmp_path: Path
) -> None:
    url = my_database()
    run(url, A)
    rows(url, "INSERT INTO t (id, note) VALUES (7, 'in the way')")
    bad = step("b", "a", "ALTER TABLE u ADD y int", ONCE, "INSERT INTO t (id) VALUES (7)")
    with driving(tmp_path) as context:
        outcome = driven(context, target_of(url), [plan_step(bad)], ["a"])
        assert outcome.failure is not None
        assert "Duplicate entry" in outcome.failure.message
        assert outcome.failure.todo == (
            "1 statement stays done: the server commits DDL at once."
            " The next run continues with statement 2."
        )
        assert (ids(url), journal(url)) == ([7], [(0, "header"), (1, "data")])
        rows(url, "DELETE FROM t")
        outcome = driven(context, target_of(url), [plan_step(bad)], ["a"])
    assert (outcome.result, outcome.after) == ("done", ("b",))
    assert (ids(url), journal(url)) == ([1, 7], [])


def test_refused_ddl_is_tried_again(my_database: DatabaseFactory) -> None:
    url = my_database()
    run(url, A)
    bad = step("b", "a", ONCE, "CREATE TABLE late (id int)", "ALTER TABLE late ADD x int")
    rows(url, "CREATE TABLE late (id int)")
    for _ in range(2):
        with pytest.raises(ReplayFailed, match="already exists") as failed:
            run(url, bad, expected=("a",))
        assert failed.value.kept == 1
        assert journal(url) == [(0, "header"), (2, "refused")]
    rows(url, "DROP TABLE late")
    run(url, bad, expected=("a",))
    assert (ids(url), versions(url)) == ([1], ["b"])


@pytest.mark.parametrize("first", [[], ["SET FOREIGN_KEY_CHECKS = 0"]])
@pytest.mark.parametrize(
    "text", ["ALTER TABLE nowhere ADD x int", "CALL nothing()", "CREATE TABLE t (id int)"]
)
def test_nothing_begun_leaves_nothing(
    my_database: DatabaseFactory, first: list[str], text: str
) -> None:
    """So that its file can be corrected, and another revision may come."""
    url = my_database()
    run(url, A)
    with pytest.raises(ReplayFailed) as failed:
        run(url, step("b", "a", *first, text, ONCE), expected=("a",))
    assert failed.value.kept == 0
    assert journal(url) == []
    run(url, step("b", "a", ONCE), expected=("a",))
    assert ids(url) == [1]


def test_a_fleet_from_before_gets_its_journal(my_database: DatabaseFactory) -> None:
    url = my_database()
    run(url, A)
    rows(url, "DROP TABLE orchestrator_journal")
    run(url, step("b", "a", "ALTER TABLE t ADD x int", ONCE), expected=("a",))
    assert (ids(url), versions(url), journal(url)) == ([1], ["b"], [])


def test_lock_tables(my_database: DatabaseFactory) -> None:
    """The journal cannot be written while they hold."""
    url = my_database()
    run(url, A)
    texts = ["LOCK TABLES t WRITE", ONCE, "UNLOCK TABLES", "ALTER TABLE u ADD y int", "SELECT no"]
    with pytest.raises(ReplayFailed) as failed:
        run(url, step("b", "a", *texts), expected=("a",))
    assert (failed.value.kept, ids(url)) == (4, [1])
    with pytest.raises(ReplayFailed):
        run(url, step("b", "a", *texts), expected=("a",))
    assert ids(url) == [1]
    rows(url, "DELETE FROM orchestrator_journal")
    inside = step("b", "a", texts[0], "INSERT INTO t (id) VALUES (2)", "SELECT no FROM t")
    with pytest.raises(ReplayFailed):
        run(url, inside, expected=("a",))
    with pytest.raises(Dirty, match="LOCK TABLES"):
        run(url, inside, expected=("a",))
    assert ids(url) == [1]


def test_functions_that_tell_of_the_statement_before(my_database: DatabaseFactory) -> None:
    url = my_database()
    run(
        url,
        step("a", None, "CREATE TABLE n (id int AUTO_INCREMENT PRIMARY KEY, a int, b int)"),
        step(
            "b",
            "a",
            "INSERT INTO n (a) VALUES (1), (2)",
            "INSERT INTO n (a, b) SELECT ROW_COUNT(), LAST_INSERT_ID()",
            "ALTER TABLE n ADD c int",
            "UPDATE n SET c = LAST_INSERT_ID() WHERE b IS NOT NULL",
        ),
    )
    assert rows(url, "SELECT a, b, c FROM n WHERE b IS NOT NULL") == [(2, 1, 3)]
