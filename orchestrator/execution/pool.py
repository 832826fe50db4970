"""Who runs the targets: a small interface, and the pool that runs one target at a time.

Enters: Jobs.  Leaves: Outcomes as they come, in order.  Alembic's proxies allow one running
migration in a process, so one worker thread runs the jobs while the caller's thread stays free to
hear signals and to draw.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Protocol

from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import OrchestratorError
from orchestrator.execution.apply import Job, apply
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.engines import make_engine, target_url
from orchestrator.fleet.types import Target

Work = tuple[Target, Callable[[], "Job | Outcome"]]
"""A target, and what makes its Job when its turn comes (states change while others run), or its
Outcome when there is nothing to run. It may raise an OrchestratorError."""


class Pool(Protocol):
    """What a run needs of whoever runs the targets."""

    def run(self, work: Iterable[Work]) -> Iterator[Outcome]:
        """Run everything, and give outcomes as they come."""

    def stop(self) -> None:
        """Let running targets end their step, and start nothing new."""

    def cancel(self) -> None:
        """Cancel the running statements on their servers."""


class SerialPool:
    """One target after the other.

    on_start hears of a target, on_step of each of its steps, on_end of its outcome before the next
    target starts; all three in the worker's thread.
    """

    def __init__(
        self,
        *,
        on_start: Callable[[Target], None] = lambda _target: None,
        on_step: Callable[[Target, str], None] = lambda _target, _revision: None,
        on_end: Callable[[Outcome], None] = lambda _outcome: None,
    ) -> None:
        self._on_start = on_start
        self._on_step = on_step
        self._on_end = on_end
        self._stopping = threading.Event()
        # Reentrant: a third signal may come while the second one's handler holds it.
        self._guard = threading.RLock()
        self._running: tuple[Target, Connection] | None = None

    def run(self, work: Iterable[Work]) -> Iterator[Outcome]:
        """Run each in turn; after stop() the rest come back as "not-started"."""
        outcomes: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()

        def worker() -> None:
            try:
                for target, prepare in work:
                    outcome = self._one(target, prepare)
                    self._on_end(outcome)
                    outcomes.put(outcome)
                outcomes.put(None)
            except BaseException as error:
                outcomes.put(error)

        threading.Thread(target=worker, name="orchestrator-pool", daemon=True).start()
        while True:
            try:
                # A short wait, because Python runs signal handlers in this thread only.
                outcome = outcomes.get(timeout=0.1)
            except queue.Empty:
                continue
            if outcome is None:
                return
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome

    def stop(self) -> None:
        """Let the running target end its step, and start nothing new."""
        self._stopping.set()

    def cancel(self) -> None:
        """Cancel the running statement on its server; its target then fails and is rolled back."""
        self.stop()
        with self._guard:
            running = self._running
        if running is None:
            return
        target, connection = running
        # It may end, or lose its connection, in this very moment: then there is nothing to cancel.
        with suppress(OrchestratorError, SQLAlchemyError, connection.dialect.loaded_dbapi.Error):
            driver = connection.connection.dbapi_connection
            if driver is None:
                return
            if connection.dialect.name == "postgresql":
                driver.cancel()
            else:
                _kill_query(target, driver.thread_id())

    def _one(self, target: Target, prepare: Callable[[], Job | Outcome]) -> Outcome:
        if self._stopping.is_set():
            return Outcome(target, "not-started")
        self._on_start(target)
        try:
            job = prepare()
        except OrchestratorError as error:
            problem = error.problems[0]
            return Outcome(
                target,
                "failed",
                failure=Failure(problem.what, where=problem.where, todo=problem.todo),
            )
        if isinstance(job, Outcome):
            return job
        return apply(
            job,
            on_step=lambda revision: self._on_step(target, revision),
            stopping=self._stopping.is_set,
            on_connection=lambda connection: self._remember(target, connection),
        )

    def _remember(self, target: Target, connection: Connection | None) -> None:
        with self._guard:
            self._running = None if connection is None else (target, connection)


def _kill_query(target: Target, thread: int) -> None:
    """MySQL cancels from a second session (MySQL 8.4 manual, 15.7.8.4 "KILL Statement")."""
    engine = make_engine(target_url(target))
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"KILL QUERY {int(thread)}")
    finally:
        engine.dispose()
