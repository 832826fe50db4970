"""The lock of a target: whose it is, that one session has it at a time, and who that is."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import URL

from orchestrator.config.flavour import Family
from orchestrator.fleet.sessions import PostgreSQLSession, SendError, Session, open_session
from orchestrator.safety.holders import Sought, end_holder, holder, holder_words, holders
from orchestrator.safety.locks import Lock, is_held, lock_of
from orchestrator.safety.owners import Owner, owner_of
from tests.conftest import DatabaseFactory

OWNER = Owner("20261122T210313-4f2a", "web-1", 4711)


@contextmanager
def opened(url: URL, label: str = "") -> Iterator[Session]:
    session = open_session(url, label)
    try:
        yield session
    finally:
        session.close()


def locks_on(url: URL, count: int = 1) -> list[Lock]:
    postgresql = url.get_backend_name() == "postgresql"
    names = [f"{url.database}_{number}" for number in range(count)]
    if postgresql:
        return [lock_of("postgresql", None, name, "alembic_version") for name in names]
    return [lock_of("mysql", name, None, "alembic_version") for name in names]


def test_targets_have_locks_of_their_own() -> None:
    places: list[tuple[Family, str | None, str | None]] = [
        ("postgresql", None, "a"),
        ("postgresql", None, "b"),
        ("postgresql", None, None),
        ("mysql", "a", None),
        ("mysql", "b", None),
    ]
    made = [
        lock_of(family, database, schema, table)
        for (family, database, schema), table in itertools.product(
            places, ["alembic_version", "other_version"]
        )
    ]
    assert len({(lock.family, lock.number) for lock in made}) == 10
    assert len({(lock.family, lock.name) for lock in made}) == 10
    for lock in made:
        assert -(2**63) <= lock.number < 2**63
        # MySQL 8.4 manual, 14.14 "Locking Functions": 64 characters.
        assert len(lock.name) <= 64
        assert lock.name.isalnum()


def test_mysql_databases_that_differ_in_case_share_a_lock() -> None:
    """Where lower_case_table_names folds them they are one; elsewhere they wait for each other."""
    assert lock_of("mysql", "Shop", None, "v") == lock_of("mysql", "shop", None, "v")
    assert lock_of("postgresql", None, "Shop", "v") != lock_of("postgresql", None, "shop", "v")


def test_one_session_has_it_at_a_time(any_database: DatabaseFactory) -> None:
    url = any_database()
    one, other = locks_on(url, 2)
    with opened(url) as first, opened(url) as second:
        assert holder(second, one) is None
        first.batch([one.take])
        with pytest.raises(SendError) as refused:
            second.batch([one.take])
        assert is_held(refused.value, one)
        found = holder(second, one)
        assert found is not None
        own = (
            "SELECT pg_backend_pid()"
            if isinstance(first, PostgreSQLSession)
            else ("SELECT connection_id()")
        )
        assert found.session == first.rows(own)[0][0]
        second.batch([other.take])
        first.batch([one.give_back])
        second.batch([one.take])
        # It was not this session's: nothing happens, and nothing fails.
        first.batch([other.give_back])
        assert holder(first, one) is not None


def test_other_failures_are_none_of_the_lock(any_database: DatabaseFactory) -> None:
    url = any_database()
    (lock,) = locks_on(url)
    with opened(url) as session:
        for text in ("SELECT nothing", "SELECT (SELECT 1 UNION SELECT 2)"):
            with pytest.raises(SendError) as refused:
                session.batch([text])
            assert not is_held(refused.value, lock)


def test_many_are_asked_for_at_once(any_database: DatabaseFactory) -> None:
    url = any_database()
    made = locks_on(url, 1_200)
    with opened(url) as one, opened(url) as two, opened(url) as asking:
        one.batch([made[3].take, made[1_100].take])
        two.batch([made[700].take])
        found = holders(asking, [Sought(lock) for lock in made])
        held = {place: one.session for place, one in enumerate(found) if one is not None}
    assert sorted(held) == [3, 700, 1_100]
    assert held[3] == held[1_100] != held[700]


def test_a_lock_of_another_database_is_found(pg_database: DatabaseFactory) -> None:
    """PostgreSQL's keys hold in one database; any other tells of them."""
    here, there = pg_database(), pg_database()
    (lock,) = locks_on(here)
    with opened(here) as one, opened(there) as asking:
        one.batch([lock.take])
        sought = [Sought(lock, str(url.database)) for url in (here, there)]
        found = holders(asking, sought)
        assert found[0] is not None
        assert found[1] is None
        assert end_holder(asking, sought[0], found[0])
        assert not end_holder(asking, sought[0], found[0])


def test_the_holder_and_what_it_runs(any_database: DatabaseFactory) -> None:
    url = any_database()
    (lock,) = locks_on(url)
    postgresql = url.get_backend_name() == "postgresql"
    with opened(url, OWNER.label) as one, opened(url) as asking:
        one.batch([lock.take])
        idle = holder_words(asking, lock)
        assert "which runs no statement now" in idle
        if postgresql:
            one.batch([f"SET application_name = '{OWNER.label}'"])
        sleep = "SELECT pg_sleep(30)" if postgresql else "DO SLEEP(30)"
        running = threading.Thread(target=_fails, args=(one, sleep))
        running.start()
        time.sleep(1.2)
        found = holder(asking, lock)
        words = holder_words(asking, lock)
        one.cancel()
        running.join()
    assert found is not None
    assert found.user == "app"
    assert "sleep(30)" in found.statement.lower()
    assert found.seconds is not None
    assert 0 <= found.seconds < 20
    assert (found.connected is not None) == postgresql
    # MariaDB's performance schema, which keeps connection attributes, is off by default.
    if found.owner is not None:
        assert words.startswith("run 20261122T210313-4f2a (pid 4711 on web-1), session ")
    else:
        assert words.startswith("app from ")
    assert "sleep(30)" in words.lower()


def _fails(session: Session, text: str) -> None:
    try:
        session.batch([text])
    except SendError:
        return


def test_the_journal_names_an_owner_where_the_server_does_not(my_database: DatabaseFactory) -> None:
    url = my_database()
    (lock,) = locks_on(url)
    with opened(url) as one, opened(url) as asking:
        one.batch(
            [
                "CREATE TABLE j (number int, owner varchar(255)) ENGINE=InnoDB",
                lock.take,
                "SET autocommit = 0",
                f"INSERT INTO j VALUES (0, 'orchestrator - 1 old'), (1, '{OWNER.label}')",
            ]
        )
        found = holder(asking, lock, f"`{url.database}`.j")
        assert found is not None
        assert (found.owner, found.journalled) == (OWNER, True)
        assert "probably run 20261122T210313-4f2a (pid 4711 on web-1)" in found.words
        assert holder(asking, lock, "`no`.`where`") is not None


@pytest.mark.parametrize("host", ["web-1", "a" * 80, "wéb", "one two"])
def test_labels_name_their_owner(host: str) -> None:
    owner = dataclasses.replace(OWNER, host=host)
    assert len(owner.label.encode()) <= 63
    found = owner_of(owner.label)
    assert found is not None
    assert (found.run, found.pid) == (owner.run, owner.pid)
    assert owner_of("psql") is None
    assert owner_of("") is None
