"""Driver sessions: nothing of one target is left for the next, and texts arrive as they are."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import URL

from orchestrator.fleet.sessions import MySQLSession, PostgreSQLSession, SendError, open_session
from tests.cli.small import rows
from tests.conftest import DatabaseFactory

MY_WAIT = "SELECT count(*) FROM " + ", ".join(f"information_schema.columns c{n}" for n in range(4))


def test_a_postgresql_session_starts_afresh(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    for schema in ("one", 'o"t', "public2"):
        rows(url, 'CREATE SCHEMA "{}"'.format(schema.replace('"', '""')))
    role = f"r_{url.database}"
    rows(url, f"CREATE ROLE {role}")
    session = open_session(url)
    try:
        session.enter("one", (), None)
        session.batch(["SELECT 1"])
        assert session.rows("SHOW search_path") == [("one",)]
        left = [
            "CREATE TEMP TABLE rest (id int)",
            "SET search_path = elsewhere",
            "SET statement_timeout = 12345",
            "SET my.own = 'x'",
            "PREPARE again AS SELECT 1",
            "DECLARE pointer CURSOR WITH HOLD FOR SELECT 1",
            "SELECT pg_advisory_lock(77)",
            "LISTEN me",
            f"SET ROLE {role}",
        ]
        for _ in range(2):
            session.batch(["BEGIN", *left, "COMMIT"])
            session.enter('o"t', ("public2",), None)
            assert session.rows("SHOW search_path") == [('"o""t", public2',)]
            assert session.rows("SELECT current_user = session_user") == [(True,)]
            assert session.rows("SELECT to_regclass('rest')") == [(None,)]
            assert session.rows("SHOW statement_timeout") == [("0",)]
            assert session.rows("SELECT coalesce(current_setting('my.own', true), '')") == [("",)]
            assert session.rows(
                "SELECT (SELECT count(*) FROM pg_prepared_statements) +"
                " (SELECT count(*) FROM pg_cursors WHERE is_holdable) +"
                " (SELECT count(*) FROM pg_listening_channels()) +"
                " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77)"
            ) == [(0,)]
    finally:
        session.close()
        rows(url, f"DROP ROLE {role}")


def test_a_batch_that_fails_does_not_lose_its_schema(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    rows(url, "CREATE SCHEMA one")
    session = open_session(url)
    assert isinstance(session, PostgreSQLSession)
    session.enter("one", (), None)
    with pytest.raises(SendError, match="division by zero"):
        session.batch(["BEGIN", "SELECT 1/0", "COMMIT"])
    session.rollback()
    session.single("CREATE TABLE here (id int)")
    assert rows(url, "SELECT to_regclass('one.here') IS NOT NULL") == [(True,)]
    session.close()


def test_a_mysql_session_starts_afresh(my_database: DatabaseFactory) -> None:
    url = my_database()
    begin = {"init_command": "SET @begun = 1", "sql_mode": "ANSI_QUOTES"}
    session = open_session(url.set(database="").update_query_dict(begin))
    query = (
        "SELECT @x, @begun, @@sql_mode, @@autocommit, @@foreign_key_checks, database(), "
        "@@collation_connection, @@character_set_client"
    )
    session.enter(None, (), url.database)
    first = session.rows(query)
    assert first[0][:6] == (None, 1, "ANSI_QUOTES", 1, 1, url.database)
    session.batch(
        [
            "CREATE TABLE t (id int)",
            "SET @x = 5, autocommit = 0, foreign_key_checks = 0, sql_mode = ''",
            "SET NAMES latin1",
            "CREATE TEMPORARY TABLE rest (id int)",
            "INSERT INTO t VALUES (1)",
        ]
    )
    session.enter(None, (), url.database)
    assert session.rows(query) == first
    assert session.rows("SELECT count(*) FROM t") == [(0,)]
    with pytest.raises(SendError, match="rest"):
        session.rows("SELECT * FROM rest")
    session.close()


def test_a_charset_of_the_url_is_kept(my_database: DatabaseFactory) -> None:
    url = my_database()
    rows(url, "CREATE TABLE t (note varchar(9)) CHARACTER SET utf8mb4")
    session = open_session(url.update_query_dict({"charset": "latin1"}))
    for _ in range(2):
        session.enter(None, (), url.database)
        session.batch(["INSERT INTO t VALUES ('é')"])
    session.close()
    assert rows(url, "SELECT note FROM t") == [("é",), ("é",)]


@pytest.mark.parametrize("password", ["pä%s漢 ';", "plain"])
def test_passwords_beyond_ascii(any_database: DatabaseFactory, password: str) -> None:
    url = any_database()
    user = f"u_{(url.database or '')[2:]}"
    quoted = password.replace("'", "''")
    if url.get_backend_name() == "postgresql":
        made = f"CREATE ROLE {user} LOGIN PASSWORD '{quoted}'"
        gone = f"DROP ROLE {user}"
    else:
        made = f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY '{quoted}'"
        gone = f"DROP USER {user}@'127.0.0.1'"
    rows(url, made)
    try:
        if url.get_backend_name() == "mysql":
            rows(url, f"GRANT ALL ON {url.database}.* TO {user}@'127.0.0.1'")
        session = open_session(url.set(username=user, password=password))
        session.enter(None, (), url.database)
        assert session.rows("SELECT 'ü'") == [("ü",)]
        session.close()
        with pytest.raises(SendError) as refused:
            open_session(url.set(username=user, password=f"{password}x"))
        assert password not in str(refused.value)
    finally:
        rows(url, gone)


def test_the_statement_that_fails_is_named_wherever_it_stands(
    my_database: DatabaseFactory,
) -> None:
    session = open_session(my_database())
    session.enter(None, (), None)
    for texts, place in [
        (["SELECT nothing"], 0),
        (["DO 1", "SELECT nothing; -- so", "DO 2"], 1),
        (["DO 1", "SELECT ';'", "DO 2", "SELECT nothing"], 3),
        (["SELECT '; x'; # end;", "/* one; two */ DO 1 ;", "SELECT nothing"], 2),
    ]:
        with pytest.raises(SendError) as failed:
            session.batch(texts)
        assert (failed.value.statement, failed.value.done) == (texts[place], place)
    assert session.batch(["DO 1", "SELECT 1 UNION SELECT 2; -- x", "DO 2"]) == [0, 2, 0]
    session.close()


def test_row_counts_of_every_size(my_database: DatabaseFactory) -> None:
    """Numbers have one to four bytes in what the server answers; NULL and long values are no end
    of a result."""
    url = my_database()
    session = open_session(url)
    assert isinstance(session, MySQLSession)
    session.enter(None, (), url.database)
    texts = ["CREATE TABLE n (x varchar(300))", "INSERT INTO n VALUES (NULL), (REPEAT('x', 300))"]
    doubled = ["INSERT INTO n SELECT x FROM n"] * 8
    wide = ["CREATE TABLE m (x int)", "INSERT INTO m SELECT 1 FROM n a, n b"]
    asked = ["SELECT x FROM n", "SELECT x, x AS y FROM n LIMIT 1", "DELETE FROM m", "DO 1"]
    counts = session.batch([*texts, *doubled, *wide, *asked])
    assert counts == [0, 2, *(2**n for n in range(1, 9)), 0, 2**18, 512, 1, 2**18, 0]
    found = session.fetch(["DO 1"], ["SELECT 1, 'é'", "SELECT x FROM n WHERE x IS NULL LIMIT 1"])
    assert found == [[(1, "é")], [(None,)]]
    with pytest.raises(SendError) as failed:
        session.batch(["SELECT x FROM n", "SELECT nothing", "DO 1"])
    assert failed.value.done == 1
    assert session.rows("SELECT count(*) FROM n") == [(512,)]
    session.close()


def test_bytes_that_are_no_text_arrive_on_mysql(my_database: DatabaseFactory) -> None:
    url = my_database()
    session = open_session(url)
    session.enter(None, (), url.database)
    value = b"\xff\x00;\xfe".replace(b"\x00", b"\\0").decode("utf-8", "surrogateescape")
    session.batch(["CREATE TABLE t (b blob)", f"INSERT INTO t VALUES (_binary'{value}')"])
    assert session.rows("SELECT hex(b) FROM t") == [("FF003BFE",)]
    session.close()


def test_a_statement_is_cancelled_from_another_thread(any_database: DatabaseFactory) -> None:
    url = any_database()
    session = open_session(url)
    session.enter(None, (), url.database)
    postgresql = url.get_backend_name() == "postgresql"
    assert isinstance(session, PostgreSQLSession if postgresql else MySQLSession)
    wait = "SELECT pg_sleep(60)" if postgresql else MY_WAIT
    timer = threading.Timer(0.5, session.cancel)
    timer.start()
    began = time.monotonic()
    with pytest.raises(SendError):
        session.batch([wait])
    timer.join()
    assert time.monotonic() - began < 30
    assert not session.lost
    assert session.rows("SELECT 1") == [(1,)]
    session.close()


def test_a_server_that_is_not_there() -> None:
    nowhere = URL.create("postgresql+psycopg2", "u", "secret", "127.0.0.1", 1, "x")
    for url in (nowhere, nowhere.set(drivername="mysql+pymysql")):
        with pytest.raises(SendError) as refused:
            open_session(url)
        assert "secret" not in str(refused.value)
