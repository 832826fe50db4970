"""Stock Alembic beside orchestrator: the same locks, and nothing that was left half-done."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.config.load import load_config
from orchestrator.execution.drive import footing_of
from orchestrator.fleet.sessions import open_session
from orchestrator.fleet.targets import Selection, find_targets
from orchestrator.safety import journal
from orchestrator.safety.owners import Owner
from servers import PASSWORD
from tests.cli.small import Said, SmallProject, environment, rows, shown, small_project
from tests.conftest import DatabaseFactory
from tests.execution.replayed import MY, PG

INI = """\
[alembic]
script_location = %(here)s/migrations
version_locations = %(here)s/migrations/versions/main
path_separator = ;
"""
COUNTED = "op.execute('CREATE TABLE {0} (id int)')\nop.execute('UPDATE counts SET n = n + 1')\n"


class Site:
    """One target with two revisions that count how often they run."""

    def __init__(self, root: Path, url: URL, lock_wait: str = "30s") -> None:
        self.url = url
        bind = f"{{url: {shown(url)}, lock_wait: {lock_wait}}}"
        self.project: SmallProject = small_project(
            root, f"apps: {{packages: [apps]}}\ndefault_bind: main\nbinds:\n  main: {bind}\n"
        )
        self.project.write("alembic.ini", INI)
        for number, table in enumerate(("first", "second"), 1):
            after = f"r{number - 1}" if number > 1 else None
            self.project.revision("main", f"r{number}", COUNTED.format(table), after=after)
        rows(url, "CREATE TABLE counts (n int)")
        rows(url, "INSERT INTO counts VALUES (0)")
        config = load_config(root / "databases.yaml", environ={})
        self.target = find_targets(config, Selection(everything=True)).targets[0]
        flavour = PG if url.get_backend_name() == "postgresql" else MY
        self.footing = footing_of(self.target, flavour, Owner("other-run", "elsewhere", 4711))

    def start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """Start orchestrator or alembic."""
        return subprocess.Popen(
            [sys.executable, "-m", program, *arguments],
            cwd=self.project.root,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def alembic(self, *arguments: str) -> Said:
        """Run stock Alembic to its end."""
        return said(self.start("alembic", *arguments))

    def state(self) -> tuple[list[str], int]:
        """The version rows, and how many revisions have run."""
        versions = [row[0] for row in rows(self.url, "SELECT version_num FROM alembic_version")]
        return versions, rows(self.url, "SELECT n FROM counts")[0][0]

    @contextmanager
    def held(self) -> Iterator[None]:
        """The target's lock in somebody else's hands."""
        session = open_session(self.url)
        try:
            session.batch([*self.footing.settings, self.footing.lock.take])
            yield
        finally:
            session.close()


def said(process: subprocess.Popen[str]) -> Said:
    """What a program printed once it has ended."""
    out, err = process.communicate(timeout=120)
    found = Said(process.returncode, out, err)
    assert "Traceback" not in found.all, found.all
    assert PASSWORD not in found.all
    return found


def test_everybody_at_once_takes_each_step_once(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    site = Site(tmp_path, any_database())
    started = [
        site.start("orchestrator", "upgrade", "--all"),
        site.start("alembic", "upgrade", "head"),
        site.start("orchestrator", "upgrade", "--all"),
    ]
    for process in started:
        found = said(process)
        assert found.code == 0, found.all
    assert site.state() == (["r2"], 2)


def test_stock_alembic_waits_for_the_lock(tmp_path: Path, any_database: DatabaseFactory) -> None:
    site = Site(tmp_path, any_database())
    with site.held():
        process = site.start("alembic", "upgrade", "head")
        assert process.stderr is not None
        words = process.stderr.readline()
        assert "main: waiting for its lock, held by" in words
        if site.target.bind.family == "postgresql":
            assert "run other-run (pid 4711 on elsewhere)" in words
        assert rows(site.url, "SELECT n FROM counts") == [(0,)]
    assert said(process).code == 0
    assert site.state() == (["r2"], 2)


@pytest.mark.parametrize("verb", ["upgrade", "downgrade", "stamp"])
def test_a_lock_that_stays_held_ends_the_command(
    tmp_path: Path, any_database: DatabaseFactory, verb: str
) -> None:
    site = Site(tmp_path, any_database(), lock_wait="300ms")
    with site.held():
        found = site.alembic(verb, "base" if verb == "downgrade" else "head")
        assert found.code != 0
        assert "its lock was held for 0.3 s by" in found.all
        assert "orchestrator locks" in found.all
        assert site.alembic("current").code == 0
        assert site.alembic("history").code == 0
    assert rows(site.url, "SELECT n FROM counts") == [(0,)]


def test_the_lock_is_given_back(tmp_path: Path, any_database: DatabaseFactory) -> None:
    site = Site(tmp_path, any_database(), lock_wait="5s")
    for verb, to in (("upgrade", "r1"), ("stamp", "base"), ("stamp", "r1"), ("downgrade", "base")):
        found = site.alembic(verb, to)
        assert found.code == 0, found.all
    with site.held():
        pass


@pytest.mark.parametrize("verb", ["upgrade", "stamp"])
def test_what_is_half_done_is_left_to_orchestrator(
    tmp_path: Path, any_database: DatabaseFactory, verb: str
) -> None:
    site = Site(tmp_path, any_database())
    place, family = site.footing.place, site.footing.place.flavour.family
    rows(site.url, journal.create_journal(family, place.journal))
    header = journal.header("r1", "upgrade", "", ["CREATE TABLE first (id int)"], "me", live=False)
    begun = journal.row(header, 1, "ddl", "CREATE TABLE first (id int)", {})
    rows(site.url, journal.insert_rows(family, place.journal, [header, begun]))
    found = site.alembic(verb, "head")
    assert found.code != 0
    assert "it is half-way through `upgrade` of r1: stopped in statement 1 of 1" in found.all
    assert "orchestrator repair --bind main" in found.all
    assert site.alembic("current").code == 0
    assert rows(site.url, "SELECT n FROM counts") == [(0,)]


def test_stock_alembic_keeps_its_users_time_limits(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    site = Site(tmp_path, pg_database())
    rows(site.url, f'ALTER DATABASE "{site.url.database}" SET lock_timeout = 4321')
    site.project.revision(
        "main",
        "r3",
        "op.execute(\"CREATE TABLE told AS SELECT current_setting('lock_timeout') AS lasts,"
        " current_setting('application_name') AS name\")",
        after="r2",
    )
    assert site.alembic("upgrade", "head").code == 0
    lasts, name = rows(site.url, "SELECT lasts, name FROM told")[0]
    assert lasts == "4321ms"
    assert name.startswith("orchestrator - ")


def test_an_applications_long_transaction_is_waited_for_as_stock_alembic_does(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    site = Site(tmp_path, pg_database())
    session = open_session(site.url)
    session.batch(["BEGIN", "LOCK TABLE counts IN ACCESS EXCLUSIVE MODE"])
    ending = threading.Timer(7, session.close)  # Longer than the bind's lock_timeout.
    ending.start()
    began = time.monotonic()
    found = site.alembic("upgrade", "head")
    assert found.code == 0, found.all
    assert time.monotonic() - began > 6
    assert site.state() == (["r2"], 2)
