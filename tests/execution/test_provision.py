"""Schemas and databases of tenants that are not there yet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import URL

from orchestrator.config.load import load_config
from orchestrator.errors import DatabaseError
from orchestrator.execution.provision import ensure_exists, provision_all
from orchestrator.fleet.state import read_states
from orchestrator.fleet.targets import all_targets
from orchestrator.fleet.types import Target
from tests.cli.small import rows, shown
from tests.conftest import DatabaseFactory


def target(folder: Path, url: URL, tenancy: str, *, create: bool, tenant: str = "x%y") -> Target:
    """The only target of a tenant bind."""
    file = folder / "databases.yaml"
    name = "{tenant}" if tenancy == "schema" else f"{url.database}_{{tenant}}"
    file.write_text(
        f"apps: {{packages: [apps]}}\nbinds:\n  shop:\n    url: {shown(url)}\n"
        f"    tenancy: {tenancy}\n    create: {str(create).lower()}\n    name: '{name}'\n"
        f"    tenants: {{list: ['{tenant}']}}\n"
    )
    [found] = all_targets(config := load_config(file), config.binds.values())
    return found


@pytest.mark.parametrize("tenancy", ["schema", "database"])
def test_on_postgresql(tmp_path: Path, pg_database: DatabaseFactory, tenancy: str) -> None:
    made_and_refused(tmp_path, pg_database(), tenancy)


def test_on_mysql(tmp_path: Path, my_database: DatabaseFactory) -> None:
    made_and_refused(tmp_path, my_database(), "database")


def made_and_refused(folder: Path, url: URL, tenancy: str) -> None:
    """create: false says how; create: true makes it, once."""
    with pytest.raises(DatabaseError) as caught:
        ensure_exists(target(folder, url, tenancy, create=False))
    [problem] = caught.value.problems
    name = "x%y" if tenancy == "schema" else f"{url.database}_x%y"
    assert problem.what == f"the {tenancy} {name} does not exist"
    assert problem.todo.startswith(f"Create the {tenancy} {name}, or set `create: true` in binds.")
    wanted = target(folder, url, tenancy, create=True)
    assert read_states([wanted])[0].kind == "missing"
    ensure_exists(wanted)
    assert read_states([wanted])[0].kind == "no-version-table"
    ensure_exists(wanted)
    assert provision_all([wanted]) == {}


@pytest.mark.parametrize("tenancy", ["schema", "database"])
def test_many_at_once_on_postgresql(
    tmp_path: Path, pg_database: DatabaseFactory, tenancy: str
) -> None:
    many_at_once(tmp_path, pg_database(), tenancy)


def test_many_at_once_on_mysql(tmp_path: Path, my_database: DatabaseFactory) -> None:
    many_at_once(tmp_path, my_database(), "database")


def many_at_once(folder: Path, url: URL, tenancy: str) -> None:
    for number in range(3):
        wanted = target(folder, url, tenancy, create=True, tenant=f"n{number}")
        together = Barrier(4)

        def make(_: int, wanted: Target = wanted, together: Barrier = together) -> None:
            together.wait()
            assert provision_all([wanted]) == {}

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(make, range(4)))
        assert read_states([wanted])[0].kind == "no-version-table"


def test_no_right_to_create(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    name = f"role_{url.database}"
    rows(url, f"CREATE ROLE {name} LOGIN PASSWORD 'long-secret'")
    try:
        login = url.set(username=name, password="long-secret")
        with pytest.raises(DatabaseError) as caught:
            ensure_exists(target(tmp_path, login, "schema", create=True))
    finally:
        rows(url, f"DROP ROLE {name}")
    [problem] = caught.value.problems
    assert "CREATE SCHEMA x%y failed (denied): permission denied for database" in problem.what
    assert "create the schema x%y by hand" in problem.todo
    assert "long-secret" not in str(caught.value)
