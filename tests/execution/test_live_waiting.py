"""Live steps wait for locks, try again what passes, and survive a worker that dies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.execution.drive import footing_of, in_worker
from orchestrator.execution.live import LiveWorkers
from orchestrator.execution.live_types import LiveRevision, LiveStep
from orchestrator.execution.types import Outcome
from orchestrator.fleet.sessions import open_session
from orchestrator.fleet.types import Target
from orchestrator.revisions.types import Direction
from orchestrator.safety.locks import builds_lock
from orchestrator.safety.owners import Owner
from servers import RunningServer
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.live_project import driving, project_of
from tests.execution.replayed import MY, PG

TAKES = (
    "op.execute('CREATE TABLE made (id int)')\n"
    "op.execute('ALTER TABLE busy ADD COLUMN note varchar(20)')\n"
    "op.execute('UPDATE counts SET n = n + 1')"
)
LASTS = "UPDATE counts SET n = CASE current_setting('lock_timeout') WHEN '1s' THEN 1 ELSE 99 END"
DIES = "op.execute('CREATE TABLE made (id int)')\nop.execute('UPDATE counts SET n = n + 1')\n"


class Site:
    """One target, whose revision r1 runs in a worker."""

    def __init__(self, root: Path, url: URL, body: str, limits: str) -> None:
        self.url, self.root = url, root
        _project, targets = project_of(root, url, [body.replace("LASTS", repr(LASTS))], more=limits)
        self.target: Target = targets[0]
        self.flavour = PG if url.get_backend_name() == "postgresql" else MY
        self.words: list[str] = []
        for text in (
            "CREATE TABLE busy (id int)",
            "CREATE TABLE counts (n int)",
            "INSERT INTO counts VALUES (0)",
        ):
            rows(url, text)

    @property
    def step(self) -> LiveStep:
        """r1, as a run has it done."""
        footing = footing_of(self.target, self.flavour, Owner.here("this-run"))
        steps = (LiveRevision("r1", Direction.UPGRADE, "digest"),)
        return LiveStep(self.target, footing, steps, ((), ("r1",)))

    def run(self) -> Outcome:
        """Run r1, as a run does."""
        workers = LiveWorkers(self.root / "databases.yaml", self.root, 1)
        try:
            return workers.run(self.step, self.words.append)
        finally:
            workers.close()

    @contextmanager
    def held(self, *texts: str, until: str) -> Iterator[None]:
        """Another session that has said these texts, until some words were told."""
        session = open_session(self.url)
        session.batch(texts)
        ended = threading.Event()

        def give_back() -> None:
            while not ended.wait(0.05):
                if any(until in one for one in self.words):
                    break
            session.close()

        thread = threading.Thread(target=give_back)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def found(self) -> tuple[int, list[str]]:
        """How often r1 has run, and the version rows."""
        versions = rows(self.url, "SELECT version_num FROM alembic_version")
        return rows(self.url, "SELECT n FROM counts")[0][0], [row[0] for row in versions]


def test_a_table_that_is_held_is_tried_again(tmp_path: Path, any_database: DatabaseFactory) -> None:
    site = Site(tmp_path, any_database(), TAKES, "lock_timeout: 1s, attempts: 10")
    begin = ["BEGIN", "SELECT * FROM busy"]
    with site.held(*begin, until="lock timeout: attempt 2 of 10"):
        outcome = site.run()
    assert outcome.failure is None, outcome
    assert outcome.attempts > 1
    assert outcome.waited > 0
    assert site.found() == (1, ["r1"])


def test_the_targets_lock_is_waited_for(tmp_path: Path, any_database: DatabaseFactory) -> None:
    site = Site(tmp_path, any_database(), TAKES, "lock_wait: 60s")
    other = footing_of(site.target, site.flavour, Owner("other-run", "elsewhere", 4711))
    with site.held(*other.settings, other.lock.take, until="waiting for its lock"):
        outcome = site.run()
    assert outcome.failure is None, outcome
    assert outcome.waited > 0
    if site.flavour is PG:
        assert "run other-run (pid 4711 on elsewhere)" in site.words[0]
    assert site.found() == (1, ["r1"])


def test_a_lock_that_stays_held_is_told(tmp_path: Path, any_database: DatabaseFactory) -> None:
    site = Site(tmp_path, any_database(), TAKES, "lock_wait: 300ms")
    lock = footing_of(site.target, site.flavour, Owner.here()).lock
    with site.held(lock.take, until="never"):
        outcome = site.run()
    assert outcome.failure is not None
    assert outcome.failure.message.startswith("its lock was held for 0.3 s by ")
    assert rows(site.url, "SELECT n FROM counts") == [(0,)]


def test_a_worker_that_dies_once_is_replaced(tmp_path: Path, any_database: DatabaseFactory) -> None:
    dies = f"""
if not os.path.exists({str(tmp_path / "died")!r}):
    open({str(tmp_path / "died")!r}, "w").close()
    os.kill(os.getpid(), 9)
"""
    site = Site(tmp_path, any_database(), DIES + dies, "lock_wait: 60s")
    outcome = site.run()
    assert outcome.failure is None, outcome
    assert outcome.attempts == 2
    assert site.words[0] == "its worker process was killed"
    assert site.found() == (1, ["r1"])


@pytest.mark.parametrize("failing", [False, True], ids=["waits", "fails"])
def test_a_concurrent_build_has_its_turn(
    tmp_path: Path, pg_database: DatabaseFactory, failing: bool
) -> None:
    body = (
        "with op.get_context().autocommit_block():\n"
        "    op.create_index('ix_busy', 'busy', ['id'], unique=True,"
        " postgresql_concurrently=True)\n"
        "op.execute(LASTS)"
    )
    site = Site(tmp_path, pg_database(), body, "lock_timeout: 1s")
    if failing:
        rows(site.url, "INSERT INTO busy VALUES (7), (7)")
    with site.held(builds_lock().take, until="one CONCURRENTLY statement at a time"):
        outcome = site.run()
    assert any("waiting for" in one for one in site.words)
    if failing:
        assert outcome.failure is not None
        assert "could not create unique index" in outcome.failure.message
        rows(site.url, "TRUNCATE busy")
        outcome = site.run()
    assert outcome.failure is None, outcome
    assert site.found() == (1, ["r1"])
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_busy'::regclass"
    assert rows(site.url, valid) == [(True,)]


@pytest.mark.slow
def test_a_server_that_is_gone_before_a_worker_has_seen_it(
    tmp_path: Path, mortal: RunningServer, mortal_url: URL
) -> None:
    """The run has seen it, so it is waited for."""
    site = Site(tmp_path, mortal_url, TAKES, "attempts: 10")

    def heard(_target: Target, words: str) -> None:
        site.words.append(words)
        if "connection lost: attempt 2 of 10" in words:
            mortal.start_again()

    with driving(tmp_path, on_wait=heard) as context:
        context.sessions.reached(site.target)
        mortal.kill()
        outcome = in_worker(context, site.step)
    assert outcome.failure is None, (outcome, site.words)
    assert site.found() == (1, ["r1"])


@pytest.mark.slow
def test_a_server_that_stays_away_is_waited_for_once(
    tmp_path: Path, mortal: RunningServer, mortal_url: URL
) -> None:
    site = Site(tmp_path, mortal_url, TAKES, "attempts: 3")
    with driving(tmp_path) as context:
        context.sessions.reached(site.target)
        mortal.kill()
        for attempts in (3, 1):
            outcome = in_worker(context, site.step)
            assert outcome.failure is not None
            assert outcome.attempts == attempts, outcome
        assert not context.sessions.known(site.target)
        mortal.start_again()
        outcome = in_worker(context, site.step)
        assert outcome.failure is None, outcome
        assert context.sessions.known(site.target)
    assert site.found() == (1, ["r1"])


READS_AND_DIES = """
known = op.get_bind().execute(sa.text("SELECT count(*) FROM counts")).scalar()
op.execute("CREATE TABLE IF NOT EXISTS made (id int)")
op.execute("CREATE TABLE IF NOT EXISTS done (id int)")
if not os.path.exists("died"):
    open("died", "w").close()
    os.kill(os.getpid(), 9)
op.execute(f"UPDATE counts SET n = n + {known}")
"""


@pytest.mark.parametrize("resumable", [True, False], ids=["resumable", "dirty"])
def test_a_run_whose_worker_died_half_way_on_mysql(
    tmp_path: Path, my_database: DatabaseFactory, resumable: bool
) -> None:
    url = my_database()
    project, _targets = project_of(tmp_path, url, [])
    promise = "\nresumable = True\n" if resumable else ""
    project.revision("main", "r1", READS_AND_DIES, more=f"\nimport os\n{promise}")
    rows(url, "CREATE TABLE counts (n int)")
    rows(url, "INSERT INTO counts VALUES (0)")
    said = project.run("upgrade", "--all")
    left = rows(url, "SELECT count(*) FROM orchestrator_journal")[0][0]
    if resumable:
        assert said.code == 0, said.all
        assert rows(url, "SELECT n FROM counts") == [(1,)]
        assert left == 0
        return
    for again in (said, project.run("upgrade", "--all")):
        assert again.code == 1, again.all
        assert "dirty: it runs live and read what the database held" in again.all
        assert "orchestrator repair --bind main" in again.all
    assert left > 1
    assert rows(url, "SELECT n FROM counts") == [(0,)]
