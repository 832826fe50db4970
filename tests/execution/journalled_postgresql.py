"""Half-applied steps on PostgreSQL: what tests of them make, and what they look at.

Enters: a database.  Leaves: statements that are counted, builds that fail, transactions that
stay open; the counts, the journal and the index afterwards.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import psycopg2.extensions
import pytest
from sqlalchemy import URL

from tests.cli.small import rows
from tests.execution.replayed import step

BEFORE = step(
    "a",
    None,
    "CREATE TABLE counted (what varchar(40))",
    "CREATE TABLE t (id int, note varchar(20))",
    "INSERT INTO t VALUES (1, 'x'), (1, 'y')",
)
UNIQUE = "CREATE UNIQUE INDEX CONCURRENTLY u ON t (id)"


def counted(what: str) -> str:
    return f"INSERT INTO counted VALUES ('{what}')"


def counts(url: URL) -> list[str]:
    return [row[0] for row in rows(url, "SELECT what FROM counted ORDER BY what")]


def journal(url: URL) -> list[tuple[int, str]]:
    return [tuple(row) for row in rows(url, "SELECT number, kind FROM orchestrator_journal")]


def index(url: URL, name: str = "u") -> list[tuple[bool]]:
    """Whether an index is valid; nothing when there is none."""
    query = f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{name}')"
    return [tuple(row) for row in rows(url, query)]


@contextmanager
def open_transaction(url: URL, *texts: str) -> Iterator[psycopg2.extensions.connection]:
    """Somebody's transaction, for as long as the block lasts."""
    connection = psycopg2.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database
    )
    try:
        with connection.cursor() as cursor:
            for text in texts:
                cursor.execute(text)
        yield connection
    finally:
        connection.close()


def in_background(work: object) -> tuple[threading.Thread, list[BaseException]]:
    caught: list[BaseException] = []

    def begin() -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=begin)
    thread.start()
    return thread, caught


def until(url: URL, query: str) -> None:
    """Wait until a query gives a row."""
    for _ in range(200):
        if rows(url, query):
            return
        time.sleep(0.05)
    raise AssertionError(query)


def fail_to_build(url: URL) -> None:
    """As anybody's client does: an invalid index stays."""
    with open_transaction(url) as plain:
        plain.autocommit = True
        with plain.cursor() as cursor, pytest.raises(psycopg2.Error):
            cursor.execute(UNIQUE)
