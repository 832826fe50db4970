"""Live steps: revisions that need their connection, run through Alembic in worker processes.

Enters: a target and one step.  Leaves: an Outcome.  `alembic.op` and `alembic.context` are
process-global, so each worker runs one step at a time; it loads the project and its histories once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.runtime.migration import MigrationStep

from orchestrator.errors import DatabaseError, OrchestratorError, Problem
from orchestrator.execution.apply import apply
from orchestrator.execution.project import Project
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.kept import KeptConnections
from orchestrator.fleet.types import Target
from orchestrator.revisions.history import MigrationsFunction
from orchestrator.revisions.types import Direction


@dataclass(frozen=True, slots=True)
class LiveStep:
    """One revision, or a whole path in one transaction, to run live on a target; or a stamp.

    steps: revision ids with their direction, in order. expected: the version table's rows before
    the first of them, sorted. stamp: revisions to set instead of running steps, for projects that
    want to be called then; purge: empty the version table first.
    """

    target: Target
    steps: tuple[tuple[str, Direction], ...]
    expected: tuple[str, ...]
    stamp: tuple[str, ...] = ()
    purge: bool = False

    @property
    def name(self) -> str:
        """The revision that a failure is told with, before Alembic has started one."""
        return self.steps[0][0] if self.steps else ", ".join(self.stamp)


class LiveWorkers:
    """The worker processes of one run. They start with the first live step.

    Each is an executor of its own: when a process dies, its executor fails everything it has.
    """

    def __init__(self, config_file: Path, root: Path, size: int) -> None:
        self._arguments = (config_file, root)
        self._slots = threading.BoundedSemaphore(max(1, min(size, os.cpu_count() or 1)))
        self._guard = threading.Lock()
        self._idle: list[ProcessPoolExecutor] = []
        self._busy: set[ProcessPoolExecutor] = set()

    def run(self, step: LiveStep) -> Outcome:
        """Run one live step and wait for it; called from the thread that drives the target."""
        with self._slots, self._lent() as worker:
            return self._run(worker, step)

    @contextmanager
    def _lent(self) -> Iterator[ProcessPoolExecutor]:
        with self._guard:
            worker = self._idle.pop() if self._idle else self._started()
            self._busy.add(worker)
        try:
            yield worker
        finally:
            with self._guard:
                self._busy.discard(worker)
                if not worker._broken:
                    self._idle.append(worker)

    def _started(self) -> ProcessPoolExecutor:
        # A forked child would inherit the threads' locks and connections.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, _start, self._arguments)

    def _run(self, worker: ProcessPoolExecutor, step: LiveStep) -> Outcome:
        try:
            return worker.submit(_run, step).result()
        except BrokenProcessPool:
            return Outcome(
                step.target,
                "failed",
                failure=Failure(
                    "the worker process that ran it was killed",
                    step.name,
                    todo="Run the command again: what its transaction had not committed is gone.",
                ),
            )

    def close(self) -> None:
        """End the workers; a step that runs is waited for."""
        with self._guard:
            workers = [*self._idle, *self._busy]
            self._idle.clear()
        for worker in workers:
            worker.shutdown(wait=True, cancel_futures=True)

    def kill(self) -> None:
        """End the workers at once; their servers roll back what was not committed."""
        with self._guard:
            workers = [*self._idle, *self._busy]
        for worker in workers:
            for process in list((worker._processes or {}).values()):
                process.kill()


_config: tuple[Path, Path] | None = None
_project: Project | None = None
"""The project of this worker process, and where it is."""


def _start(config_file: Path, root: Path) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global _config
    _config = config_file, root


_connections = KeptConnections()
"""The connections of this worker process."""


def _opened() -> Project:
    """The project, opened with the first step: what is wrong with it by now fails that target."""
    global _project
    if _project is None:
        assert _config is not None
        _project = Project.open(*_config)
    return _project


def _run(step: LiveStep) -> Outcome:
    try:
        project = _opened()
        if step.stamp:
            history = project.history(step.target.bind.name)
            job = project.job(step.target, history.stamp(step.stamp), purge=step.purge)
        else:
            job = project.job(step.target, exactly(project, step), destination=step.steps[-1][0])
    except OrchestratorError as error:
        problem = error.problems[0]
        failure = Failure(problem.what, step.name, problem.where, todo=problem.todo)
        return Outcome(step.target, "failed", failure=failure)
    return apply(job, _connections.connect)


def exactly(project: Project, step: LiveStep) -> MigrationsFunction:
    """The function that yields Alembic's steps for exactly these revisions."""
    script = project.history(step.target.bind.name).script
    make: dict[Direction, Callable[..., MigrationStep]] = {
        Direction.UPGRADE: MigrationStep.upgrade_from_script,
        Direction.DOWNGRADE: MigrationStep.downgrade_from_script,
    }

    def steps(heads: Any, _context: Any) -> Any:
        found = tuple(sorted(heads))
        if found != step.expected:
            raise DatabaseError(moved_problem(step.target, found, step.expected))
        return [
            make[direction](script.revision_map, script.get_revision(revision))
            for revision, direction in step.steps
        ]

    return steps


def moved_problem(target: Target, found: tuple[str, ...], expected: tuple[str, ...]) -> Problem:
    """A target that is not where its plan expects it."""
    at, wanted = (", ".join(rows) or "base" for rows in (found, expected))
    return Problem(
        f"it stands at {at}, and the plan was made for {wanted}: somebody else changed it",
        where=f"target {target.id}",
        todo="Run the command again to plan from where it is.",
    )
