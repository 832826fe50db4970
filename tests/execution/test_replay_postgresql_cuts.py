"""A step with autocommit blocks that breaks off anywhere ends, run again, as if it had not."""

from __future__ import annotations

import pytest
from sqlalchemy import URL

from tests.conftest import DatabaseFactory
from tests.databases.dump import dump
from tests.execution.cutting_postgresql import run_cut
from tests.execution.journalled_postgresql import counted, counts, journal
from tests.execution.replayed import alone, run, step, versions

BEFORE = step(
    "a",
    None,
    "CREATE TABLE counted (what varchar(40))",
    'CREATE TABLE "o""d%s é" (id int, note varchar(20), more int)',
    """INSERT INTO "o""d%s é" SELECT n, 'x' || n, n FROM generate_series(1, 100) n""",
    'CREATE INDEX old ON "o""d%s é" (more)',
    'CREATE INDEX kept ON "o""d%s é" (note)',
    "CREATE TYPE mood AS ENUM ('sad')",
    "CREATE TABLE parted (id int) PARTITION BY RANGE (id)",
    "CREATE TABLE p1 PARTITION OF parted FOR VALUES FROM (1) TO (2)",
)
BLOCK = alone(
    'CREATE INDEX CONCURRENTLY "I x" ON "o""d%s é" (id)',
    counted("single"),
    'CREATE INDEX CONCURRENTLY ON "o""d%s é" (note, id)',
    "DROP INDEX CONCURRENTLY old",
    "ALTER TYPE mood ADD VALUE 'glad'",
    'VACUUM "o""d%s é"',
    "REINDEX INDEX CONCURRENTLY kept",
    "ALTER TABLE parted DETACH PARTITION p1 CONCURRENTLY",
    "-- a comment\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS u ON only_new (id);",
)
STEP = step(
    "b",
    "a",
    "SET my.kept = 'kept'",
    counted("first"),
    "CREATE TABLE only_new (id int, mood mood)",
    BLOCK,
    "INSERT INTO only_new VALUES (1, 'glad')",
    counted("middle"),
    alone("CREATE INDEX CONCURRENTLY late ON only_new (mood)"),
    "INSERT INTO counted VALUES (current_setting('my.kept'))",
)
AFTER = step("c", "b", counted("after"))
COUNTED = ["after", "first", "kept", "middle", "single"]


def start_of(url: URL) -> tuple[str, ...]:
    return tuple(versions(url))


def finish(url: URL) -> None:
    """What the next run does: everything that is left."""
    left = {"a": [STEP, AFTER], "b": [AFTER], "c": []}[versions(url)[0]]
    run_cut(url, left, start=start_of(url))


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("whole", [False, True])
def test_every_prefix_of_a_step(pg_database: DatabaseFactory, part: int, whole: bool) -> None:
    url = pg_database()
    run(url, BEFORE)
    sent = run_cut(url, [STEP, AFTER], start=("a",), whole=whole)
    wanted = dump(url)
    assert counts(url) == COUNTED
    assert len(sent) > 60
    for number in range(part, len(sent), 4):
        url = pg_database()
        run(url, BEFORE)
        run_cut(url, [STEP, AFTER], number, start=("a",), whole=whole)
        finish(url)
        assert dump(url) == wanted, sent[number]
        assert counts(url) == COUNTED, sent[number]
        assert journal(url) == []


def test_cuts_follow_one_another(pg_database: DatabaseFactory) -> None:
    """Each try gets a little further than the one before, and the last one ends."""
    url = pg_database()
    run(url, BEFORE)
    for _ in range(40):
        run_cut(url, [STEP], 30, start=("a",))
        if versions(url) == ["b"]:
            break
    assert versions(url) == ["b"]
    assert counts(url) == sorted({*COUNTED} - {"after"})
