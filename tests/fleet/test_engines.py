"""Connections to targets on real servers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection, event, text
from sqlalchemy.exc import DBAPIError

from orchestrator.config.load import load_config
from orchestrator.errors import DatabaseError
from orchestrator.fleet.engines import autocommitted, connect, flavour_of, make_engine
from orchestrator.fleet.targets import all_targets
from orchestrator.fleet.types import Target
from servers import RunningServer
from tests.cli.small import rows, shown
from tests.conftest import DatabaseFactory

ODD = "p@s s%wörd:/#?%(x)s"


def targets(folder: Path, bind: str) -> tuple[Target, ...]:
    """The targets of one bind."""
    file = folder / "databases.yaml"
    file.write_text(f"apps: {{packages: [apps]}}\nbinds: {{main: {bind}}}\n", encoding="utf-8")
    config = load_config(file, environ={})
    return all_targets(config, config.binds.values())


def test_the_search_path_is_set_committed_and_each_targets_own(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    names = ["acme", 'o"d,d%s', "Große"]
    for name in names:
        quoted = name.replace('"', '""')
        rows(url, f'CREATE SCHEMA "{quoted}"')
    listed = "[acme, 'o\"d,d%s', Große]"
    path = "tenancy: schema, search_path: [public]"
    found = targets(tmp_path, f"{{url: {shown(url)}, {path}, tenants: {{list: {listed}}}}}")
    for target, name in zip(found, names, strict=True):
        with connect(target) as connection:
            assert not connection.in_transaction()
            driver = connection.connection.dbapi_connection
            assert driver is not None
            assert driver.autocommit is False
            here = text("SELECT current_schema(), current_schemas(false)::text[]")
            assert tuple(connection.execute(here).one()) == (name, [name, "public"])
            # A rollback does not take it back.
            connection.rollback()
            assert connection.execute(here).one()[0] == name
    with make_engine(url).connect() as connection:
        assert connection.execute(text("SELECT current_schema()")).scalar() == "public"


def test_search_path_ends_at_the_tenants_own_schema(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    rows(url, "CREATE SCHEMA acme")
    rows(url, "CREATE TABLE public.secrets (id int)")
    [target] = targets(
        tmp_path, f"{{url: {shown(url)}, tenancy: schema, tenants: {{list: [acme]}}}}"
    )
    with connect(target) as connection:
        assert connection.execute(text("SELECT to_regclass('secrets')")).scalar() is None


def test_any_password(
    tmp_path: Path, any_server: RunningServer, any_database: DatabaseFactory
) -> None:
    url = any_database()
    name = f"odd_{url.database}"
    postgresql = any_server.family == "postgresql"
    user = name if postgresql else f"{name}@'%'"
    rows(url, f"CREATE USER {user} {'PASSWORD' if postgresql else 'IDENTIFIED BY'} '{ODD}'")
    if not postgresql:
        rows(url, f"GRANT ALL ON `{url.database}`.* TO {user}")
    try:
        login = url.set(username=name, password=ODD)
        [target] = targets(tmp_path, f"{{url: {shown(login)}}}")
        with connect(target) as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1
        [wrong] = targets(tmp_path, f"{{url: {shown(url.set(password=ODD))}}}")
        with pytest.raises(DatabaseError, match="refuses access") as caught, connect(wrong):
            raise AssertionError("connected")
        assert "s%w" not in str(caught.value)
        assert "s%25w" not in str(caught.value)
    finally:
        rows(url, f"DROP USER {user}")


def test_the_session_says_who_it_is(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    [target] = targets(tmp_path, f"{{url: {shown(url)}}}")
    with connect(target) as connection:
        name = connection.execute(text("SHOW application_name")).scalar()
        assert name == "orchestrator"


def test_flavours(any_server: RunningServer, any_database: DatabaseFactory) -> None:
    with make_engine(any_database()).connect() as connection:
        found = flavour_of(connection)
    name, _, version = any_server.flavour.partition("-")
    assert found.name == name
    assert ".".join(map(str, found.version)).startswith(version)


def _end(connection: Connection, url: URL) -> None:
    """End a connection's session from another one."""
    postgresql = url.get_backend_name() == "postgresql"
    asked = "SELECT pg_backend_pid()" if postgresql else "SELECT CONNECTION_ID()"
    session = connection.exec_driver_sql(asked).scalar_one()
    connection.rollback()
    if postgresql:
        rows(url, f"SELECT pg_terminate_backend({session})")
        left = f"SELECT 1 FROM pg_stat_activity WHERE pid = {session}"
    else:
        rows(url, f"KILL {session}")
        left = f"SELECT 1 FROM information_schema.processlist WHERE id = {session}"
    while rows(url, left):
        time.sleep(0.01)


def test_a_session_that_ends_behind_its_last_statement_is_no_error(
    any_database: DatabaseFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    url = any_database()
    engine = make_engine(url)
    with autocommitted(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE made (id int)")
        _end(connection, url)
    assert rows(url, "SELECT * FROM made") == []
    with autocommitted(engine) as connection:
        _end(connection, url)
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql("SELECT 1")
    assert capfd.readouterr().err == ""


def test_a_session_that_ends_before_its_first_statement(any_database: DatabaseFactory) -> None:
    url = any_database()
    engine = make_engine(url)
    event.listen(engine, "engine_connect", lambda connection: _end(connection, url))
    with pytest.raises(DBAPIError), autocommitted(engine) as connection:
        connection.exec_driver_sql("SELECT 1")


def test_a_missing_database_says_what_to_do(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    [lost] = targets(tmp_path, f"{{url: {shown(url.set(database='no_such_database'))}}}")
    with pytest.raises(DatabaseError) as caught, connect(lost):
        raise AssertionError("connected")
    [problem] = caught.value.problems
    assert problem.what.startswith("the database does not exist: ")
    assert problem.where == "target main"
    assert problem.todo == "Create the database on its server, or correct the URL."


def test_a_driver_that_is_not_installed() -> None:
    with pytest.raises(DatabaseError, match=r"the driver postgresql\+pg8000 is not installed"):
        make_engine(URL.create("postgresql+pg8000", "app", "long-secret", "h"))
