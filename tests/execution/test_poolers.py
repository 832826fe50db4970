"""PgBouncer before a server: refused where it lends sessions by the transaction, before anything
runs; direct_url leads around it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.config import Bind, Server, Where
from orchestrator.execution.poolers import Poolers
from orchestrator.fleet.poolers import pooler_problem
from orchestrator.fleet.types import Target
from servers import PASSWORD, NotInstallable
from tests.cli.small import SmallProject, rows, shown, small_project
from tests.conftest import DatabaseFactory
from tests.databases.pgbouncer import Mode, install, pgbouncer

HERE = Where(Path.cwd() / "databases.yaml", 12)


@pytest.fixture(autouse=True, scope="module")
def _installed(request: pytest.FixtureRequest) -> None:
    """A machine without PgBouncer may run the other tests; CI, which asks for all servers, not."""
    try:
        install()
    except NotInstallable as error:
        if request.config.getoption("--all-servers"):
            raise
        pytest.skip(f"PgBouncer: {error}")


def target_at(url: URL, direct: URL | None = None) -> Target:
    server = Server("eu1", url, HERE, direct)
    return Target(Bind("shop", HERE, {"eu1": server}, ()), server)


def test_no_pooler_is_no_problem(pg_database: DatabaseFactory) -> None:
    assert pooler_problem(target_at(pg_database())) is None


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_sessions_lent_by_the_transaction_are_refused(
    pg_database: DatabaseFactory, mode: Mode, size: int
) -> None:
    with pgbouncer(pg_database(), mode, size=size) as url:
        said = str(pooler_problem(target_at(url)))
    assert said.startswith("databases.yaml:12 (bind shop, server eu1): behind its url stands")
    assert "lends the server's sessions by the transaction or the statement" in said
    assert "direct_url" in said
    assert PASSWORD not in said


def test_a_pooler_of_whole_sessions_does_no_harm(pg_database: DatabaseFactory) -> None:
    with pgbouncer(pg_database(), "session") as url:
        assert pooler_problem(target_at(url)) is None


def test_a_pool_of_one_session_is_refused(pg_database: DatabaseFactory) -> None:
    """A second target would wait for as long as the first one's session is kept."""
    with pgbouncer(pg_database(), "session", size=1) as url:
        problem = pooler_problem(target_at(url))
    assert problem is not None
    assert "its pool is too small" in problem.what


def test_direct_url_is_what_counts(pg_database: DatabaseFactory) -> None:
    direct = pg_database()
    with pgbouncer(direct, "transaction") as url:
        assert pooler_problem(target_at(url, direct)) is None
        problem = pooler_problem(target_at(direct, url))
    assert problem is not None
    assert "behind its direct_url stands" in problem.what


def test_a_server_is_asked_once(
    pg_database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "orchestrator.execution.poolers.pooler_problem", lambda target: asked.append(target.id)
    )
    poolers = Poolers()
    target = target_at(pg_database())
    assert poolers.refused([target] * 3) == {}
    assert poolers.refused([target]) == {}
    assert asked == ["shop"]


def fleet(root: Path, url: URL, direct: URL | None) -> SmallProject:
    around = f", direct_url: {shown(direct)}" if direct is not None else ""
    project = small_project(
        root,
        f"""
        apps: {{packages: [apps]}}
        default_bind: shop
        binds:
          shop:
            tenancy: schema
            create: true
            servers: {{eu1: {{url: {shown(url)}{around}}}}}
            tenants: {{list: [acme, globex, initech]}}
        """,
    )
    project.revision("shop", "s1", 'op.execute("CREATE TABLE items (id int)")')
    project.revision(
        "shop",
        "s2",
        """
        with op.get_context().autocommit_block():
            op.execute("CREATE INDEX CONCURRENTLY i ON items (id)")
        """,
        after="s1",
    )
    project.revision("shop", "s3", "op.get_bind().exec_driver_sql('SELECT 1').scalar()", after="s2")
    return project


def test_an_upgrade_through_a_pooler(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    direct = pg_database()
    made = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('acme', 'globex', 'initech')"
    with pgbouncer(direct, "transaction") as url:
        project = fleet(tmp_path, url, None)
        # Reading needs no session of its own.
        assert project.run("status").code == 0
        said = project.run("upgrade", "--all")
        assert said.code == 1, said.all
        assert "databases.yaml:8 (bind shop, server eu1)" in said.out
        assert "3 targets: behind its url stands a connection pooler" in said.out
        assert "direct_url" in said.out
        assert PASSWORD not in said.all
        assert rows(direct, made) == [(0,)]

        again = fleet(tmp_path, url, direct).run("upgrade", "--all")
        assert again.code == 0, again.all
    assert rows(direct, made) == [(3,)]
    assert rows(direct, "SELECT version_num FROM globex.alembic_version") == [("s3",)]
