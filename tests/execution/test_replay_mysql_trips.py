"""How many texts a target costs on MySQL and MariaDB, beside its own statements."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import URL

from orchestrator.execution.replay.entering import enter, leave
from orchestrator.execution.replay.replay import replay
from orchestrator.execution.replay.types import CompiledStep
from orchestrator.fleet.sessions import Session, open_session
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.replayed import footing_in, run, step, versions

A = step("a", None, "CREATE TABLE t (id int)")
B = step("b", "a", "ALTER TABLE t ADD b int", "CREATE INDEX ix_b ON t (b)")
C = step("c", "b", "CREATE TABLE c (id int)", "INSERT INTO c VALUES (1)")
D = step("d", "c", "ALTER TABLE t ADD d int")


def opened(url: URL) -> tuple[Session, list[str]]:
    """A session, and the texts that it sends, as they come."""
    session, sent = open_session(url.set(database="")), list[str]()
    whole = session._connection.query

    def query(text: bytes, unbuffered: bool = False) -> int:
        sent.append(text.decode())
        return int(whole(text, unbuffered))

    session._connection.query = query
    return session, sent


def taken(session: Session, url: URL, steps: Sequence[CompiledStep], start: str) -> None:
    """Take steps in a target, as a run does."""
    footing, held = footing_in(url), (start,) if start else ()
    enter(session, footing)
    for number, one in enumerate(steps, start=1):
        replay(session, footing, [one], held, last=number == len(steps))
        held = (one[0].revision,)
    leave(session, footing)


def without_journal(url: URL) -> None:
    rows(url, "CREATE TABLE t (id int)")
    rows(url, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    rows(url, "INSERT INTO alembic_version VALUES ('a')")


def test_texts_of_a_path(my_database: DatabaseFactory) -> None:
    """One to enter, one a revision, and one before each whose tables' definitions are asked for;
    whether the journal is empty is asked once."""
    url = my_database()
    session, sent = opened(url)
    taken(session, url, [A, B, C, D], "")
    session.close()
    assert len(sent) == 1 + 4 + 2
    assert sum("EXISTS (SELECT 1 FROM" in text for text in sent) == 1
    assert versions(url) == ["d"]
    assert rows(url, "SELECT count(*) FROM orchestrator_journal") == [(0,)]


def test_texts_of_one_more_revision(my_database: DatabaseFactory) -> None:
    url = my_database()
    run(url, A)
    session, sent = opened(url)
    taken(session, url, [B], "a")
    session.close()
    assert len(sent) == 3
    assert versions(url) == ["b"]


def test_a_journal_is_missed_once_a_session(my_database: DatabaseFactory) -> None:
    """Where one target has none the next one may have none either: it is made on the way."""
    urls = [my_database(), my_database(), my_database()]
    session, sent = opened(urls[0])
    counts = []
    for url in urls:
        without_journal(url)
        taken(session, url, [B], "a")
        counts.append(len(sent))
        sent.clear()
        assert versions(url) == ["b"]
    session.close()
    assert counts == [5, 3, 3]


def test_a_journal_that_may_not_be_made_where_there_is_one(my_database: DatabaseFactory) -> None:
    first, second = my_database(), my_database()
    without_journal(first)
    run(second, A)
    user = f"u_{(first.database or '')[2:]}"
    rows(first, f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY 'x'")
    try:
        rows(first, f"GRANT ALL ON {first.database}.* TO {user}@'127.0.0.1'")
        rights = "SELECT, INSERT, UPDATE, DELETE, ALTER, INDEX"
        rows(first, f"GRANT {rights} ON {second.database}.* TO {user}@'127.0.0.1'")
        session, _sent = opened(first.set(username=user, password="x"))
        taken(session, first, [B], "a")
        taken(session, second, [B], "a")
        session.close()
    finally:
        rows(first, f"DROP USER {user}@'127.0.0.1'")
    assert versions(second) == ["b"]
