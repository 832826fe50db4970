"""Scratch databases on real servers: made, kept from others, dropped, swept."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.pool import NullPool

from orchestrator.errors import DatabaseError
from orchestrator.execution.project import Project
from orchestrator.execution.scratch import (
    GRACE_SECONDS,
    PREFIX,
    on_loopback,
    scratch_target,
    scratch_url,
)
from orchestrator.fleet.engines import connect
from servers import RunningServer
from tests.cli.small import SmallProject, environment, rows, shown, small_project
from tests.conftest import DatabaseFactory

REMOTE = "192.0.2.1"


def opened(folder: Path, binds: str, scratch: str = "{}") -> Project:
    """A project with these binds and no revisions."""
    small_project(folder, f"apps: {{packages: [apps]}}\nscratch: {scratch}\nbinds:\n{binds}\n")
    return Project.open(root=folder)


def existing(url: URL) -> set[str]:
    """The scratch databases on a server."""
    if url.get_backend_name() == "postgresql":
        query = "SELECT datname FROM pg_database"
    else:
        query = "SELECT schema_name FROM information_schema.schemata"
    return {name for (name,) in rows(url, query) if name.startswith(PREFIX)}


def clock(url: URL) -> int:
    """The server's time in seconds."""
    postgresql = url.get_backend_name() == "postgresql"
    query = "extract(epoch FROM now())::bigint" if postgresql else "unix_timestamp()"
    return int(rows(url, f"SELECT {query}")[0][0])


def test_it_is_made_on_loopback_and_dropped(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = opened(tmp_path, f"  main: {{url: {shown(url)}}}")
    bind = project.config.binds["main"]
    with scratch_target(project, bind) as target:
        assert target.server.url is not None
        name = str(target.server.url.database)
        assert name in existing(url)
        with connect(target) as connection:
            connection.exec_driver_sql("CREATE TABLE here (id int)")
            connection.commit()
    assert name not in existing(url)


def test_an_error_inside_drops_it_too(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = opened(tmp_path, f"  main: {{url: {shown(url)}}}")
    names: list[str] = []

    def interrupted() -> None:
        with scratch_target(project, project.config.binds["main"]) as target:
            names.append(str(target.server.url and target.server.url.database))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not existing(url) & set(names)


def test_a_scratch_url_stands_before_the_binds_own(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    remote = shown(url.set(host=REMOTE))
    project = opened(tmp_path, f"  main: {{url: {remote}}}", f"{{postgresql: {shown(url)}}}")
    with scratch_target(project, project.config.binds["main"]) as target:
        assert target.server.url is not None
        assert target.server.url.host == url.host
        assert target.server.url.database in existing(url)


def test_nowhere_but_a_far_server_is_refused(tmp_path: Path) -> None:
    far = f'"postgresql://app:secret-word@{REMOTE}/main"'
    project = opened(tmp_path, f"  main: {{url: {far}}}")
    with pytest.raises(DatabaseError) as caught:
        scratch_url(project, project.config.binds["main"])
    [problem] = caught.value.problems
    assert problem.key == "scratch.postgresql"
    assert "--against TARGET" in problem.todo
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://localhost/x", True),
        ("postgresql://127.0.0.1/x", True),
        ("postgresql://127.0.1.1/x", True),
        ("postgresql://[::1]/x", True),
        ("postgresql:///x", True),
        ("postgresql:///x?host=/run/postgresql", True),
        ("postgresql:///x?host=db.example.com", False),
        ("postgresql:///x?host=localhost&host=db.example.com", False),
        ("postgresql:///x?hostaddr=192.0.2.7", False),
        ("postgresql:///x?service=prod", False),
        ("postgresql://db.example.com/x", False),
        ("postgresql://localhost.example.com/x", False),
        ("mysql+pymysql:///x", True),
        ("mysql+pymysql://127.0.0.1/x", True),
        ("mysql+pymysql://db/x", False),
    ],
)
def test_where_a_url_leads(url: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGHOST", raising=False)
    monkeypatch.delenv("PGHOSTADDR", raising=False)
    assert on_loopback(make_url(url)) is expected


def test_libpqs_own_variable_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example.com")
    assert not on_loopback(make_url("postgresql:///x"))
    assert on_loopback(make_url("postgresql://localhost/x"))


def test_a_tenant_bind_gets_its_schema_or_database(
    tmp_path: Path, pg_database: DatabaseFactory, my_database: DatabaseFactory
) -> None:
    first, second = pg_database(), my_database()
    tenancy = 'name: "t_{tenant}", tenants: {list: [acme]}'
    project = opened(
        tmp_path,
        f"  main: {{url: {shown(first)}, tenancy: schema, {tenancy}}}\n"
        f"  other: {{url: {shown(second)}, tenancy: database, apps: [], {tenancy}}}",
    )
    with scratch_target(project, project.config.binds["main"]) as target:
        assert target.schema == "t_scratch"
        with connect(target) as connection:
            assert connection.exec_driver_sql("SELECT current_schema()").scalar() == "t_scratch"
    with scratch_target(project, project.config.binds["other"]) as target:
        assert str(target.database).startswith(PREFIX)
        with connect(target) as connection:
            assert connection.exec_driver_sql("SELECT DATABASE()").scalar() == target.database


def test_leftovers_are_swept_after_the_grace(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = opened(tmp_path, f"  main: {{url: {shown(url)}}}")
    now = clock(url)
    tail = url.database[-8:] if url.database else ""
    old, young, foreign = (
        f"{PREFIX}{now - GRACE_SECONDS - 5:x}_{tail}",
        f"{PREFIX}{now - 5:x}_{tail}",
        f"{PREFIX}dead_beef_{tail}",
    )
    try:
        for name in (old, young, foreign):
            rows(url, f"CREATE DATABASE {name}")
        with scratch_target(project, project.config.binds["main"]):
            found = existing(url)
        assert old not in found
        assert {young, foreign} <= found
    finally:
        for name in (old, young, foreign):
            rows(url, f"DROP DATABASE IF EXISTS {name}")


@contextmanager
def aged(url: URL, name: str) -> Iterator[str]:
    """A database in use by a run that started long ago: what another run's sweep meets."""
    postgresql = url.get_backend_name() == "postgresql"
    rows(url, f"CREATE DATABASE {name}")
    engine = create_engine(url.set(database=name), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            if not postgresql:
                connection.exec_driver_sql(f"SELECT GET_LOCK('{name}', 0)")
            yield name
    finally:
        rows(url, f"DROP DATABASE IF EXISTS {name}")


def test_a_long_run_is_not_swept(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = opened(tmp_path, f"  main: {{url: {shown(url)}}}")
    name = f"{PREFIX}{clock(url) - 10 * GRACE_SECONDS:x}_{str(url.database)[-8:]}"
    with aged(url, name):
        with scratch_target(project, project.config.binds["main"]):
            assert name in existing(url)
        assert name in existing(url)
    rows(url, f"CREATE DATABASE {name}")
    with scratch_target(project, project.config.binds["main"]):
        assert name not in existing(url)


def test_runs_at_the_same_time_leave_each_other_alone(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    url = any_database()
    project = opened(tmp_path, f"  main: {{url: {shown(url)}}}")
    bind = project.config.binds["main"]

    def one(number: int) -> str:
        with scratch_target(project, bind) as target, connect(target) as connection:
            connection.exec_driver_sql(f"CREATE TABLE t{number} (id int)")
            connection.commit()
            connection.exec_driver_sql(f"INSERT INTO t{number} VALUES (1)")
            connection.commit()
            return str(connection.engine.url.database)

    with ThreadPoolExecutor(4) as threads:
        names = list(threads.map(one, range(8)))
    assert len(set(names)) == 8
    assert not existing(url) & set(names)


HOLD = """
import sys, time
from pathlib import Path
from orchestrator.execution.project import Project
from orchestrator.execution.scratch import scratch_target

project = Project.open(root=Path(sys.argv[1]))
with scratch_target(project, project.config.binds["main"]) as target:
    print(target.server.url.database, flush=True)
    time.sleep(60)
"""


def test_a_killed_run_leaves_what_the_next_one_sweeps(
    tmp_path: Path, any_server: RunningServer, any_database: DatabaseFactory
) -> None:
    url = any_database()
    opened(tmp_path, f"  main: {{url: {shown(url)}}}")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert name in existing(url)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert name in existing(url)
    # Still within the grace: as if it had been made that much earlier, by its name.
    older = f"{PREFIX}{int(name.split('_')[2], 16) - GRACE_SECONDS - 5:x}_{name.split('_')[3]}"
    if any_server.family == "postgresql":
        rows(url, f"ALTER DATABASE {name} RENAME TO {older}")
    else:
        rows(url, f"DROP DATABASE {name}")
        rows(url, f"CREATE DATABASE {older}")
    project = Project.open(root=tmp_path)
    with scratch_target(project, project.config.binds["main"]):
        assert not {name, older} & existing(url)


def test_a_history_that_does_not_run_is_told(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project: SmallProject = small_project(
        tmp_path, f"apps: {{packages: [apps]}}\nbinds: {{main: {{url: {shown(url)}}}}}\n"
    )
    file = project.revision("main", "m1", 'op.execute("ALTER TABLE customers ADD x int")')
    said = project.run("revision", "-m", "x")
    assert said.code == 1, said.all
    assert 'relation "customers" does not exist' in said.err
    assert f"bind main, revision m1 ({file}:" in said.err
    assert "baseline:" in said.err
    assert "--against TARGET" in said.err


def test_no_right_to_create_databases(
    tmp_path: Path, postgres: RunningServer, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    name = f"role_{url.database}"
    rows(url, f"CREATE ROLE {name} LOGIN PASSWORD 'long-secret'")
    try:
        login = url.set(username=name, password="long-secret")
        project = opened(tmp_path, f"  main: {{url: {shown(login)}}}")
        with (
            pytest.raises(DatabaseError, match="permission denied to create database") as caught,
            scratch_target(project, project.config.binds["main"]),
        ):
            raise AssertionError("made")
        assert "--against TARGET" in str(caught.value)
        assert "long-secret" not in str(caught.value)
    finally:
        rows(url, f"DROP ROLE {name}")
