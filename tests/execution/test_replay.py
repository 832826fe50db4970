"""Replay on real servers: the texts as they are, all or nothing, and never over somebody else's."""

from __future__ import annotations

import dataclasses
import threading

import pytest
from sqlalchemy import URL

from orchestrator.execution.replay.entering import current_rows, purge_rows
from orchestrator.execution.replay.replay import replay
from orchestrator.execution.replay.types import Moved, ReplayFailed
from orchestrator.revisions.types import VersionChange
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.replayed import alone, footing_in, run, session_in, step, versions

A = step("a", None, "CREATE TABLE t (id int, note varchar(200))")


def notes(url: URL) -> list[str]:
    return [row[0] for row in rows(url, "SELECT note FROM t ORDER BY id, note")]


def tables(url: URL) -> set[str]:
    schema = "'public'" if url.get_backend_name() == "postgresql" else "database()"
    query = f"SELECT table_name FROM information_schema.tables WHERE table_schema = {schema}"
    return {row[0] for row in rows(url, query)}


def test_the_version_table_comes_with_the_first_step(any_database: DatabaseFactory) -> None:
    url = any_database()
    with session_in(url) as session:
        assert current_rows(session, footing_in(url)) == ()
        replay(session, footing_in(url), [A], ())
        assert current_rows(session, footing_in(url)) == ("a",)
    journal = {"orchestrator_journal"} if url.get_backend_name() == "mysql" else set()
    assert tables(url) == {"t", "alembic_version"} | journal


def test_nothing_is_run_where_the_rows_differ(any_database: DatabaseFactory) -> None:
    url = any_database()
    run(url, A)
    late = step("c", "b", "INSERT INTO t VALUES (1, 'twice')")
    for expected in (("b",), (), ("a", "b")):
        with pytest.raises(Moved) as moved:
            run(url, late, expected=expected)
        assert moved.value.rows == ("a",)
    assert notes(url) == []
    assert versions(url) == ["a"]


def test_a_version_table_that_is_gone_is_base(any_database: DatabaseFactory) -> None:
    url = any_database()
    with pytest.raises(Moved) as moved:
        run(url, step("b", "a", "CREATE TABLE t (id int)"), expected=("a",))
    assert moved.value.rows == ()
    assert str(moved.value) == "base"
    assert tables(url) == set()


@pytest.mark.parametrize("block", [False, True])
def test_a_row_that_somebody_takes_meanwhile_is_noticed(
    any_database: DatabaseFactory, block: bool
) -> None:
    """The guard has passed; then the row goes: the step may not stay done a second time."""
    url = any_database()
    run(url, A)
    postgresql = url.get_backend_name() == "postgresql"
    pause = "SELECT pg_sleep(1)" if postgresql else "DO SLEEP(1)"
    insert = "INSERT INTO t VALUES (1, 'once')"
    slow = (
        step("b", "a", alone("SELECT 1"), insert, pause) if block else step("b", "a", insert, pause)
    )
    caught: list[BaseException] = []

    def in_the_background() -> None:
        try:
            run(url, slow, expected=("a",))
        except (Moved, ReplayFailed) as error:
            caught.append(error)

    thread = threading.Thread(target=in_the_background)
    thread.start()
    threading.Event().wait(0.4)
    rows(url, "UPDATE alembic_version SET version_num = 'b'")
    thread.join()
    assert [type(one) for one in caught] == [ReplayFailed if block and postgresql else Moved]
    assert notes(url) == []
    assert versions(url) == ["b"]


def test_postgresql_is_as_before_when_a_statement_fails(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    run(url, A)
    bad = step(
        "b",
        "a",
        "CREATE TABLE u (id int)",
        "INSERT INTO t VALUES (1, 'x')",
        "SELECT 1/0",
        "SELECT 2",
    )
    with pytest.raises(ReplayFailed) as failed:
        run(url, bad, expected=("a",))
    assert failed.value.statement == "SELECT 1/0"
    assert failed.value.message == "division by zero (22012)"
    assert (failed.value.kept, failed.value.lost) == (0, False)
    assert (tables(url), versions(url), notes(url)) == ({"t", "alembic_version"}, ["a"], [])


def test_a_deferred_constraint_fails_with_the_commit(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    run(url, step("a", None, "CREATE TABLE t (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
    with pytest.raises(ReplayFailed, match="duplicate key value"):
        run(url, step("b", "a", "INSERT INTO t VALUES (1), (1)"), expected=("a",))
    assert versions(url) == ["a"]


def test_a_syntax_error_is_named(any_database: DatabaseFactory) -> None:
    url = any_database()
    with pytest.raises(ReplayFailed) as failed:
        run(url, step("a", None, "SELECT 1", "CREATE TABEL t (id int)"))
    assert failed.value.statement == "CREATE TABEL t (id int)"
    assert failed.value.kept == 0


@pytest.mark.parametrize(
    ("texts", "kept", "left"),
    [
        (["INSERT INTO t VALUES (1, 'x')", "SELECT nothing"], 0, []),
        (["INSERT INTO t VALUES (1, 'x')", "CREATE TABLE u (id int)", "SELECT nothing"], 2, ["x"]),
        (
            ["ALTER TABLE t ADD u int", "INSERT INTO t VALUES (1, 'x', 1)", "SELECT nothing"],
            1,
            [],
        ),
        (["INSERT INTO t VALUES (1, 'x')", "/* c */ CREATE TABLE t (id int)"], 1, ["x"]),
        (["INSERT INTO t VALUES (1, 'x')", "CREATE TABEL v (id int)"], 0, []),
    ],
)
def test_mysql_says_what_stays_done(
    my_database: DatabaseFactory, texts: list[str], kept: int, left: list[str]
) -> None:
    url = my_database()
    run(url, A)
    with pytest.raises(ReplayFailed) as failed:
        run(url, step("b", "a", *texts), expected=("a",))
    assert failed.value.statement == texts[-1]
    assert failed.value.kept == kept
    assert notes(url) == left
    assert versions(url) == ["a"]


def test_postgresql_says_what_an_autocommit_block_keeps(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    run(url, A)
    bad = step(
        "b",
        "a",
        "INSERT INTO t VALUES (1, 'x')",
        alone("CREATE INDEX CONCURRENTLY i ON t (id)", "CREATE INDEX CONCURRENTLY i ON t (id)"),
    )
    with pytest.raises(ReplayFailed) as failed:
        run(url, bad, expected=("a",))
    assert failed.value.kept == 2
    assert notes(url) == ["x"]
    assert versions(url) == ["a"]


INDEX = alone("CREATE INDEX CONCURRENTLY i ON t (id)")


@pytest.mark.parametrize(
    "parts",
    [
        [INDEX],
        [INDEX, "INSERT INTO t VALUES (1, 'x')"],
        ["INSERT INTO t VALUES (1, 'x')", INDEX],
        ["INSERT INTO t VALUES (1, 'x')", INDEX, "SELECT 1", alone("DROP INDEX CONCURRENTLY i")],
    ],
)
def test_autocommit_blocks_wherever_they_stand(
    pg_database: DatabaseFactory, parts: list[str]
) -> None:
    url = pg_database()
    run(url, A, step("b", "a", *parts), step("c", "b"))
    assert versions(url) == ["c"]
    assert notes(url) == (["x"] if len(parts) > 1 else [])


@pytest.mark.parametrize("texts", [["COMMIT"], ["-- out of it\nCOMMIT", "BEGIN"], ["END; BEGIN"]])
def test_texts_that_end_the_transaction(pg_database: DatabaseFactory, texts: list[str]) -> None:
    """What comes behind may be what runs outside of transactions alone."""
    url = pg_database()
    outside = [] if "BEGIN" in texts[-1] else ["CREATE INDEX CONCURRENTLY i ON t (id)"]
    run(url, A, step("b", "a", "INSERT INTO t VALUES (1, 'x')", *texts, *outside))
    assert (versions(url), notes(url)) == (["b"], ["x"])


def test_a_function_with_a_body_of_its_own_is_no_transaction_control(
    pg_database: DatabaseFactory,
) -> None:
    """It goes with the guard, in one transaction: all of it is gone when the end fails."""
    url = pg_database()
    body = "DECLARE x int; BEGIN x := 1; RETURN x; END"
    function = f"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ {body} $$"
    run(url, A)
    with pytest.raises(ReplayFailed):
        run(url, step("b", "a", function, "SELECT 1/0"), expected=("a",))
    assert rows(url, "SELECT count(*) FROM pg_proc WHERE proname = 'f'") == [(0,)]
    run(url, step("b", "a", function), expected=("a",))
    assert rows(url, "SELECT f()") == [(1,)]


def test_texts_are_sent_as_they_are(any_database: DatabaseFactory) -> None:
    url = any_database()
    run(
        url,
        A,
        step(
            "b",
            "a",
            "INSERT INTO t VALUES (1, '100%; %s %(x)s :y') -- the last; word",
            "INSERT INTO t VALUES (2, 'two;\n;\nlines');",
            "INSERT INTO t VALUES (3, 'é ; 漢 😀'); -- behind the end",
            "INSERT INTO t VALUES (4, 'x') /* a; comment */ ;",
            "  -- before; it\n INSERT INTO t VALUES (5, '/* no -- comment; */')",
        ),
    )
    assert versions(url) == ["b"]
    assert notes(url) == [
        "100%; %s %(x)s :y",
        "two;\n;\nlines",
        "é ; 漢 😀",
        "x",
        "/* no -- comment; */",
    ]


PROCEDURE = """CREATE PROCEDURE p(IN n int) BEGIN
  INSERT INTO t VALUES (n, 'one;');
  SELECT 'a result'; SELECT 'another';
  INSERT INTO t VALUES (n + 1, 'two');
END"""


def test_procedures_of_mysql(my_database: DatabaseFactory) -> None:
    url = my_database()
    calls = ["CALL p(1)", "INSERT INTO t VALUES (9, 'end')", "CALL p(11)"]
    run(url, A, step("b", "a", f"{PROCEDURE}; -- made", *calls))
    assert notes(url) == ["one;", "two", "end", "one;", "two"]
    # Its many results do not hide which statement fails, nor that the version row was changed.
    with pytest.raises(ReplayFailed) as failed:
        run(url, step("c", "b", "CALL p(21)", "CALL p(31)", "SELECT nothing"), expected=("b",))
    assert (failed.value.statement, failed.value.kept) == ("SELECT nothing", 0)
    assert len(notes(url)) == 5
    assert versions(url) == ["b"]


def test_data_and_version_rows_go_together_behind_ddl(my_database: DatabaseFactory) -> None:
    """As under the driver's own transactions: DDL ends one, and the next begins."""
    url = my_database()
    texts = ["CREATE TABLE u (id int)", "INSERT INTO u VALUES (1)", "INSERT INTO u VALUES ('x', 2)"]
    with pytest.raises(ReplayFailed):
        run(url, step("a", None, *texts))
    assert rows(url, "SELECT count(*) FROM u") == [(0,)]


def test_empty_revisions_merges_and_downgrades(any_database: DatabaseFactory) -> None:
    url = any_database()
    run(url, step("a", None), step("b", "a"))
    made, _ = step("x", None)
    fork = dataclasses.replace(made, changes=(VersionChange("insert", new="x"),))
    merge = dataclasses.replace(
        made, changes=(VersionChange("delete", old="b"), VersionChange("update", "x", "m"))
    )
    split = dataclasses.replace(
        made, changes=(VersionChange("update", "m", "b"), VersionChange("insert", new="x"))
    )
    back = dataclasses.replace(made, changes=(VersionChange("delete", old="x"),))
    with session_in(url) as session:
        footing = footing_in(url)
        for one, before, after in [
            (fork, ("b",), ("b", "x")),
            (merge, ("b", "x"), ("m",)),
            (split, ("m",), ("b", "x")),
            (back, ("b", "x"), ("b",)),
        ]:
            replay(session, footing, [(one, [])], before)
            assert current_rows(session, footing) == after
        purge_rows(session, footing)
        assert current_rows(session, footing) == ()


def test_several_steps_in_one_transaction(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    good = [A, step("b", "a", "INSERT INTO t VALUES (1, 'x')")]
    with session_in(url) as session:
        with pytest.raises(ReplayFailed) as failed:
            replay(session, footing_in(url), [*good, step("c", "b", "SELECT 1/0")], ())
        assert failed.value.statement == "SELECT 1/0"
        assert tables(url) == set()
        replay(session, footing_in(url), [*good, step("c", "b", "SELECT 1")], ())
    assert (versions(url), notes(url)) == (["c"], ["x"])


def test_a_lost_connection_is_told_as_such(any_database: DatabaseFactory) -> None:
    url = any_database()
    kill = (
        "SELECT pg_terminate_backend(pg_backend_pid())"
        if url.get_backend_name() == "postgresql"
        else "KILL CONNECTION_ID()"
    )
    with session_in(url) as session:
        with pytest.raises(ReplayFailed) as failed:
            replay(session, footing_in(url), [step("a", None, "SELECT 1", kill)], ())
        assert failed.value.lost or url.get_backend_name() != "postgresql"
        with pytest.raises(ReplayFailed) as failed:
            current_rows(session, footing_in(url))
        assert failed.value.lost
