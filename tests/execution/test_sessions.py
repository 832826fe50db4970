"""The store of sessions: used again where they serve, never more than needed."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import URL, make_url

from orchestrator.errors import DatabaseError
from orchestrator.execution.replay.entering import enter
from orchestrator.execution.replay.types import ReplayFailed
from orchestrator.execution.sessions import LOOK_AGAIN, SessionStore
from orchestrator.fleet.sessions import SendError
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.replayed import footing_in, target_of


def connected(url: URL, *databases: str | None) -> int:
    """How many sessions these PostgreSQL databases have."""
    names = ", ".join(f"'{name}'" for name in databases)
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    found: int = rows(url, f"{query} AND datname IN ({names})")[0][0]
    return found


def test_a_session_is_used_again(any_database: DatabaseFactory) -> None:
    url = any_database()
    own = "SELECT pg_backend_pid()"
    if url.get_backend_name() != "postgresql":
        own = "SELECT connection_id()"
    store = SessionStore()
    seen = []
    for _ in range(3):
        with store.lend(target_of(url)) as session:
            enter(session, footing_in(url))
            seen.append(session.rows(own))
    assert seen[0] == seen[1] == seen[2]
    with store.lend(target_of(url)) as one, store.lend(target_of(url)) as two:
        assert one is not two
    store.close()


def test_a_mysql_session_serves_every_database(my_database: DatabaseFactory) -> None:
    one, two = my_database(), my_database()
    store = SessionStore()
    seen = []
    for url in (one, two, one):
        with store.lend(target_of(url)) as session:
            enter(session, footing_in(url))
            seen.append(session.rows("SELECT connection_id(), database()")[0])
    store.close()
    assert len({number for number, _name in seen}) == 1
    assert [name for _number, name in seen] == [one.database, two.database, one.database]


@pytest.mark.parametrize(("most", "kept"), [(1, False), (2, True)])
def test_a_worker_finds_room(any_database: DatabaseFactory, most: int, kept: bool) -> None:
    target = target_of(any_database())
    target = replace(target, server=replace(target.server, max_connections=most))
    store = SessionStore()
    with store.lend(target) as first:
        pass
    store.make_room(target)
    with store.lend(target) as second:
        assert (second is first) == kept
    store.close()


def test_idle_sessions_of_other_databases_are_closed(pg_database: DatabaseFactory) -> None:
    urls = [pg_database() for _ in range(3)]
    store = SessionStore()
    for url in urls:
        with store.lend(target_of(url)) as session:
            session.rows("SELECT 1")
    end = time.monotonic() + 10
    while connected(urls[0], *(url.database for url in urls)) > 1:
        assert time.monotonic() < end
        time.sleep(0.05)
    store.close()


def test_a_lost_session_is_not_lent_again(any_database: DatabaseFactory) -> None:
    url = any_database()
    postgresql = url.get_backend_name() == "postgresql"
    own = "SELECT pg_backend_pid()" if postgresql else "SELECT connection_id()"
    store = SessionStore()
    with store.lend(target_of(url)) as session:
        number = session.rows(own)[0][0]
        rows(url, f"SELECT pg_terminate_backend({number})" if postgresql else f"KILL {number}")
        time.sleep(0.1)
        with pytest.raises(SendError):
            session.rows("SELECT 1")
        assert session.lost
    with store.lend(target_of(url)) as session:
        assert session.rows(own)[0][0] != number
    store.close()


def test_running_statements_are_cancelled(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    store = SessionStore()
    timer = threading.Timer(0.3, store.cancel)
    with store.lend(target_of(url)) as session:
        timer.start()
        with pytest.raises(SendError, match="canceling statement"):
            session.rows("SELECT pg_sleep(60)")
        timer.join()
    store.close()


def test_a_server_that_refuses(pg_database: DatabaseFactory) -> None:
    url = pg_database().set(password="geheim-falsch")
    target = target_of(url)
    target = replace(target, server=replace(target.server, url=url.set(port=1)))
    with pytest.raises(DatabaseError) as refused, SessionStore().lend(target):
        pass
    assert "target main" in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_a_server_that_was_given_up_is_looked_for_now_and_then() -> None:
    """Every target looks for a server that may come back; of one that was given up, one in a
    while, and the others hear at once what it said last."""
    now = 0.0
    store = SessionStore(clock=lambda: now)
    target = target_of(make_url("postgresql+psycopg2://u@127.0.0.1:1/x"))

    def refused(kind: type[Exception]) -> str:
        with pytest.raises(kind) as said, store.lend(target):
            pass
        return str(said.value)

    assert "refused" in refused(DatabaseError)
    store.reached(target)
    assert "refused" in refused(ReplayFailed)
    assert "refused" in refused(ReplayFailed)
    store.given_up(target, "the server is gone")
    assert "the server is gone" in refused(DatabaseError)
    now = LOOK_AGAIN - 1
    assert "the server is gone" in refused(DatabaseError)
    now = LOOK_AGAIN
    assert "refused" in refused(DatabaseError)
    store.close()


def test_a_server_that_was_given_up_and_came_back(any_database: DatabaseFactory) -> None:
    now = 0.0
    store = SessionStore(clock=lambda: now)
    target = target_of(any_database())
    store.given_up(target, "the server is gone")
    with pytest.raises(DatabaseError), store.lend(target):
        pass
    now = LOOK_AGAIN
    with store.lend(target) as session:
        assert session.rows("SELECT 1") == [(1,)]
    now = LOOK_AGAIN + 0.1
    with store.lend(target) as one, store.lend(target) as other:
        assert one is not other
    store.close()
