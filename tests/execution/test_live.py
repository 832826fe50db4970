"""Live steps in worker processes: one that dies takes its own target along, and no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL

from orchestrator.execution.drive import footing_of
from orchestrator.execution.live import LiveWorkers
from orchestrator.execution.live_types import LiveRevision, LiveStep
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target
from orchestrator.revisions.types import Direction
from orchestrator.safety.owners import Owner
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.live_project import project_of
from tests.execution.replayed import PG

BODY = """
schema = op.get_bind().execute(sa.text("SELECT current_schema()")).scalar()
op.execute("CREATE TABLE made (id int)")
if schema == "killed":
    os.kill(os.getpid(), 9)
if schema == "gone":
    sys.exit(3)
if schema == "raises":
    raise ValueError("no % luck")
if schema.startswith("slow"):
    time.sleep(1.5)
"""


def fleet(root: Path, url: URL, *names: str) -> dict[str, Target]:
    """Tenants with schemas of their own, by name."""
    for name in names:
        rows(url, f"CREATE SCHEMA {name}")
    listed = f"tenancy: schema, tenants: {{list: [{', '.join(names)}]}}"
    _project, targets = project_of(root, url, [BODY], more=listed)
    return {str(target.tenant): target for target in targets}


def live(target: Target, states: tuple[tuple[str, ...], ...] = ((), ("r1",))) -> LiveStep:
    steps = (LiveRevision("r1", Direction.UPGRADE),)
    return LiveStep(target, footing_of(target, PG, Owner.here("test")), steps, states)


def made(url: URL) -> set[str]:
    query = "SELECT table_schema FROM information_schema.tables WHERE table_name = 'made'"
    return {row[0] for row in rows(url, query)}


def test_what_ends_a_target_ends_no_other(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    targets = fleet(tmp_path, url, "first", "killed", "gone", "raises", "last")
    workers = LiveWorkers(tmp_path / "databases.yaml", tmp_path, 1)
    try:
        found = {name: workers.run(live(target)) for name, target in targets.items()}
        again = workers.run(live(targets["first"]))
        moved = workers.run(live(targets["first"], ((), ("r2",))))
    finally:
        workers.close()
    assert {name: one.result for name, one in found.items()} == {
        "first": "done",
        "killed": "failed",
        "gone": "failed",
        "raises": "failed",
        "last": "done",
    }
    said = {name: one.failure for name, one in found.items() if one.failure}
    assert "was killed" in said["killed"].message
    assert said["killed"].revision == "r1"
    assert "SystemExit: 3" in said["gone"].message
    assert said["raises"].message == "ValueError: no % luck"
    assert "r1.py:" in said["raises"].where
    assert made(url) == {"first", "last"}
    assert (again.result, again.steps, again.after) == ("unchanged", (), ("r1",))
    assert moved.failure is not None
    assert "it stands at r1, and the plan was made for base" in moved.failure.message


def test_a_worker_that_dies_leaves_those_beside_it_alone(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    targets = fleet(tmp_path, url, "slow1", "killed", "last")
    workers = LiveWorkers(tmp_path / "databases.yaml", tmp_path, 2)
    found: dict[str, Outcome] = {}

    def run(name: str) -> None:
        found[name] = workers.run(live(targets[name]))

    threads = [threading.Thread(target=run, args=(name,)) for name in targets]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        workers.close()
    assert {name: one.result for name, one in found.items()} == {
        "slow1": "done",
        "killed": "failed",
        "last": "done",
    }
    assert made(url) == {"slow1", "last"}


def test_killing_ends_what_runs(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    targets = fleet(tmp_path, url, "slow1")
    workers = LiveWorkers(tmp_path / "databases.yaml", tmp_path, 1)
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(workers.run(live(targets["slow1"]))))
    thread.start()
    held = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
    end = time.monotonic() + 60
    while not rows(url, f"{held} AND datname = '{url.database}'")[0][0]:
        assert time.monotonic() < end
        time.sleep(0.05)
    workers.kill()
    thread.join(20)
    workers.close()
    assert [one.result for one in found] == ["failed"]
    assert made(url) == set()


def test_a_project_that_broke_meanwhile_fails_the_target(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    targets = fleet(tmp_path, pg_database(), "first")
    (tmp_path / "databases.yaml").write_text("binds: {")
    workers = LiveWorkers(tmp_path / "databases.yaml", tmp_path, 1)
    try:
        outcome = workers.run(live(targets["first"]))
    finally:
        workers.close()
    assert outcome.result == "failed"
    assert outcome.failure is not None
    assert "databases.yaml" in outcome.failure.where


def test_workers_that_were_not_needed_never_start(tmp_path: Path) -> None:
    workers = LiveWorkers(tmp_path / "databases.yaml", tmp_path, 8)
    workers.kill()
    workers.close()


def test_a_worker_ends_behind_its_step_when_its_run_was_killed(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url, said = pg_database(), tmp_path / "worker.pid"
    body = f"""
    many = op.get_bind().scalar(sa.text("SELECT 1"))
    with open({str(said)!r}, "w") as file:
        file.write(str(os.getpid() * many))
    time.sleep(1.5)
    op.execute("CREATE TABLE made (id int)")
    """
    project, _targets = project_of(tmp_path, url, [body, "pass"])
    with project.start("upgrade", "--all") as run:
        wait_until(lambda: said.exists() and said.read_text() != "")
        run.kill()
    wait_until(lambda: not Path("/proc", said.read_text()).exists())
    assert made(url) == {"public"}
    assert rows(url, "SELECT version_num FROM alembic_version") == [("r1",)]


def wait_until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 90  # For a machine that has much else to do.
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)
