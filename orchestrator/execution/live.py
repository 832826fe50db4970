"""Live steps: revisions that need their connection, run through Alembic in worker processes.

Enters: a target and one step.  Leaves: an Outcome.  `alembic.op` and `alembic.context` are
process-global, so each worker runs one step at a time; it loads the project and its histories once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from alembic.runtime.migration import MigrationStep

from orchestrator.errors import OrchestratorError
from orchestrator.execution.apply import apply
from orchestrator.execution.project import Project
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.types import Target
from orchestrator.revisions.history import MigrationsFunction
from orchestrator.revisions.types import Direction


@dataclass(frozen=True, slots=True)
class LiveStep:
    """One revision, or a whole path in one transaction, to run live on a target.

    steps: revision ids with their direction, in order.
    """

    target: Target
    steps: tuple[tuple[str, Direction], ...]


class LiveWorkers:
    """The worker processes of one run. They start with the first live step."""

    def __init__(self, config_file: Path, root: Path, size: int) -> None:
        self._arguments = (config_file, root)
        self._size = max(1, min(size, os.cpu_count() or 1))
        self._guard = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None

    def run(self, step: LiveStep) -> Outcome:
        """Run one live step and wait for it; called from the thread that drives the target."""
        try:
            return self._submit(step).result()
        except BrokenProcessPool:
            self._replace()
            return Outcome(
                step.target,
                "failed",
                failure=Failure(
                    "the worker process that ran it was killed",
                    step.steps[0][0],
                    todo="Run the command again: what its transaction had not committed is gone.",
                ),
            )

    def _submit(self, step: LiveStep) -> Future[Outcome]:
        with self._guard:
            if self._executor is None:
                self._executor = ProcessPoolExecutor(
                    self._size,
                    # A forked child would inherit the threads' locks and connections.
                    multiprocessing.get_context("spawn"),
                    _start,
                    self._arguments,
                )
            return self._executor.submit(_run, step)

    def _replace(self) -> None:
        with self._guard:
            if self._executor is not None:
                self._executor.shutdown(wait=False, cancel_futures=True)
                self._executor = None

    def close(self) -> None:
        """End the workers; a step that runs is waited for."""
        with self._guard:
            if self._executor is not None:
                self._executor.shutdown(wait=True, cancel_futures=True)
                self._executor = None

    def kill(self) -> None:
        """End the workers at once; their servers roll back what was not committed."""
        with self._guard:
            processes = list((self._executor._processes or {}).values()) if self._executor else []
        for process in processes:
            process.kill()


_project: Project | None = None
"""The project of this worker process."""


def _start(config_file: Path, root: Path) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global _project
    _project = Project.open(config_file, root)


def _run(step: LiveStep) -> Outcome:
    assert _project is not None
    try:
        history = _project.history(step.target.bind.name)
        job = _project.job(step.target, exactly(_project, step), destination=step.steps[-1][0])
    except OrchestratorError as error:
        problem = error.problems[0]
        failure = Failure(problem.what, step.steps[0][0], problem.where, todo=problem.todo)
        return Outcome(step.target, "failed", failure=failure)
    assert job.history is history
    return apply(job)


def exactly(project: Project, step: LiveStep) -> MigrationsFunction:
    """The function that yields Alembic's steps for exactly these revisions."""
    script = project.history(step.target.bind.name).script
    make: dict[Direction, Callable[..., MigrationStep]] = {
        Direction.UPGRADE: MigrationStep.upgrade_from_script,
        Direction.DOWNGRADE: MigrationStep.downgrade_from_script,
    }
    return lambda _heads, _context: [
        make[direction](script.revision_map, script.get_revision(revision))  # type: ignore[misc]
        for revision, direction in step.steps
    ]
