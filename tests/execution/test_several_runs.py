"""Runs beside one another, beside a busy application, and through a server that restarts."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.fleet.sessions import open_session
from servers import RunningServer
from tests.cli.small import Said, SmallProject, rows, shown, small_project
from tests.conftest import DatabaseFactory

REVISIONS = ["r1", "r2", "r3"]


def fleet(root: Path, url: URL, tenants: list[str], *, pause: float = 0.0) -> SmallProject:
    """Tenants whose revisions count, in a table, how often each has run, and pause before that."""
    postgresql = url.get_backend_name() == "postgresql"
    kind, name = (
        ("schema", "{tenant}") if postgresql else ("database", f"{url.database}_{{tenant}}")
    )
    project = small_project(
        root,
        f"""
        apps: {{packages: [apps]}}
        default_bind: shop
        binds:
          shop:
            url: {shown(url)}
            tenancy: {kind}
            name: "{name}"
            create: true
            tenants: {{list: [{", ".join(tenants)}]}}
        """,
    )
    for before, revision in zip([None, *REVISIONS], REVISIONS, strict=False):
        sleep = f"{'pg_sleep' if postgresql else 'SLEEP'}({pause})"
        body = (
            f"op.execute(\"INSERT INTO counter SELECT '{revision}' FROM (SELECT {sleep}) AS p\")\n"
        )
        if before is None:
            body = 'op.execute("CREATE TABLE counter (name varchar(9))")\n' + body
        project.revision("shop", revision, body, after=before)
    return project


def ended(process: subprocess.Popen[str]) -> Said:
    out, err = process.communicate(timeout=240)
    return Said(process.returncode, out, err)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_eight_runs_at_once_take_each_step_once(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    url = any_database()
    tenants = [f"c{number}" for number in range(100)]
    project = fleet(tmp_path, url, tenants)
    # Recorded beforehand, so that all begin with their targets at once.
    assert project.run("plan").code == 0
    said = [ended(one) for one in [project.start("upgrade", "--all") for _ in range(8)]]
    assert [one.code for one in said] == [0] * 8, "\n".join(one.all for one in said if one.code)
    _all_once(url, tenants)


def _all_once(url: URL, tenants: list[str]) -> None:
    """Every tenant is at head, and no revision ran twice."""
    inside = "{}." if url.get_backend_name() == "postgresql" else f"{url.database}_{{}}."
    server = url if url.get_backend_name() == "postgresql" else url.set(database="")
    for tenant in tenants:
        place = inside.format(tenant)
        counted = rows(server, f"SELECT name FROM {place}counter ORDER BY name")
        assert counted == [(name,) for name in REVISIONS], tenant
        assert rows(server, f"SELECT version_num FROM {place}alembic_version") == [("r3",)]


class Application:
    """A client that reads a table all the time, and remembers its longest wait."""

    def __init__(self, url: URL) -> None:
        self._session = open_session(url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.longest = 0.0
        self.answers = 0

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            began = time.monotonic()
            self._session.rows("SELECT count(*) FROM items")
            self.longest = max(self.longest, time.monotonic() - began)
            self.answers += 1

    @contextmanager
    def works(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
            self._session.close()


@pytest.mark.slow
def test_a_busy_table_holds_the_application_no_longer_than_lock_timeout(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    """A transaction has the table for 20 s; queries that come behind the waiting DDL wait too."""
    url = any_database()
    rows(url, "CREATE TABLE items (id int)")
    project = small_project(
        tmp_path,
        f"""
        apps: {{packages: [apps]}}
        default_bind: main
        binds: {{main: {{url: {shown(url)}, lock_timeout: 2s, attempts: 30}}}}
        """,
    )
    project.revision("main", "m1", 'op.execute("ALTER TABLE items ADD COLUMN more int")')
    assert project.run("plan").code == 0
    keeper = open_session(url)
    keeper.batch(["BEGIN"])
    keeper.rows("SELECT * FROM items")
    application = Application(url)
    with application.works():
        process = project.start("upgrade", "--all")
        time.sleep(20)
        keeper.batch(["COMMIT"])
        said = ended(process)
    keeper.close()
    assert said.code == 0, said.all
    assert "main: lock timeout: attempt 2 of 30" in said.err, said.all
    # It did wait behind the DDL, and not longer than that waited itself.
    assert 1.0 < application.longest < 3.5
    assert application.answers > 20
    assert rows(url, "SELECT count(more) FROM items") == [(0,)]


def begun(project: SmallProject, server: RunningServer, *more: str) -> subprocess.Popen[str]:
    """A run in the middle of its targets."""
    assert project.run("plan").code == 0
    process = project.start("upgrade", "--all", "--log-format", "json", *more)
    assert process.stderr is not None
    ends = 0
    for line in process.stderr:
        ends += '"target-ended"' in line
        if ends == 3:
            break
    server.kill()
    return process


@pytest.mark.slow
def test_a_server_that_restarts_in_the_middle(
    tmp_path: Path, mortal: RunningServer, mortal_url: URL
) -> None:
    url = mortal_url
    tenants = [f"c{number}" for number in range(24)]
    project = fleet(tmp_path, url, tenants, pause=0.3)
    process = begun(project, mortal)
    time.sleep(2)
    mortal.start_again()
    said = ended(process)
    assert said.code == 0, said.all
    assert "connection lost: attempt 2 of 10" in said.err
    _all_once(url, tenants)


@pytest.mark.slow
def test_a_server_that_never_comes_back(
    tmp_path: Path, mortal: RunningServer, mortal_url: URL
) -> None:
    """It is waited for once, not once a target."""
    url = mortal_url
    tenants = [f"c{number}" for number in range(60)]
    project = fleet(tmp_path, url, tenants, pause=0.3)
    process = begun(project, mortal, "--attempts", "5")
    began = time.monotonic()
    said = ended(process)
    # 0.25 + 0.5 + 1 + 2 s, and 0.5 s at random on top of each.
    assert 3 < time.monotonic() - began < 20
    assert said.code == 1, said.all
    assert "FAILED" in said.out
    mortal.start_again()
    again = project.run("upgrade", "--all")
    assert again.code == 0, again.all
    _all_once(url, tenants)
