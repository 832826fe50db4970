"""The states of many targets at a time, on real servers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, event
from sqlalchemy.engine import Engine

from orchestrator.config import Config
from orchestrator.config.load import load_config
from orchestrator.fleet.state import CONNECTIONS, read_fleet, read_states
from orchestrator.fleet.targets import Selection, find_targets, select_targets
from orchestrator.fleet.types import State, Target
from servers import RunningServer
from tests.cli.small import rows, shown
from tests.conftest import DatabaseFactory
from tests.databases.fresh import administrator


def fleet(root: Path, url: URL, names: list[str], tenancy: str, template: str) -> Config:
    """A bind with these tenants, from a file."""
    (root / "t.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    file = root / "databases.yaml"
    file.write_text(
        "apps: {packages: [apps]}\nbinds:\n  shop:\n"
        f"    url: {shown(url)}\n    tenancy: {tenancy}\n"
        f"    name: '{template}'\n    tenants: {{file: t.txt}}\n",
        encoding="utf-8",
    )
    return load_config(file, environ={})


def make_schemas(url: URL, count: int) -> None:
    """Schemas t_0 ... with a version table each, at r0, r1 or r2."""
    for first in range(0, count, 500):
        rows(
            url,
            f"DO $$ BEGIN FOR i IN {first}..{min(first + 500, count) - 1} LOOP "
            "EXECUTE format('CREATE SCHEMA t_%s', i); "
            "EXECUTE format('CREATE TABLE t_%s.alembic_version (version_num varchar(32))', i); "
            "EXECUTE format('INSERT INTO t_%s.alembic_version VALUES (''r%s'')', i, i % 3); "
            "END LOOP; END $$",
        )


@contextmanager
def connections() -> Iterator[list[int]]:
    """How many connections were open at a time; the last item is how many were made in all."""
    seen = [0, 0]
    guard = threading.Lock()
    open_now = 0

    def opened(*_: object) -> None:
        nonlocal open_now
        with guard:
            open_now += 1
            seen[0] = max(seen[0], open_now)
            seen[1] += 1

    def closed(*_: object) -> None:
        nonlocal open_now
        with guard:
            open_now -= 1

    event.listen(Engine, "connect", opened)
    event.listen(Engine, "close", closed)
    try:
        yield seen
    finally:
        event.remove(Engine, "connect", opened)
        event.remove(Engine, "close", closed)


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_many_schemas(tmp_path: Path, pg_database: DatabaseFactory, count: int) -> None:
    url = pg_database()
    make_schemas(url, count)
    rows(url, "ALTER TABLE t_7.alembic_version RENAME COLUMN version_num TO other")
    rows(url, "DROP SCHEMA t_8 CASCADE")
    rows(url, "DROP TABLE t_9.alembic_version")
    names = [str(number) for number in range(count)]
    targets = find_targets(fleet(tmp_path, url, names, "schema", "t_{tenant}"), Selection()).targets
    with connections() as seen:
        found = read_fleet(targets)
    assert seen[0] <= CONNECTIONS
    assert [state.kind for state in found.states[7:10]] == [
        "denied",
        "missing",
        "no-version-table",
    ]
    for number, state in enumerate(found.states):
        if number not in (7, 8, 9):
            assert state == State("known", (f"r{number % 3}",)), number
    # What is the same is one object: memory does not grow with the fleet.
    assert len({id(state) for state in found.states}) == 6
    [flavour] = found.flavours.values()
    assert flavour.name == "postgresql"


def test_a_table_that_somebody_locks_hides_no_other(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    make_schemas(url, 20)
    targets = select_targets(
        fleet(tmp_path, url, [str(one) for one in range(20)], "schema", "t_{tenant}"), Selection()
    )
    engine = create_engine(url)
    with engine.connect() as holder:
        holder.exec_driver_sql("LOCK TABLE t_5.alembic_version IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        found = read_states(targets)
        assert time.monotonic() - started < 15
    engine.dispose()
    assert found[5].kind == "denied"
    assert "lock timeout" in found[5].detail
    assert all(state.kind == "known" for number, state in enumerate(found) if number != 5)


def test_many_databases_on_mysql(
    tmp_path: Path, mysql: RunningServer, my_database: DatabaseFactory
) -> None:
    url = my_database()
    names = [str(number) for number in range(300)]
    with administrator(mysql) as connection:
        for name in names:
            database = f"`{url.database}_{name}`"
            # Collations that do not mix in a UNION.
            collation = "utf8mb4_bin" if int(name) % 2 else "utf8mb4_general_ci"
            connection.exec_driver_sql(f"CREATE DATABASE {database} COLLATE {collation}")
            if name != "9":
                connection.exec_driver_sql(
                    f"CREATE TABLE {database}.alembic_version (version_num varchar(32))"
                )
                connection.exec_driver_sql(
                    f"INSERT INTO {database}.alembic_version VALUES ('r{int(name) % 3}')"
                )
        connection.exec_driver_sql(f"DROP DATABASE `{url.database}_8`")
    config = fleet(tmp_path, url, names, "database", f"{url.database}_{{tenant}}")
    with counted() as statements, connections() as seen:
        found = read_fleet(select_targets(config, Selection()))
    assert seen[0] <= CONNECTIONS
    assert found.states[8].kind == "missing"
    assert found.states[9] == State("no-version-table")
    for number, state in enumerate(found.states):
        if number not in (8, 9):
            assert state == State("known", (f"r{number % 3}",)), number
    assert sum("UNION" in one for one in statements) == 2
    [flavour] = found.flavours.values()
    assert flavour.family == "mysql"


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that any engine sends."""
    heard: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        heard.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


def test_databases_on_postgresql_take_few_connections(
    tmp_path: Path, postgres: RunningServer, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    names = [f"{number}" for number in range(8)] + ["na%me", "gone", "shut"]
    for name in names:
        if name != "gone":
            rows(url, f'CREATE DATABASE "{url.database}_{name}"')
    with administrator(postgres) as connection:
        connection.exec_driver_sql(
            f'ALTER DATABASE "{url.database}_shut" WITH ALLOW_CONNECTIONS false'
        )
    for number in range(8):
        inside = url.set(database=f"{url.database}_{number}")
        rows(inside, "CREATE TABLE alembic_version (version_num varchar(32))")
        rows(inside, f"INSERT INTO alembic_version VALUES ('r{number}')")
    config = fleet(tmp_path, url, names, "database", f"{url.database}_{{tenant}}")
    with connections() as seen:
        found = read_fleet(select_targets(config, Selection()))
    assert [state.revisions for state in found.states[:8]] == [(f"r{one}",) for one in range(8)]
    assert found.states[8] == State("no-version-table")
    assert found.states[9].kind == "missing"
    assert found.states[10].kind in ("denied", "unreachable")
    assert "not currently accepting connections" in found.states[10].detail
    assert seen[0] <= CONNECTIONS
    assert seen[1] == 9
    with administrator(postgres) as connection:
        connection.exec_driver_sql(
            f'ALTER DATABASE "{url.database}_shut" WITH ALLOW_CONNECTIONS true'
        )


@pytest.mark.parametrize("tenancy", ["schema", "database"])
def test_a_server_that_never_answers_is_waited_for_once(tmp_path: Path, tenancy: str) -> None:
    """Something listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent:
        port = silent.getsockname()[1]
        url = URL.create("postgresql+psycopg2", "app", "secret-word", "127.0.0.1", port, "x")
        url = url.update_query_dict({"connect_timeout": "2"})
        config = fleet(tmp_path, url, [str(one) for one in range(100)], tenancy, "t_{tenant}")
        started = time.monotonic()
        found = read_fleet(select_targets(config, Selection()))
    assert time.monotonic() - started < 10
    assert {state.kind for state in found.states} == {"unreachable"}
    assert found.flavours == {}


def test_many_targets_are_cheap_to_make(tmp_path: Path) -> None:
    url = URL.create("postgresql+psycopg2", "app", "x", "db", 5432, "x")
    names = [f"tenant{number:05}" for number in range(10_000)]
    config = fleet(tmp_path, url, names, "schema", "t_{tenant}")
    best = min(_seconds(config) for _ in range(3))
    # Ten times what it takes on a quiet machine: it holds the order, not the figure.
    assert best < 1.5


def _seconds(config: Config) -> float:
    started = time.process_time()
    found = select_targets(config, Selection(tenants=("tenant0*", "tenant1*")))
    assert len(found) == 10_000
    assert isinstance(found[0], Target)
    return time.process_time() - started
