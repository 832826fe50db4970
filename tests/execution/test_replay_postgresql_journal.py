"""Half-applied steps on PostgreSQL: how each statement is settled, and what is never guessed at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest
from sqlalchemy import URL

from orchestrator.execution.replay.entering import enter, leave
from orchestrator.execution.replay.replay import replay
from orchestrator.execution.replay.types import Dirty, Moved, ReplayFailed, Waits
from orchestrator.fleet.sessions import open_session
from orchestrator.revisions.types import Direction, Segment
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.cutting_postgresql import run_cut
from tests.execution.journalled_postgresql import (
    BEFORE,
    UNIQUE,
    counted,
    counts,
    fail_to_build,
    index,
    journal,
)
from tests.execution.live_project import driven, driving
from tests.execution.replayed import alone, footing_in, plan_step, run, step, target_of, versions


def test_what_was_refused_is_run_again_and_the_rest_is_not(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    run(url, BEFORE)
    made = step("b", "a", counted("one"), alone(counted("two"), UNIQUE, counted("three")))
    with pytest.raises(ReplayFailed) as failed:
        run_cut(url, [made], start=("a",))
    assert failed.value.kept == 2
    assert index(url) == []
    assert journal(url) == [(0, "header"), (1, "data"), (2, "data"), (3, "refused")]
    with pytest.raises(ReplayFailed) as failed:
        run_cut(url, [made], start=("a",))
    assert failed.value.kept == 2
    rows(url, "DELETE FROM t WHERE note = 'y'")
    told: list[str] = []
    run_cut(url, [made], start=("a",), waits=Waits(told.append))
    assert told == ["continues revision b after statement 2 of 4"]
    assert (versions(url), index(url)) == (["b"], [(True,)])
    assert counts(url) == ["one", "three", "two"]


def test_what_goes_on_may_break_off_again(pg_database: DatabaseFactory) -> None:
    """In front of every statement that settles an invalid index and builds it again."""
    made = step("b", "a", counted("one"), alone(UNIQUE, counted("two")), counted("three"))
    url = pg_database()
    run(url, BEFORE)
    begun = run_cut(url, [step("b", "a", counted("one"), alone("VACUUM"))], start=("a",))

    def half(url: URL) -> None:
        run(url, BEFORE)
        run_cut(url, [made], begun.index("VACUUM"), start=("a",))
        assert journal(url)[-1] == (2, "alone")
        fail_to_build(url)
        rows(url, "DELETE FROM t WHERE note = 'y'")

    url = pg_database()
    half(url)
    sent = run_cut(url, [made], start=("a",))
    assert "DROP INDEX CONCURRENTLY IF EXISTS public.u" in sent
    for number in range(len(sent)):
        url = pg_database()
        half(url)
        run_cut(url, [made], number, start=("a",))
        if versions(url) == ["a"]:
            run_cut(url, [made], start=("a",))
        assert (versions(url), index(url)) == (["b"], [(True,)]), sent[number]
        assert counts(url) == ["one", "three", "two"], sent[number]
        assert journal(url) == []


def test_an_edited_revision_is_dirty(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    run(url, BEFORE)
    made = step("b", "a", counted("one"), alone(UNIQUE))
    with pytest.raises(ReplayFailed):
        run_cut(url, [made], start=("a",))
    for parts in (
        (counted("one"), alone(UNIQUE.replace("(id)", "(id, note)"))),
        # Without a block it would be one transaction, which keeps no journal.
        (counted("one"), UNIQUE.replace(" CONCURRENTLY", "")),
    ):
        with pytest.raises(Dirty) as dirty:
            run_cut(url, [step("b", "a", *parts)], start=("a",))
        assert dirty.value.why == "the revision was edited after it was begun"
        assert f"-{UNIQUE};" in dirty.value.diff
        assert any(line.startswith("+CREATE UNIQUE INDEX") for line in dirty.value.diff)
        assert dirty.value.half.done == 1
    assert (versions(url), counts(url)) == (["a"], ["one"])


def test_no_way_leads_around_a_half_applied_step(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    run(url, BEFORE)
    with pytest.raises(ReplayFailed):
        run_cut(url, [step("b", "a", counted("one"), alone(UNIQUE))], start=("a",))
    other = step("x", "a", "CREATE TABLE x (id int)")
    back = step("b", "a", "CREATE TABLE x (id int)")
    back = (replace(back[0], direction=Direction.DOWNGRADE), back[1])
    for one in (other, back):
        with pytest.raises(Dirty, match=r"half-way through the upgrade of b; .* upgrade --to b"):
            run_cut(url, [one], start=("a",))
    assert rows(url, "SELECT to_regclass('x')") == [(None,)]
    # The version table comes first: whoever expects another state is told what it is.
    with pytest.raises(Moved):
        run_cut(url, [other], start=("z",))


def test_the_same_statements_in_other_transactions_go_on(pg_database: DatabaseFactory) -> None:
    """Where a block begins and ends is no statement: what is left runs as the file says now."""
    url = pg_database()
    run(url, BEFORE)
    with pytest.raises(ReplayFailed):
        run_cut(url, [step("b", "a", alone(counted("one"), UNIQUE))], start=("a",))
    rows(url, "DELETE FROM t")
    run_cut(url, [step("b", "a", counted("one"), alone(UNIQUE))], start=("a",))
    assert (versions(url), counts(url)) == (["b"], ["one"])


PROCEDURE = """CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN
INSERT INTO counted VALUES ('p'); COMMIT; PERFORM pg_sleep(%s); END $$"""


def test_a_procedure_that_commits_is_dirty_in_doubt(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    run(url, BEFORE, step("p", "a", PROCEDURE % "0"))
    made = step("b", "p", counted("one"), alone("CALL p()"), counted("two"))
    sent = run_cut(url, [made], start=("p",))
    assert (versions(url), counts(url)) == (["b"], ["one", "p", "two"])
    url = pg_database()
    run(url, BEFORE, step("p", "a", PROCEDURE % "0"))
    # The row says that it was begun, and not that it ended.
    last = len(sent) - sent[::-1].index("CALL p()")
    run_cut(url, [made], last, start=("p",))
    for _ in range(2):
        with pytest.raises(Dirty, match="statement 2 is in doubt: nothing in the database tells"):
            run_cut(url, [made], start=("p",))
    assert counts(url) == ["one", "p"]


def test_what_is_known_to_be_done_is_not_in_doubt(pg_database: DatabaseFactory) -> None:
    """A statement that fails behind one of which nothing tells whether it ran."""
    url = pg_database()
    run(url, BEFORE, step("p", "a", PROCEDURE % "0"))
    cases: list[list[str | Segment]] = [
        [alone("CALL p()", "VACUUM counted"), "SELECT * FROM later"],
        [counted("p"), "END; BEGIN", "SELECT 1", alone("SELECT * FROM later")],
    ]
    for parts in cases:
        rows(url, "DROP TABLE IF EXISTS later")
        rows(url, "DELETE FROM counted")
        made = step(f"b{len(parts)}", versions(url)[0], *parts)
        with pytest.raises(ReplayFailed):
            run_cut(url, [made], start=tuple(versions(url)))
        rows(url, "CREATE TABLE later (id int)")
        run_cut(url, [made], start=tuple(versions(url)))
        assert counts(url) == ["p"]


def test_a_procedure_that_does_not_commit_runs_once(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    procedure = (PROCEDURE % "0").replace("COMMIT;", "")
    run(url, BEFORE, step("p", "a", procedure))
    made = step("b", "p", alone("CALL p()", "SELECT 1"))
    sent = run_cut(url, [made], start=("p",))
    for number in range(len(sent)):
        url = pg_database()
        run(url, BEFORE, step("p", "a", procedure))
        run_cut(url, [made], number, start=("p",))
        if versions(url) == ["p"]:
            run_cut(url, [made], start=("p",))
        assert (versions(url), counts(url)) == (["b"], ["p"])


def test_a_text_that_can_be_run_nowhere_leaves_nothing(pg_database: DatabaseFactory) -> None:
    """Several statements in one text are one transaction in the server."""
    url = pg_database()
    run(url, BEFORE)
    with pytest.raises(ReplayFailed, match="cannot run inside a transaction block") as failed:
        run_cut(url, [step("b", "a", alone("SELECT 1; " + UNIQUE))], start=("a",))
    assert failed.value.statement == "SELECT 1; " + UNIQUE
    assert journal(url) == []
    assert failed.value.kept == 0


def test_texts_that_end_transactions_in_disguise(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    run(url, BEFORE)
    made = step("b", "a", counted("one"), "END; BEGIN", counted("two"))
    run_cut(url, [made], start=("a",))
    assert (versions(url), counts(url)) == (["b"], ["one", "two"])
    # Before the first of those words all is rolled back; behind it, nobody can tell.
    bad = step("c", "b", "SELECT nothing", "END; BEGIN")
    with pytest.raises(ReplayFailed):
        run_cut(url, [bad], start=("b",))
    assert journal(url) == []
    bad = step("c", "b", counted("three"), "END; BEGIN", "SELECT nothing")
    with pytest.raises(ReplayFailed):
        run_cut(url, [bad], start=("b",))
    with pytest.raises(Dirty, match="it begins and ends transactions itself"):
        run_cut(url, [bad], start=("b",))


def test_words_that_end_transactions_are_journalled(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    made = step("b", "a", counted("one"), "COMMIT", UNIQUE, "BEGIN", counted("two"), "COMMIT")
    run(url, BEFORE)
    with pytest.raises(ReplayFailed):
        run_cut(url, [made], start=("a",))
    assert journal(url) == [(0, "header"), (1, "data"), (3, "refused")]
    rows(url, "DELETE FROM t")
    run_cut(url, [made], start=("a",))
    assert (versions(url), counts(url), index(url)) == (["b"], ["one", "two"], [(True,)])


def test_a_temporary_table_is_gone_with_its_session(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    run(url, BEFORE)
    made = step("b", "a", "CREATE TEMP TABLE kept AS SELECT 1", alone(UNIQUE), "SELECT * FROM kept")
    with pytest.raises(ReplayFailed):
        run_cut(url, [made], start=("a",))
    rows(url, "DELETE FROM t")
    with pytest.raises(Dirty, match="kept, which it made, was temporary"):
        run_cut(url, [made], start=("a",))


def test_a_half_applied_step_is_seen_behind_a_state_that_moved(
    pg_database: DatabaseFactory,
) -> None:
    """Whoever looked at the version table first has not seen the journal yet."""
    url = pg_database()
    run(url, BEFORE)
    with pytest.raises(ReplayFailed):
        run_cut(url, [step("b", "a", counted("one"), alone(UNIQUE))], start=("a",))
    path = [plan_step(BEFORE), plan_step(step("x", "a", "CREATE TABLE x (id int)"))]
    with driving(Path()) as context:
        outcome = driven(context, target_of(url), path)
    assert outcome.failure is not None
    assert outcome.failure.message.startswith("dirty: it is half-way through the upgrade of b")
    assert rows(url, "SELECT to_regclass('x')") == [(None,)]


def test_names_and_quotes_in_a_journal(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    schema = """a"b\\c'd %s"""
    quoted = schema.replace('"', '""')
    rows(url, f'CREATE SCHEMA "{quoted}"')
    target = replace(target_of(url, journal_table="J '\\"), tenant="x", schema=schema)
    path = [
        plan_step(step("a", None, "CREATE TABLE t (id int, note text)")),
        plan_step(
            step(
                "b",
                "a",
                "INSERT INTO t VALUES (1, 'it''s %s \\ é')",
                alone(UNIQUE, "INSERT INTO later VALUES (1, '-- ; ')", "SELECT 2"),
            )
        ),
    ]
    with driving(Path()) as context:
        failed = driven(context, target, path)
        assert failed.failure is not None
        assert "does not exist" in failed.failure.message
        assert failed.failure.todo.startswith("2 statements stay done: they were committed")
        rows(url, f'CREATE TABLE "{quoted}".later (id int, note text)')
        done = driven(context, target, path[1:], ("a",))
    assert done.result == "done", done.failure
    assert rows(url, f'SELECT count(*) FROM "{quoted}".t') == [(1,)]
    assert rows(url, f'SELECT note FROM "{quoted}".later') == [("-- ; ",)]


def test_an_empty_journal_costs_no_round_trip(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    run(url, BEFORE)
    run_cut(url, [step("b", "a", alone("SELECT 1"))], start=("a",))
    assert journal(url) == []
    footing = footing_in(url)
    session = open_session(url)
    trips: list[str] = []

    class Counting(psycopg2.extensions.cursor):
        def execute(self, text: Any, given: Any = None) -> None:
            trips.append(text)
            super().execute(text)

    session._connection.cursor_factory = Counting
    try:
        enter(session, footing)
        replay(session, footing, [step("c", "b", counted("c"))], ("b",), last=True)
        leave(session, footing)
    finally:
        session.close()
    assert len(trips) == 1
    assert versions(url) == ["c"]
