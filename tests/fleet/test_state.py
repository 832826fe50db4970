"""The state of targets on real servers: every kind of answer, and none that hides another."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, event
from sqlalchemy.engine import Engine

from orchestrator.config import Config
from orchestrator.config.load import load_config
from orchestrator.fleet import engines
from orchestrator.fleet.state import read_states
from orchestrator.fleet.targets import all_targets
from orchestrator.fleet.types import State, Target
from orchestrator.fleet.version_tables import BATCH
from servers import RunningServer
from tests.cli.small import rows, shown
from tests.conftest import DatabaseFactory

ROLE_PASSWORD = "ro%le@:p/w"


def loaded(root: Path, text: str) -> Config:
    """A configuration from the text of a databases.yaml."""
    file = root / "databases.yaml"
    file.write_text("apps: {packages: [apps]}\ndefault_bind: main\n" + text, encoding="utf-8")
    return load_config(file, environ={})


def targets_of(config: Config) -> tuple[Target, ...]:
    return all_targets(config, config.binds.values())


def schemas(root: Path, url: URL, tenants: list[str], more: str = "") -> tuple[Target, ...]:
    """The targets of a bind with a schema a tenant."""
    bind = f"{{url: {shown(url)}, tenancy: schema, tenants: {{list: {tenants}}} {more}}}"
    return targets_of(loaded(root, f"binds:\n  main: {bind}\n"))


def databases(root: Path, url: URL, tenants: list[str]) -> tuple[Target, ...]:
    """The targets of a bind with a database a tenant, named after `url`'s database."""
    bind = (
        f'{{url: {shown(url)}, tenancy: database, name: "{url.database}_{{tenant}}", '
        f"tenants: {{list: {tenants}}}}}"
    )
    return targets_of(loaded(root, f"binds:\n  main: {bind}\n"))


def single(root: Path, url: URL, more: str = "") -> Target:
    """The target of a bind without tenants."""
    return targets_of(loaded(root, f"binds:\n  main: {{url: {shown(url)} {more}}}\n"))[0]


def version_table(url: URL, place: str, *revisions: str) -> None:
    """Make a version table with these rows."""
    rows(url, f"CREATE TABLE {place}.alembic_version (version_num varchar(32) PRIMARY KEY)")
    for revision in revisions:
        rows(url, f"INSERT INTO {place}.alembic_version VALUES ('{revision}')")


@contextmanager
def role(server: RunningServer, url: URL) -> Iterator[URL]:
    """A role that may connect, and nothing else."""
    name = f"role_{url.database}"
    host = "@'%'" if server.family == "mysql" else ""
    secret = "IDENTIFIED BY" if server.family == "mysql" else "LOGIN PASSWORD"
    rows(url, f"CREATE USER {name}{host} {secret} '{ROLE_PASSWORD}'")
    try:
        yield url.set(username=name, password=ROLE_PASSWORD)
    finally:
        if server.family == "postgresql":
            rows(url, f"DROP OWNED BY {name}")
        rows(url, f"DROP USER {name}{host}")


def test_schemas_of_every_kind(
    tmp_path: Path, postgres: RunningServer, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    tenants = ["head", "two", "base", "bare", "locked", "unread", "odd", "gone", "quo'te\"%s"]
    for name in tenants:
        if name != "gone":
            quoted = '"' + name.replace('"', '""') + '"'
            rows(url, f"CREATE SCHEMA {quoted}")
    for name, revisions in (
        ("head", ["r2"]),
        ("two", ["r3", "r2"]),
        ("base", []),
        ("locked", ["r1"]),
        ("unread", ["r1"]),
        ('"quo\'te""%s"', ["r9"]),
    ):
        version_table(url, name, *revisions)
    rows(url, "CREATE TABLE odd.alembic_version (something int)")
    with role(postgres, url) as login:
        for name in ("head", "two", "base", "bare", "unread", "odd", '"quo\'te""%s"'):
            rows(url, f"GRANT USAGE ON SCHEMA {name} TO {login.username}")
            if name not in ("bare", "unread"):
                rows(url, f"GRANT SELECT ON {name}.alembic_version TO {login.username}")
        config = loaded(
            tmp_path,
            f"binds:\n  main:\n    url: {shown(login)}\n    tenancy: schema\n    tenants:\n"
            '      list: [head, two, base, bare, locked, unread, odd, gone, "quo\'te\\"%s"]\n',
        )
        found = dict(zip(tenants, read_states(targets_of(config)), strict=True))
    assert found["head"] == State("known", ("r2",))
    assert found["two"] == State("known", ("r2", "r3"))
    assert found["base"] == State("known", ())
    assert found["bare"] == State("no-version-table")
    assert found["locked"] == State("denied", detail="no USAGE on schema locked")
    assert found["unread"] == State("denied", detail="no SELECT on alembic_version")
    assert found["gone"] == State("missing", detail="no schema gone")
    assert found["quo'te\"%s"] == State("known", ("r9",))
    # A table of that name that is none of Alembic's fails its own target only.
    assert found["odd"].kind == "denied"
    assert "version_num" in found["odd"].detail


def test_a_row_without_a_revision_is_not_base(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    url = any_database()
    rows(url, "CREATE TABLE alembic_version (version_num varchar(32))")
    rows(url, "INSERT INTO alembic_version VALUES (NULL), ('r1')")
    config = loaded(tmp_path, f"binds:\n  main:\n    url: {shown(url)}\n")
    (found,) = read_states(targets_of(config))
    assert found == State("known", ("NULL", "r1"))


def test_databases_of_every_kind_on_mysql(
    tmp_path: Path, mysql: RunningServer, my_database: DatabaseFactory
) -> None:
    url = my_database()
    tenants = ["head", "two", "base", "bare", "locked", "unread", "gone", "per%cent"]
    for name in tenants:
        if name != "gone":
            rows(url, f"CREATE DATABASE `{url.database}_{name}`")
    for name, revisions in (
        ("head", ["r2"]),
        ("two", ["r3", "r2"]),
        ("base", []),
        ("locked", ["r1"]),
        ("unread", ["r1"]),
        ("per%cent", ["r9"]),
    ):
        version_table(url, f"`{url.database}_{name}`", *revisions)
    with role(mysql, url) as login:
        for name in ("head", "two", "base", "per%cent", "gone"):
            escaped = f"{url.database}_{name}".replace("_", r"\_").replace("%", r"\%")
            rows(url, f"GRANT ALL ON `{escaped}`.* TO {login.username}@'%'")
        rows(url, f"GRANT CREATE, SELECT ON `{url.database}_bare`.* TO {login.username}@'%'")
        rows(url, f"CREATE TABLE `{url.database}_unread`.other (id int)")
        rows(url, f"GRANT SELECT ON `{url.database}_unread`.other TO {login.username}@'%'")
        login = login.set(database=url.database)
        found = dict(zip(tenants, read_states(databases(tmp_path, login, tenants)), strict=True))
    assert found["head"] == State("known", ("r2",))
    assert found["two"] == State("known", ("r2", "r3"))
    assert found["base"] == State("known", ())
    assert found["bare"] == State("no-version-table")
    assert found["locked"].kind == "denied"
    assert "Access denied" in found["locked"].detail
    assert found["unread"].kind == "denied"
    assert "SELECT command denied" in found["unread"].detail
    assert found["gone"].kind == "missing"
    assert found["per%cent"] == State("known", ("r9",))


def test_databases_on_postgresql_are_missing_or_not(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    for name in ("here", "bare"):
        rows(url, f"CREATE DATABASE {url.database}_{name}")
    version_table(url.set(database=f"{url.database}_here"), "public", "r1")
    here, bare, gone = read_states(databases(tmp_path, url, ["here", "bare", "gone"]))
    assert here == State("known", ("r1",))
    assert bare == State("no-version-table")
    assert gone.kind == "missing"
    assert f'database "{url.database}_gone" does not exist' in gone.detail


def test_a_wrong_password_is_denied_and_not_shown(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    state = read_states([single(tmp_path, any_database().set(password="wr%ong@:pass/word"))])[0]
    assert state.kind == "denied", state
    assert "wr%ong" not in state.detail
    assert "wr%25ong" not in state.detail


def test_out_of_reach_hides_nobody(
    tmp_path: Path, pg_database: DatabaseFactory, my_database: DatabaseFactory
) -> None:
    good, other = pg_database(), my_database()
    closed = good.set(port=1)
    binds = "".join(
        f"  {name}: {{url: {shown(url)}}}\n"
        for name, url in (
            ("main", closed),
            ("good", good),
            ("nobody", other.set(port=1)),
            ("other", other),
            ("lost", good.set(database="no_such_database")),
        )
    )
    found = read_states(targets_of(loaded(tmp_path, "binds:\n" + binds)))
    assert [state.kind for state in found] == [
        "unreachable",
        "no-version-table",
        "unreachable",
        "no-version-table",
        "missing",
    ]
    assert all("s3cr" not in state.detail for state in found)


def test_a_server_that_never_greets_takes_no_longer_than_the_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something listens and says nothing, as a server of another kind does to PyMySQL."""
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"app:secret-word@127.0.0.1:{silent.getsockname()[1]}/x"
        config = loaded(
            tmp_path,
            "binds:\n"
            f"  main: {{url: 'postgresql://{place}'}}\n"
            f"  other: {{url: 'mysql://{place}'}}\n",
        )
        started = time.monotonic()
        found = read_states(targets_of(config))
    assert time.monotonic() - started < 15
    assert [state.kind for state in found] == ["unreachable", "unreachable"]


def test_a_session_that_was_greeted_waits_for_its_statements(
    tmp_path: Path, my_database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 1)
    with engines.connect(single(tmp_path, my_database())) as connection:
        assert connection.exec_driver_sql("SELECT SLEEP(1.5)").scalar_one() == 0


def test_many_schemas_are_read_in_batches(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    names = [f"t{number}" for number in range(BATCH + 60)]
    rows(
        url,
        f"DO $$ BEGIN FOR i IN 0..{len(names) - 1} LOOP "
        "EXECUTE format('CREATE SCHEMA t%s', i); "
        "EXECUTE format('CREATE TABLE t%s.alembic_version (version_num text)', i); "
        "EXECUTE format('INSERT INTO t%s.alembic_version VALUES (''r%s'')', i, i); "
        "END LOOP; END $$",
    )
    rows(url, "ALTER TABLE t7.alembic_version RENAME COLUMN version_num TO other")
    targets = schemas(tmp_path, url, names)
    with counted() as statements:
        found = read_states(targets)
    for number, state in enumerate(found):
        if number != 7:
            assert state == State("known", (f"r{number}",))
    assert found[7].kind == "denied"
    # Two catalogue queries, two batches, and the halving of the batch that holds t7.
    assert len(statements) < 25, len(statements)


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


def test_search_path_of_a_bind_without_tenants(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    rows(url, "CREATE SCHEMA app")
    version_table(url, "public", "publics")
    target = single(tmp_path, url, ", search_path: [app]")
    assert read_states([target])[0] == State("no-version-table")
    version_table(url, "app", "apps")
    assert read_states([target])[0] == State("known", ("apps",))
    nowhere = single(tmp_path, url, ", search_path: [nowhere]")
    assert read_states([nowhere])[0] == State("missing", detail="no schema to work in")


def test_a_version_table_of_another_name(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    version_table(url, "public", "theirs")
    target = single(tmp_path, url, ", version_table: our_version")
    assert read_states([target])[0] == State("no-version-table")
    rows(url, "CREATE TABLE our_version (version_num text)")
    rows(url, "INSERT INTO our_version VALUES ('ours')")
    assert read_states([target])[0] == State("known", ("ours",))


def test_publics_version_table_is_no_tenants(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    version_table(url, "public", "publics")
    rows(url, "CREATE SCHEMA acme")
    [target] = schemas(tmp_path, url, ["acme"], ", search_path: [public]")
    assert read_states([target])[0] == State("no-version-table")
