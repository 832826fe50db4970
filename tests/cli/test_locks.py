"""Locks for people: who holds them, a run that was killed, and ending a holder."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.fleet.sessions import open_session
from orchestrator.safety.locks import lock_of
from servers import PASSWORD
from tests.cli.small import Said, SmallProject, rows, shown, small_project
from tests.cli.test_signals import wait_for
from tests.conftest import DatabaseFactory


def busy(root: Path, url: URL) -> SmallProject:
    """One target; its second revision changes a row, which `kept` can keep waiting."""
    project = small_project(
        root,
        f"""
        apps: {{packages: [apps]}}
        default_bind: main
        binds: {{main: {{url: {shown(url)}, lock_timeout: 60s}}}}
        """,
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE quick (id int)")')
    project.revision("main", "m2", 'op.execute("UPDATE busy SET n = n + 1")', after="m1")
    rows(url, "CREATE TABLE busy (n int)")
    rows(url, "INSERT INTO busy VALUES (0)")
    return project


@contextmanager
def kept(url: URL) -> Iterator[None]:
    """An open transaction of the application that has changed the row."""
    session = open_session(url)
    session.batch(["BEGIN"])
    session.batch(["UPDATE busy SET n = n"])
    try:
        yield
    finally:
        session.batch(["ROLLBACK"])
        session.close()


def waits(url: URL) -> str:
    """Whether the revision's statement waits for the row."""
    if url.get_backend_name() == "postgresql":
        return (
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            f" AND datname = '{url.database}'"
        )
    return (
        "SELECT count(*) > 0 FROM information_schema.processlist WHERE info LIKE 'UPDATE busy%'"
        f" AND db = '{url.database}'"
    )


def killed(project: SmallProject, url: URL) -> int:
    """The number of a run that was ended by kill -9 while its statement waits."""
    process = project.start("upgrade", "--all")
    wait_for(url, waits(url))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.pid


def test_no_lock_is_held(tmp_path: Path, any_database: DatabaseFactory) -> None:
    project = busy(tmp_path, any_database())
    said = project.run_here("locks")
    assert (said.code, said.out) == (0, "")
    assert "no lock is held on 1 target\n" in said.err
    assert project.run_here("locks", "--json").json() == []


def test_a_killed_run_is_waited_for(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """The server goes on with its statement, and holds the lock until that has ended."""
    url = any_database()
    project = busy(tmp_path, url)
    with kept(url):
        dead = killed(project, url)
        process = project.start("upgrade", "--all")
        assert process.stderr is not None
        waited = next(line for line in process.stderr if line.startswith("main: waiting"))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert waited.startswith("main: waiting for its lock, held by ")
    assert "UPDATE busy" in waited
    if url.get_backend_name() == "postgresql":
        assert f"(pid {dead} on " in waited
    assert PASSWORD not in out + err + waited
    # The server finished what the dead run had sent, or rolled it back: it is done once.
    assert rows(url, "SELECT n FROM busy") == [(1,)]
    assert rows(url, "SELECT version_num FROM alembic_version") == [("m2",)]


def test_a_holder_is_ended(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = busy(tmp_path, url)
    with kept(url):
        dead = killed(project, url)
        shown_to_people = project.run_here("locks")
        (one,) = project.run_here("locks", "--json").json()
        nobody = project.run_here("locks", "--kill")
        asked = project.run_here("locks", "--kill", "--all")
        assert rows(url, waits(url)) == [(1,)]
        said = project.run_here("locks", "--kill", "--all", "--yes")
        wait_for(url, f"SELECT NOT ({waits(url)})")
    assert shown_to_people.out.startswith("main: held by "), shown_to_people.all
    assert f"    session:   {one['session']}" in shown_to_people.out
    assert "UPDATE busy" in shown_to_people.out
    assert PASSWORD not in shown_to_people.all
    assert one["target"] == "main"
    assert "UPDATE busy" in one["statement"]
    assert 0 <= one["statement_seconds"] < 60
    # MariaDB keeps no connection attributes by default, and a single statement no journal.
    assert url.get_backend_name() != "postgresql" or one["owner"] is not None
    assert one["owner"] is None or one["owner"]["pid"] == dead
    assert (nobody.code, asked.code) == (2, 2)
    assert "`locks --kill` changes databases, and nothing says which" in nobody.err
    assert "this ends 1 session" in asked.err
    assert "Pass --yes" in asked.err
    assert said.code == 0, said.all
    assert f"main: session {one['session']} ended" in said.err
    assert "run the command again" in said.err
    again = project.run("upgrade", "--all")
    assert again.code == 0, again.all
    assert rows(url, "SELECT n FROM busy") == [(1,)]


def held_by_hand(url: URL) -> object:
    """A session of somebody else with the target's lock."""
    session = open_session(url)
    family = "postgresql" if url.get_backend_name() == "postgresql" else "mysql"
    place = None if family == "postgresql" else url.database
    session.batch([lock_of(family, place, None, "alembic_version").take])  # type: ignore[arg-type]
    return session


def test_a_lock_that_is_not_given_back(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = busy(tmp_path, url)
    session = held_by_hand(url)
    began = time.monotonic()
    said = project.run("upgrade", "--all", "--lock-wait", "1.5s")
    assert said.code == 1, said.all
    assert "its lock was held for 1.5 s by app from 127.0.0.1" in said.out
    assert "See `orchestrator locks`; wait longer with --lock-wait." in said.out
    assert time.monotonic() - began < 30
    once = project.run("upgrade", "--all", "--lock-wait", "0", "--log-format", "json")
    assert once.code == 1
    assert "waiting for its lock" not in once.err
    del session


def test_ctrl_c_ends_the_wait_for_a_lock(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = busy(tmp_path, url)
    session = held_by_hand(url)
    process = project.start("upgrade", "--all", "--log-format", "json")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{") and json.loads(line)["event"] == "waiting":
            break
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    said = Said(process.returncode, out, err)
    assert said.code == 130, said.all
    assert time.monotonic() - began < 10
    assert "FAILED" not in said.out, said.all
    del session


def test_a_server_that_cannot_be_asked(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = small_project(
        tmp_path,
        f"""
        apps: {{packages: [apps]}}
        default_bind: shop
        binds:
          shop:
            tenancy: schema
            servers:
              gone: {{url: "postgresql://app:long-secret@127.0.0.1:1/x"}}
              here: {{url: {shown(url)}}}
            tenants: {{list: [{{tenant: a, server: gone}}, {{tenant: b, server: here}}]}}
        """,
    )
    session = open_session(url)
    session.batch([lock_of("postgresql", None, "b", "alembic_version").take])
    said = project.run_here("locks")
    assert said.code == 1
    assert said.out.startswith("shop/b@here: held by app"), said.all
    assert "error: databases.yaml:8 (bind shop, server gone): its locks are not known" in said.err
    assert "long-secret" not in said.all
    session.close()


@pytest.mark.parametrize("option", ["--lock-wait", "--lock-timeout", "--statement-timeout"])
def test_durations_are_checked(tmp_path: Path, option: str) -> None:
    project = small_project(
        tmp_path, 'apps: {packages: [apps]}\nbinds: {main: {url: "postgresql://h/x"}}\n'
    )
    said = project.run_here("upgrade", "--all", option, "soon")
    assert said.code == 2
    assert "'soon' is no duration" in said.err
