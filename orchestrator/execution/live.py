"""Live steps: revisions that need their connection, run through Alembic in worker processes.

Enters: a target and its live steps.  Leaves: an Outcome.  `alembic.op` and `alembic.context` are
process-global, so each worker runs one step at a time; it loads the project and its histories once.
What a worker does with a step is in live_run.py.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path

from orchestrator.execution.live_types import LiveStep, Started
from orchestrator.execution.types import Failure, Outcome

_TIMES = 2
"""How often a step is run whose worker dies: it may have been the machine's memory, once."""

_LOOK = 0.2
"""Seconds between two looks at what a worker waits for."""


@dataclass(eq=False)
class _Worker:
    """A process, and the line to it: it says what it waits for, and hears when to stop waiting."""

    executor: ProcessPoolExecutor
    line: Connection
    task: Callable[[LiveStep], Outcome]
    broken: bool = field(default=False, init=False)

    def close(self) -> None:
        self.executor.shutdown(wait=True, cancel_futures=True)
        self.line.close()


class LiveWorkers:
    """The worker processes of one run. They start with the first live step.

    Each is an executor of its own: when a process dies, its executor fails everything it has.
    """

    def __init__(self, config_file: Path, root: Path, size: int) -> None:
        self._arguments = (config_file, root)
        self._slots = threading.BoundedSemaphore(max(1, min(size, os.cpu_count() or 1)))
        self._guard = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._killed = False

    def run(
        self,
        step: LiveStep,
        told: Callable[[str], None] = lambda _words: None,
        stopping: Callable[[], bool] = lambda: False,
        started: Callable[[str], None] = lambda _revision: None,
    ) -> Outcome:
        """Run live steps of one target and wait for them; called from the thread that drives it.

        told: hears what the target waits for. started: hears the revision of each step behind the
        first. stopping: whether the run was asked to stop: then nothing is waited for any more,
        nor tried again.

        When the worker dies they are run once more, in another one: what its transaction had not
        committed is gone, and what the server had committed by itself stands in the journal.
        """

        def hear(said: str | Started) -> None:
            if isinstance(said, Started):
                started(said.revision)
            else:
                told(said)

        for attempt in range(1, _TIMES + 1):
            with self._slots, self._lent() as worker:
                outcome = self._run(worker, step, hear, stopping)
            if outcome is not None:
                return replace(outcome, attempts=outcome.attempts + attempt - 1)
            if self._killed or stopping():
                break
            told("its worker process was killed")
        return Outcome(
            step.target,
            "failed",
            failure=Failure(
                "the worker process that ran it was killed",
                step.name,
                todo="Run the command again: it looks at what is there, and goes on from it.",
            ),
            attempts=attempt,
        )

    @contextmanager
    def _lent(self) -> Iterator[_Worker]:
        with self._guard:
            worker = self._idle.pop() if self._idle else self._started()
            self._busy.add(worker)
        try:
            yield worker
        finally:
            with self._guard:
                self._busy.discard(worker)
                if not worker.broken:
                    self._idle.append(worker)
            if worker.broken:
                worker.close()

    def _started(self) -> _Worker:
        # Few runs have live steps, and start-up is short of time.
        from orchestrator.execution.live_run import run_in_worker, start_worker

        # A forked child would inherit the threads' locks and connections.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = (*self._arguments, theirs)
        executor = ProcessPoolExecutor(1, context, start_worker, arguments)
        return _Worker(executor, ours, run_in_worker)

    def _run(
        self,
        worker: _Worker,
        step: LiveStep,
        hear: Callable[[str | Started], None],
        stopping: Callable[[], bool],
    ) -> Outcome | None:
        """What became of a step; None when the worker died."""
        try:
            running = worker.executor.submit(worker.task, step)
            self._listen(worker, running, hear, stopping)
            return running.result()
        except BrokenProcessPool:
            worker.broken = True
            return None

    def _listen(
        self,
        worker: _Worker,
        running: Future[Outcome],
        hear: Callable[[str | Started], None],
        stopping: Callable[[], bool],
    ) -> None:
        asked = done = False
        while not done:
            done = bool(wait([running], _LOOK).done)
            with suppress(OSError, EOFError):  # Then it has died, and `running` says so.
                while worker.line.poll():
                    hear(worker.line.recv())
                if not done and stopping() and not asked:
                    asked = True
                    worker.line.send("stop")

    def close(self) -> None:
        """End the workers; a step that runs is waited for."""
        with self._guard:
            workers = [*self._idle, *self._busy]
            self._idle.clear()
        for worker in workers:
            worker.close()

    def kill(self) -> None:
        """End the workers at once; their servers roll back what was not committed."""
        self._killed = True
        with self._guard:
            workers = [*self._idle, *self._busy]
        for worker in workers:
            for process in list((worker.executor._processes or {}).values()):
                process.kill()
