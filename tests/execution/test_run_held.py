"""A run that is held, and one that knows which binds failed before it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL

from orchestrator.execution.planner import Planner, Request
from orchestrator.execution.project import Project
from orchestrator.execution.run import Runner
from orchestrator.execution.types import Outcome
from orchestrator.fleet.targets import Selection
from orchestrator.planning.plan import Plan
from tests.cli.small import rows, shown, small_project
from tests.conftest import DatabaseFactory

BINDS = """
apps: {{packages: [apps]}}
default_bind: main
binds:
  main: {{url: {url}}}
  shop: {{url: {url}, apps: [], tenancy: schema, create: true, depends_on: [main],
    tenants: {{list: [{tenants}]}}}}
"""
TENANTS = [f"c{number}" for number in range(12)]


def planned(root: Path, url: URL) -> tuple[Project, Plan]:
    made = small_project(root, BINDS.format(url=shown(url), tenants=", ".join(TENANTS)))
    made.revision("main", "m1", 'op.execute("CREATE TABLE m (n integer)")')
    made.revision("shop", "s1", 'op.execute("CREATE TABLE s (n integer)")')
    project = Project.open(root / "databases.yaml", root)
    request = Request(Selection(everything=True), "upgrade", ("head",))
    return project, Planner.of(project, request).plan()


def outcomes(runner: Runner, plan: Plan) -> list[Outcome]:
    with closing(runner):
        return list(runner.run(plan))


def test_a_run_is_held_from_the_thread_of_a_target(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    """Whoever counts failures there lets no other target begin, and ends none."""
    url = pg_database()
    project, plan = planned(tmp_path, url)
    heard: list[tuple[str, str]] = []
    holders: list[Callable[[], None]] = []

    def on_end(outcome: Outcome) -> None:
        heard.append((outcome.target.id, threading.current_thread().name))
        if len(heard) == 3:
            holders[0]()

    runner = Runner(project, size=1, on_end=on_end)
    holders.append(runner.hold)
    found = outcomes(runner, plan)
    assert Counter(one.result for one in found) == {"done": 3, "not-started": 10}
    assert len(heard) == 3
    assert all(name.startswith("orchestrator-") for _target, name in heard)
    made = "SELECT count(*) FROM information_schema.tables WHERE table_name = 's'"
    assert rows(url, made) == [(2,)]


def test_nothing_of_a_later_stage_is_made_when_the_run_is_held(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    project, plan = planned(tmp_path, url)
    runner = Runner(project, size=4)
    runner.hold()
    found = outcomes(runner, plan)
    assert {one.result for one in found} == {"not-started"}
    assert rows(url, "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^c[0-9]+$'") == [(0,)]


def test_what_failed_before_counts(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project, plan = planned(tmp_path, url)
    runner = Runner(project, size=4, failed_binds=["main"])
    found = outcomes(runner, plan)
    results = {one.target.id: one.result for one in found}
    assert results.pop("main") == "done"
    assert set(results.values()) == {"failed"}
    assert dict(runner.waiting) == dict.fromkeys(_shop(results), "main")


def _shop(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith("shop/")]
