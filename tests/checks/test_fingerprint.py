"""The fingerprints of many targets at a time, on real servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from orchestrator.checks import shapes_postgresql
from orchestrator.checks.fingerprint import read_fingerprints, read_shape
from orchestrator.checks.places import Place, Told
from orchestrator.checks.types import Scope
from orchestrator.errors import DatabaseError
from orchestrator.fleet.state import CONNECTIONS
from orchestrator.fleet.types import Target
from servers import RunningServer
from tests.checks.fleets import bind_at, in_databases, in_schemas, item, read, whole
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.databases.fresh import administrator
from tests.fleet.test_bulk_state import connections

TABLES = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL)",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL,"
    " total INTEGER DEFAULT 0 CHECK (total >= 0),"
    " CONSTRAINT theirs FOREIGN KEY (customer_id) REFERENCES customers (id))",
)


def make_schemas(url: URL, names: Sequence[str]) -> list[Target]:
    """A schema with the two tables for each name."""
    for name in names:
        rows(url, f"CREATE SCHEMA {name}; SET search_path TO {name}; {'; '.join(TABLES)}")
    return in_schemas(url, names)


@pytest.fixture
def databases(any_database: DatabaseFactory, any_server: RunningServer) -> list[Target]:
    """Four databases with the two tables, each a target."""
    url = any_database()
    names = [f"{url.database}_{number}" for number in range(4)]
    with administrator(any_server) as connection:
        for name in names:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    for name in names:
        for statement in TABLES:
            rows(url.set(database=name), statement)
    return in_databases(url, names)


def test_nothing_is_asked_of_no_server() -> None:
    assert read([]).digests == ()


def test_databases_that_hold_the_same_are_equal_and_others_are_not(
    databases: list[Target],
) -> None:
    url = databases[0].server.url
    assert url is not None
    rows(url.set(database=databases[2].database), "ALTER TABLE orders ADD COLUMN note TEXT")
    found = read(databases)
    assert not found.problems
    assert len(set(found.digests)) == 2
    assert found.digests[0] == found.digests[1] == found.digests[3]
    assert found.shapes.keys() == set(found.digests)
    assert item(found.shapes[found.digests[2]], "column", "note", "orders")
    for digest, shape in found.shapes.items():
        assert shape.digest == digest


def test_each_target_has_its_own_scope(databases: list[Target]) -> None:
    scopes = [
        Scope(),
        Scope(hidden=frozenset({"orders"})),
        Scope(ignore=("*.orders",)),
        Scope(ignore=("orders", "orders.*")),
    ]
    found = read_fingerprints(databases, lambda target: scopes[databases.index(target)])
    assert not found.problems
    first, *others = found.digests
    assert first not in others
    assert len(set(others)) == 1


def test_a_database_that_is_missing_hides_no_other(databases: list[Target]) -> None:
    url = databases[0].server.url
    assert url is not None
    missing = in_databases(url, ["no_such_database"])
    found = read([*missing, *databases[:2], *missing, *databases[2:]])
    assert found.digests[0] == found.digests[3] == ""
    assert found.problems.keys() == {0, 3}
    assert "no_such_database" in found.problems[0]
    assert len({*found.digests} - {""}) == 1


def test_a_target_without_tenancy_is_read(any_database: DatabaseFactory) -> None:
    url = any_database()
    rows(url, TABLES[0])
    shape = read_shape(whole(url), Scope())
    assert [one.name for one in shape.items if one.kind == "table"] == ["customers"]


def test_one_that_cannot_be_read_is_a_problem_without_the_password(
    any_database: DatabaseFactory,
) -> None:
    url = any_database()
    (target,) = in_databases(url, ["no_such_database"])
    with pytest.raises(DatabaseError, match="shop/n0") as raised:
        read_shape(target, Scope())
    assert str(url.password) not in str(raised.value)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port at which nobody answers, as long as it is held."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.parametrize("tenancy", ["schema", "database"])
def test_a_server_out_of_reach_hides_no_other(pg_database: DatabaseFactory, tenancy: str) -> None:
    url = pg_database()
    here = make_schemas(url, ["a", "b"])
    with closed_port() as port:
        away = url.set(port=port)
        bind = bind_at(away, name="away")
        lost = (in_schemas if tenancy == "schema" else in_databases)(away, ["a", "b", "c"], bind)
        found = read([*here, *lost])
    assert found.digests[0] == found.digests[1] != ""
    assert found.problems.keys() == {2, 3, 4}
    assert all("refused" in words for words in found.problems.values())


def test_schemas_that_cannot_be_read_hide_no_other(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    here = make_schemas(url, ["a", "locked", "b", "mine"])
    # A name that a search_path takes for the user's.
    rows(url, 'CREATE SCHEMA "$user"; CREATE TABLE "$user".t (x integer)')
    targets = [*here, *in_schemas(url, ["missing", "$user"])]
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        # Printing a CHECK takes a lock on its table, which is held here.
        connection.exec_driver_sql("LOCK TABLE locked.orders IN ACCESS EXCLUSIVE MODE")
        found = read(targets)
    assert found.problems.keys() == {1, 4, 5}
    assert "lock timeout" in found.problems[1]
    assert found.problems[4] == "no schema missing"
    assert found.problems[5] == "the schema $user cannot be put into a search_path"
    assert len({*found.digests} - {""}) == 1


def test_a_schema_that_may_not_be_used_is_denied(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    make_schemas(url, ["a", "b"])
    role = f"{url.database}_reader"
    rows(url, f"CREATE ROLE {role} LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA a TO {role}")
    try:
        found = read(in_schemas(url.set(username=role, password="reader"), ["a", "b"]))
        assert found.problems == {1: "no USAGE on schema b"}
        # The catalogue is for everybody: no right on a table is needed.
        assert found.digests[0] == read(in_schemas(url, ["a"])).digests[0]
    finally:
        rows(url, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_fleet_larger_than_batches_and_connections_is_read(
    pg_database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = pg_database()
    targets = make_schemas(url, [f"s{number}" for number in range(30)])
    rows(url, "ALTER TABLE s17.orders ALTER COLUMN total DROP DEFAULT")
    monkeypatch.setattr(shapes_postgresql, "BATCH", 4)
    # Two tables each: batches stop short after two schemas, and connections are taken anew.
    monkeypatch.setattr(shapes_postgresql, "PER_CONNECTION", 5)
    with connections() as opened:
        found = read(targets)
    assert not found.problems
    assert opened[0] <= CONNECTIONS
    assert opened[1] > CONNECTIONS
    odd = [number for number, digest in enumerate(found.digests) if digest != found.digests[0]]
    assert odd == [17]
    assert len(found.shapes) == 2


def test_a_server_gets_no_more_connections_than_it_allows(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    make_schemas(url, [f"s{number}" for number in range(8)])
    bind = bind_at(url, connections=1)
    with connections() as opened:
        found = read(in_schemas(url, [f"s{number}" for number in range(8)], bind))
    assert opened == [1, 1]
    assert len(set(found.digests)) == 1


@pytest.mark.parametrize(("losses", "read_in_the_end"), [(1, True), (100, False)])
def test_places_of_a_lost_connection_are_read_once_more(
    pg_database: DatabaseFactory,
    monkeypatch: pytest.MonkeyPatch,
    losses: int,
    read_in_the_end: bool,
) -> None:
    url = pg_database()
    targets = make_schemas(url, ["a", "b"])
    reading = shapes_postgresql.read_batch
    left = [losses]

    def killed(connection: Connection, places: Sequence[Place]) -> Iterator[Told]:
        if left[0]:
            left[0] -= 1
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            rows(url, f"SELECT pg_terminate_backend({pid}, 5000)")
        return reading(connection, places)

    monkeypatch.setattr(shapes_postgresql, "read_batch", killed)
    found = read(targets)
    if read_in_the_end:
        assert not found.problems
        assert len(set(found.digests)) == 1
    else:
        assert found.problems.keys() == {0, 1}
        assert found.digests == ("", "")


def test_what_is_dropped_while_it_is_read_is_asked_for_again(
    pg_database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = pg_database()
    targets = make_schemas(url, ["a"])
    reading = shapes_postgresql._read_sections
    dropping = ["DROP TABLE a.orders"]

    def late(connection: Connection, spaces: Sequence[shapes_postgresql._Space]) -> None:
        if dropping:
            rows(url, dropping.pop())
        reading(connection, spaces)

    monkeypatch.setattr(shapes_postgresql, "_read_sections", late)
    found = read(targets)
    assert not found.problems
    (shape,) = found.shapes.values()
    assert {one.table or one.name for one in shape.items} == {"customers"}


def test_databases_of_a_server_are_read_over_few_connections(
    databases: list[Target],
) -> None:
    with connections() as opened:
        found = read(databases)
    assert len(set(found.digests)) == 1
    assert opened[0] <= CONNECTIONS


_HARD = "CHECK (total >= 0 AND total < 1000)"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_altered_schema_of_thousands_is_found_and_the_backend_stays_small(
    pg_database: DatabaseFactory,
) -> None:
    url = pg_database()
    count = 2500
    for first in range(0, count, 100):
        rows(
            url,
            f"DO $$ BEGIN FOR i IN {first}..{first + 99} LOOP "
            "EXECUTE format('CREATE SCHEMA t_%s', i); FOR j IN 0..3 LOOP EXECUTE format("
            "'CREATE TABLE t_%s.o_%s (id serial PRIMARY KEY, total integer DEFAULT 0 "
            f"{_HARD})', i, j); END LOOP; END LOOP; END $$",
        )
    rows(url, "ALTER TABLE t_1234.o_2 ALTER COLUMN total SET DEFAULT 1")
    targets = in_schemas(url, [f"t_{i}" for i in range(count)], bind_at(url, connections=1))
    with backend_memory(url) as memory:
        found = read(targets)
    assert not found.problems
    odd = [number for number, digest in enumerate(found.digests) if digest != found.digests[0]]
    assert odd == [1234]
    assert len(found.shapes) == 2
    # A backend that reads all 10,000 tables grows to 80 MB, and on; with new ones, to 40 MB each.
    assert 0 < max(memory) < 60


@contextmanager
def backend_memory(url: URL) -> Iterator[list[float]]:
    """The memory of its own, in MB, of each backend of this program, looked at now and then."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the memory of a process is read from /proc")
    seen: list[float] = []
    done = threading.Event()
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def watch() -> None:
        with engine.connect() as connection:
            while not done.wait(0.05):
                for pid in connection.exec_driver_sql(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name = 'orchestrator'"
                ).scalars():
                    seen.append(_own_memory(pid))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        done.set()
        watching.join()


def _own_memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0  # It has ended.
    told = dict(line.split(":", 1) for line in lines)
    if "VmRSS" not in told:
        return 0.0  # It is about to end.
    return (int(told["VmRSS"].split()[0]) - int(told["RssShmem"].split()[0])) / 1024
