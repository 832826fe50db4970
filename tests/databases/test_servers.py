"""The servers that the tests run on are what they say, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

import servers
from orchestrator.config.flavour import Flavour
from servers import PASSWORD, CannotStart, RunningServer, mysql, postgresql, process
from servers.mysql import flavour_of
from tests.conftest import DatabaseFactory
from tests.databases.dump import SAME, dump, mysql_file, psql_file
from tests.databases.fresh import administrator, fresh_database

_EXPECTED = {
    "pg18": "postgresql-18",
    "pg15": "postgresql-15",
    "mariadb": "mariadb-",
    "mysql": "mysql-",
    "mysql-path": "mysql-",
    "mysql-docker": "mysql-",
}


def test_the_server_is_the_one_it_says(any_server: RunningServer) -> None:
    assert any_server.flavour.startswith(_EXPECTED[any_server.name])
    assert Flavour.parse(any_server.flavour).family == any_server.family
    with administrator(any_server) as connection:
        version = connection.execute(text("SELECT VERSION()")).scalar_one()
    if any_server.family == "postgresql":
        assert version.startswith(f"PostgreSQL {any_server.flavour.removeprefix('postgresql-')}")
    else:
        assert flavour_of(version) == any_server.flavour


def test_a_wrong_password_is_refused(any_server: RunningServer) -> None:
    wrong = make_url(any_server.url).set(password="wrong")
    with pytest.raises(OperationalError):
        create_engine(wrong, poolclass=NullPool).connect()


def test_the_process_list_shows_no_password(any_server: RunningServer) -> None:
    shown = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        # A process may end while the list is read.
        with suppress(FileNotFoundError, ProcessLookupError):
            shown[int(path.parent.name)] = path.read_bytes()
    assert any_server.pid is None or shown[any_server.pid]
    assert [pid for pid, command in shown.items() if PASSWORD.encode() in command] == []


def test_a_shared_server_is_not_stopped_by_one_test(any_server: RunningServer) -> None:
    with pytest.raises(RuntimeError, match="keeper"):
        any_server.stop()


def test_a_fresh_database_is_empty_and_gone_afterwards(any_server: RunningServer) -> None:
    with fresh_database(any_server) as url, create_engine(url).connect() as left_open:
        left_open.execute(text("CREATE TABLE a (b int)"))
        left_open.execute(text("INSERT INTO a VALUES (1)"))
        with administrator(any_server) as connection:
            connection.execute(text(f"CREATE DATABASE {url.database}_acme"))
    with pytest.raises(OperationalError):
        create_engine(url, poolclass=NullPool).connect()
    with pytest.raises(OperationalError):
        create_engine(url.set(database=f"{url.database}_acme"), poolclass=NullPool).connect()


def _run(url: URL, path: Path, sql: str) -> None:
    path.write_text(sql)
    (psql_file if url.get_backend_name() == "postgresql" else mysql_file)(url, path)


_BASE = """
CREATE TABLE a (id int PRIMARY KEY, b varchar(20) DEFAULT 'x');
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL);
INSERT INTO a VALUES (2, 'two'), (1, 'one%');
"""


def test_equal_databases_have_equal_dumps(any_database: DatabaseFactory, tmp_path: Path) -> None:
    first, second = any_database(), any_database()
    _run(first, tmp_path / "first.sql", _BASE)
    _run(second, tmp_path / "second.sql", _BASE.replace("(2, 'two'), (1, 'one%')", "(1, 'one%')"))
    _run(second, tmp_path / "third.sql", "INSERT INTO a VALUES (2, 'two');")
    assert dump(first) == dump(second)
    assert "one%" in dump(first)


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO alembic_version VALUES ('abc');",
        "UPDATE a SET b = 'ONE%' WHERE id = 1;",
        "CREATE INDEX ix ON a (b);",
        "ALTER TABLE a ALTER COLUMN b SET DEFAULT 'y';",
        "CREATE VIEW v AS SELECT b FROM a;",
    ],
)
def test_a_difference_shows(any_database: DatabaseFactory, tmp_path: Path, change: str) -> None:
    url = any_database()
    _run(url, tmp_path / "base.sql", _BASE)
    before = dump(url)
    _run(url, tmp_path / "change.sql", change)
    assert dump(url) != before


def test_counters_count_unless_told_otherwise(
    any_database: DatabaseFactory, tmp_path: Path
) -> None:
    url = any_database()
    kind = "serial" if url.get_backend_name() == "postgresql" else "int AUTO_INCREMENT"
    _run(url, tmp_path / "base.sql", f"CREATE TABLE a (id {kind} PRIMARY KEY, b int);")
    before, before_without = dump(url), dump(url, counters=False)
    _run(url, tmp_path / "more.sql", "INSERT INTO a (b) VALUES (1), (2); DELETE FROM a;")
    assert dump(url, counters=False) == before_without
    assert dump(url) != before


def test_two_schemas_can_be_compared(pg_database: DatabaseFactory, tmp_path: Path) -> None:
    url = pg_database()
    for schema in ("acme", "globex"):
        base = f"CREATE SCHEMA {schema}; SET search_path TO {schema};" + _BASE
        _run(url, tmp_path / f"{schema}.sql", base)
    assert dump(url, "acme") == dump(url, "globex")
    assert f"CREATE TABLE {SAME}.a" in dump(url, "acme")


def test_a_failing_file_is_an_error(any_database: DatabaseFactory, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="missing_table"):
        _run(any_database(), tmp_path / "bad.sql", "SELECT * FROM missing_table;")


def test_an_unknown_server_is_an_error() -> None:
    with pytest.raises(CannotStart, match="oracle"):
        servers.start("oracle")


def test_a_killed_server_takes_its_clients_processes_along() -> None:
    """PostgreSQL's are in sessions of their own, and a busy one would go on without its server."""
    server = servers.start("pg18")
    try:
        engine = create_engine(server.url, poolclass=NullPool)
        with engine.connect() as watcher, engine.connect() as busy:
            pid = busy.execute(text("SELECT pg_backend_pid()")).scalar_one()
            driver = busy.connection.dbapi_connection
            assert driver is not None
            counting = threading.Thread(target=_refused, args=(driver,), daemon=True)
            counting.start()
            running = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND query LIKE :it"
            while not watcher.scalar(text(running), {"it": "%generate_series%"}):
                time.sleep(0.01)
            server.kill()
            assert not _works(pid)
            counting.join()
            busy.invalidate()
            watcher.invalidate()
    finally:
        server.stop()


def _refused(driver: Any) -> None:
    with pytest.raises(Exception, match="closed"), driver.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM generate_series(1, 4000000000)")


def _works(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    with suppress(FileNotFoundError, ProcessLookupError):
        return status.read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


_STARTER = """
import sys, time, servers
server = servers.start(sys.argv[1])
print(server.pid, flush=True)
if sys.argv[2] == "stop":
    server.stop()
else:
    time.sleep(600)
"""


@pytest.mark.parametrize("how", ["stop", "killed"])
def test_no_process_stays(any_server: RunningServer, how: str) -> None:
    """A server of its own: stopped, or left behind by a starter that was killed."""
    if any_server.pid is None:
        pytest.skip("a container has no process of ours")
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER, any_server.name, how],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        if how == "killed":
            assert _is_alive(pid)
            starter.kill()
    deadline = time.monotonic() + 20
    while _is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.05)


def test_a_taken_port_is_left_to_its_owner(
    monkeypatch: pytest.MonkeyPatch, any_server: RunningServer
) -> None:
    """Another process took the port first: another port is tried."""
    if any_server.pid is None:
        pytest.skip("Docker chooses the port")
    taken = make_url(any_server.url).port
    ports = iter([taken, process.free_port()])
    for module in (mysql, postgresql):
        monkeypatch.setattr(module, "free_port", lambda: next(ports))
    second = servers.start(any_server.name)
    try:
        assert make_url(second.url).port != taken
        assert second.pid != any_server.pid
    finally:
        second.stop()


def _is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped by init does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
