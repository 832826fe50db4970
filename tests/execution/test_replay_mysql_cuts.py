"""A step on MySQL and MariaDB that breaks off anywhere ends, run again, as if it had not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import URL

from orchestrator.execution.replay.types import Moved, ReplayFailed
from orchestrator.revisions.types import Direction
from tests.cli.small import REPOSITORY, rows
from tests.conftest import DatabaseFactory
from tests.databases.dump import dump
from tests.execution.cutting import NEVER, run_cut
from tests.execution.replayed import run, step, versions

BEFORE = step(
    "a",
    None,
    "CREATE TABLE counted (what varchar(20), n int)",
    "CREATE TABLE `o``d%s é` (id int PRIMARY KEY, note varbinary(50))",
    "CREATE TABLE old (id int)",
    "CREATE TABLE name (id int)",
    "CREATE VIEW seen AS SELECT id FROM name",
)


def counted(what: str) -> str:
    return f"INSERT INTO counted VALUES ('{what}', 1)"


STEP = step(
    "b",
    "a",
    "SET FOREIGN_KEY_CHECKS = 0, @kept = 'x'",
    counted("first"),
    "ALTER TABLE `o``d%s é` ADD one int, ADD INDEX (note)",
    "ALTER TABLE `o``d%s é` ADD two int COMMENT '100% é; `x`'",
    counted("second"),
    counted("third"),
    "INSERT INTO `o``d%s é` VALUES (1, _binary'\udcff\udcfe%s\\0', 1, 2)",
    "CREATE INDEX ix ON old (id)",
    "RENAME TABLE name TO `new name`",
    "/*!50003 CREATE TRIGGER told AFTER INSERT ON old FOR EACH ROW"
    " INSERT INTO counted VALUES ('trigger', 1) */",
    "INSERT INTO old VALUES (1)",
    "DROP VIEW seen",
    "CREATE TABLE made AS SELECT * FROM old",
    "ALTER TABLE made RENAME TO remade, ADD note varchar(20)",
    "INSERT INTO remade VALUES (2, @kept)",
    "DROP TABLE IF EXISTS nowhere",
    counted("last"),
)
COUNTED = [(what, 1) for what in ("first", "last", "second", "third", "trigger")]


def counts(url: URL) -> list[tuple[str, int]]:
    query = "SELECT what, count(*) FROM counted GROUP BY what ORDER BY what"
    return [(what, int(number)) for what, number in rows(url, query)]


def journal(url: URL) -> list[tuple[int, str]]:
    return [tuple(row) for row in rows(url, "SELECT number, kind FROM orchestrator_journal")]


@pytest.fixture(scope="module")
def clean() -> dict[str, tuple[str, list[str]]]:
    """What a run without a cut leaves, and what it sends, by server."""
    return {}


@pytest.mark.parametrize("part", range(4))
def test_every_prefix_of_a_step(
    my_database: DatabaseFactory, clean: dict[str, tuple[str, list[str]]], part: int
) -> None:
    url = my_database()
    server = f"{url.host}:{url.port}"
    if server not in clean:
        run(url, BEFORE)
        clean[server] = "", run_cut(url, [STEP], start=("a",))
        clean[server] = dump(url), clean[server][1]
        assert counts(url) == COUNTED
    wanted, sent = clean[server]
    assert len(sent) > len(STEP[1][0].statements) + 10
    for number in range(part, len(sent), 4):
        url = my_database()
        run(url, BEFORE)
        run_cut(url, [STEP], number, start=("a",))
        if versions(url) == ["a"]:
            run_cut(url, [STEP], start=("a",))
        assert dump(url) == wanted, sent[number]
        assert counts(url) == COUNTED, sent[number]
        assert journal(url) == []


def test_cuts_follow_one_another(my_database: DatabaseFactory) -> None:
    """Each try gets a little further than the one before, and the last one ends."""
    url = my_database()
    run(url, BEFORE)
    for _ in range(30):
        run_cut(url, [STEP], 16, start=("a",))
        if versions(url) == ["b"]:
            break
    assert versions(url) == ["b"]
    assert counts(url) == COUNTED


def test_a_step_without_ddl_is_one_transaction(my_database: DatabaseFactory) -> None:
    url = my_database()
    run(url, BEFORE)
    data = step("b", "a", counted("one"), "UPDATE counted SET n = n + 1", counted("two"))
    sent = run_cut(url, [data], start=("a",))
    assert not any("INSERT INTO" in text and "journal" in text for text in sent)
    for number in range(len(sent)):
        url = my_database()
        run(url, BEFORE)
        run_cut(url, [data], number, start=("a",))
        assert journal(url) == []
        if versions(url) == ["a"]:
            run_cut(url, [data], start=("a",))
        assert rows(url, "SELECT what, n FROM counted ORDER BY what") == [("one", 2), ("two", 1)]


def test_a_downgrade_is_continued(my_database: DatabaseFactory) -> None:
    url = my_database()
    run(url, BEFORE, step("b", "a", "ALTER TABLE old ADD x int, ADD y int"))
    made, segments = step("a", "b", "ALTER TABLE old DROP x", "ALTER TABLE old DROP y")
    back = replace(made, direction=Direction.DOWNGRADE), segments
    sent = run_cut(url, [back], NEVER, start=("b",))
    wanted = dump(url)
    for number in range(len(sent)):
        url = my_database()
        run(url, BEFORE, step("b", "a", "ALTER TABLE old ADD x int, ADD y int"))
        run_cut(url, [back], number, start=("b",))
        if versions(url) == ["b"]:
            run_cut(url, [back], start=("b",))
        assert dump(url) == wanted


def test_a_killed_connection(my_database: DatabaseFactory) -> None:
    url = my_database()
    run(url, BEFORE)
    slow = step("b", "a", "ALTER TABLE old ADD x int", counted("once"), "DO SLEEP(2)")
    caught: list[ReplayFailed] = []

    def in_the_background() -> None:
        with pytest.raises(ReplayFailed) as failed:
            run(url, slow, expected=("a",))
        caught.append(failed.value)

    thread = threading.Thread(target=in_the_background)
    thread.start()
    query = "SELECT id FROM information_schema.processlist WHERE info LIKE 'DO SLEEP(2)%'"
    while not (found := rows(url, query)):
        time.sleep(0.05)
    rows(url, f"KILL {found[0][0]}")
    thread.join()
    assert caught[0].passing == "connection lost"
    assert journal(url) == [(0, "header"), (1, "ddl")]
    run_cut(url, [slow], start=("a",))
    assert (counts(url), versions(url), journal(url)) == ([("once", 1)], ["b"], [])


KILLED = """
import sys
from sqlalchemy import make_url
from tests.execution.replayed import run
from tests.execution.test_replay_mysql_cuts import SLOW
run(make_url(sys.stdin.readline().strip()), SLOW, expected=("a",))
"""
SLOW = step(
    "b",
    "a",
    "ALTER TABLE old ADD x int",
    counted("once"),
    "CREATE TABLE later (id int)",
    "INSERT INTO counted SELECT 'twice', SLEEP(3)",
)


def test_a_killed_process(my_database: DatabaseFactory) -> None:
    """The server still runs its statement when the next run comes: that waits for the lock. It may
    have run all that was sent by then."""
    url = my_database()
    run(url, BEFORE)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY}/script"},
    )
    assert process.stdin is not None
    process.stdin.write(url.render_as_string(hide_password=False) + "\n")
    process.stdin.close()
    query = (
        "SELECT id FROM information_schema.processlist"
        " WHERE info LIKE '%SLEEP(3)%' AND id <> CONNECTION_ID()"
    )
    while not rows(url, query):
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with suppress(Moved):
        run_cut(url, [SLOW], start=("a",))
    assert counts(url) == [("once", 1), ("twice", 1)]
    assert (versions(url), journal(url)) == (["b"], [])
