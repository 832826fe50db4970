"""Projects whose revisions run live, driven without planning.

Enters: bodies of revision files. Leaves: a project, its targets, and what `drive` needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from orchestrator.config.load import load_config
from orchestrator.execution.drive import Drive, drive
from orchestrator.execution.live import LiveWorkers
from orchestrator.execution.sessions import SessionStore
from orchestrator.execution.types import Outcome
from orchestrator.fleet.targets import Selection, find_targets
from orchestrator.fleet.types import Target
from orchestrator.planning.plan import PlanStep
from orchestrator.safety.owners import Owner
from tests.cli.small import SmallProject, shown, small_project
from tests.execution.replayed import MY, PG

MAIN = """
apps: {{packages: [apps]}}
default_bind: main
binds:
  main: {{url: {url}{more}}}
"""


def project_of(
    root: Path, url: URL, bodies: Sequence[str], *, more: str = ""
) -> tuple[SmallProject, tuple[Target, ...]]:
    """One bind, `main`, with revisions r1, r2, ...; and its targets."""
    extra = f", {more}" if more else ""
    made = small_project(root, MAIN.format(url=shown(url), more=extra))
    for number, body in enumerate(bodies, 1):
        after = f"r{number - 1}" if number > 1 else None
        made.revision("main", f"r{number}", body, after=after, more="\nimport os, sys, time\n")
    config = load_config(root / "databases.yaml", environ={})
    return made, find_targets(config, Selection(everything=True)).targets


@contextmanager
def driving(root: Path, size: int = 1, **heard: object) -> Iterator[Drive]:
    """Sessions and workers for a project, closed at the end."""
    sessions, workers = SessionStore(), LiveWorkers(root / "databases.yaml", root, size)
    try:
        yield Drive(sessions, workers, Owner.here("test"), **heard)  # type: ignore[arg-type]
    finally:
        sessions.close()
        workers.close()


def driven(
    context: Drive, target: Target, steps: Sequence[PlanStep], state: Sequence[str] = ()
) -> Outcome:
    """Drive one target along steps."""
    url = target.server.url
    assert url is not None
    flavour = PG if url.get_backend_name() == "postgresql" else MY
    return drive(context, target, flavour, tuple(state), steps)
