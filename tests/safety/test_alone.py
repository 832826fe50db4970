"""Which PostgreSQL statements cannot be in a transaction, by their words."""

from __future__ import annotations

import pytest

from orchestrator.revisions.recording.transactions import Control
from orchestrator.safety.alone import (
    Alone,
    alone,
    plain_control,
    refused_inside,
    session_changes,
    statements_of,
    temporary_names,
)


def built(name: str, on: str) -> Alone:
    return Alone("create index", name, on, concurrent=True)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (id)", built("i", "t")),
        (
            'create  unique index\nconcurrently if not exists "I ""x" on only s . "T" (a);',
            built('"I ""x"', 's . "T"'),
        ),
        ("CREATE INDEX CONCURRENTLY ON t (x)", built("", "t")),
        ("CREATE INDEX CONCURRENTLY IF NOT EXISTS on_t ON t (x)", built("on_t", "t")),
        ("-- c\nCREATE INDEX /* c; */ CONCURRENTLY é$1 ON t (x)", built("é$1", "t")),
        ("DROP INDEX CONCURRENTLY IF EXISTS s.i", Alone("drop index", "s.i", concurrent=True)),
        ("DROP INDEX CONCURRENTLY i", Alone("drop index", "i", concurrent=True)),
        ("REINDEX INDEX CONCURRENTLY i", Alone("reindex", "i", "INDEX", concurrent=True)),
        (
            "REINDEX (VERBOSE, CONCURRENTLY) TABLE s.t",
            Alone("reindex", "s.t", "TABLE", concurrent=True),
        ),
        ("REINDEX DATABASE CONCURRENTLY", Alone("reindex", "", "DATABASE", concurrent=True)),
        ("REINDEX (CONCURRENTLY off) TABLE t", None),
        ("REINDEX SCHEMA s", Alone("repeat")),
        (
            "ALTER TABLE IF EXISTS ONLY p DETACH PARTITION s.p1 CONCURRENTLY",
            Alone("detach", "s.p1", "p", concurrent=True),
        ),
        ("ALTER TABLE p DETACH PARTITION p1", None),
        ("VACUUM (ANALYZE) t", Alone("repeat")),
        ("CLUSTER", Alone("repeat")),
        ("CLUSTER t", None),
        ("ALTER SYSTEM SET work_mem = '1MB'", Alone("repeat")),
        ("CREATE DATABASE x", Alone("exists", "x", "pg_database")),
        ('DROP TABLESPACE IF EXISTS "X"', Alone("exists", '"X"', "pg_tablespace")),
        ("CREATE SUBSCRIPTION s CONNECTION ''", Alone("exists", "s", "pg_subscription")),
        ("ALTER SUBSCRIPTION s REFRESH PUBLICATION", Alone("repeat")),
        ("CREATE INDEX concurrently_not ON t (id)", None),
        ("CREATE TABLE t (note text DEFAULT 'CREATE INDEX CONCURRENTLY i ON t (id)')", None),
        ("SELECT 1; VACUUM", None),
        ("CALL p()", None),
        ("", None),
    ],
)
def test_what_cannot_be_in_a_transaction(text: str, wanted: Alone | None) -> None:
    assert alone(text) == wanted


def test_what_the_server_refused() -> None:
    assert refused_inside("CALL p()") == Alone("unknown")
    assert refused_inside("REINDEX TABLE parted") == Alone("repeat")
    assert refused_inside("VACUUM") == Alone("repeat")
    assert refused_inside("SELECT 1; CALL p()") == Alone("unknown")


def test_statements_of_a_text() -> None:
    text = "SELECT ';' ; -- a; b\n /* ; */ SELECT $a$;$a$, \";\", E'\\';' ;;"
    assert list(statements_of(text)) == ["SELECT ';'", "SELECT $a$;$a$, \";\", E'\\';'"]
    body = "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT 2; END"
    assert list(statements_of(body)) == [body]


def test_what_changes_the_session() -> None:
    text = (
        "SET x = 1; SET LOCAL y = 2; SET TRANSACTION READ ONLY; SELECT 1; set role r;"
        " SELECT pg_catalog.set_config('search_path', '', false); PREPARE TRANSACTION 'x';"
        " RESET x; SELECT 'SET z = 1'; UPDATE t SET x = 1"
    )
    assert session_changes(text) == (
        "SET x = 1",
        "set role r",
        "SELECT pg_catalog.set_config('search_path', '', false)",
        "RESET x",
    )


def test_what_goes_with_its_session() -> None:
    text = 'CREATE TEMP TABLE a (x int); CREATE TABLE b (y int); create temporary view "C d" AS x'
    assert temporary_names(text) == ("a", '"C d"')


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-- c\nCOMMIT;", Control.COMMIT),
        ("end work", Control.COMMIT),
        ("BEGIN", Control.BEGIN),
        ("START TRANSACTION", Control.BEGIN),
        ("COMMIT AND CHAIN", Control.MIXED),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", Control.MIXED),
        ("END; BEGIN", Control.MIXED),
        ("ROLLBACK", Control.MIXED),
        ("SAVEPOINT x", Control.NONE),
        ("CREATE FUNCTION f() AS $$ BEGIN COMMIT; END $$", Control.NONE),
    ],
)
def test_words_of_transactions(text: str, wanted: Control) -> None:
    assert plain_control(text) is wanted
