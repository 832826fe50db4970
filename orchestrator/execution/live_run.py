"""What a worker process does with live steps: stand in the target with its lock, and run them.

Enters: a LiveStep.  Leaves: an Outcome.  As with compiled steps, trying again is what the next run
would do: take the lock, look at what is there, and go on from it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection as Line
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from alembic.runtime.migration import MigrationStep
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from orchestrator.errors import DatabaseError, OrchestratorError
from orchestrator.execution import telling
from orchestrator.execution.apply import Trace, failure_of, rows_again, rows_of, run_job
from orchestrator.execution.live_between import Between, reads_as_recorded
from orchestrator.execution.live_journal import StepJournal
from orchestrator.execution.live_limit import limited, told
from orchestrator.execution.live_passing import refused, same_connection, why_again
from orchestrator.execution.live_rows import half_applied_in
from orchestrator.execution.live_types import LiveRevision, LiveStep, Started, moved_problem
from orchestrator.execution.patience import Patience
from orchestrator.execution.project import Project
from orchestrator.execution.replay.types import Dirty, Footing, Locked, ReplayFailed, Waits
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.borrowed import borrowed, send
from orchestrator.fleet.kept import KeptConnections
from orchestrator.fleet.sessions import SendError
from orchestrator.planning.halfway import halted
from orchestrator.revisions.types import Direction
from orchestrator.safety.holders import holder_words
from orchestrator.safety.journal import HalfApplied
from orchestrator.safety.locks import is_held

_config: tuple[Path, Path] | None = None
_project: Project | None = None
"""The project of this worker process, and where it is."""

_line: Line | None = None
"""Where this worker process says what it waits for, and hears that it shall not wait."""

_busy = threading.Lock()
"""Held while a step runs."""

_connections = KeptConnections()
"""The connections of this worker process."""


def start_worker(config_file: Path, root: Path, line: Line) -> None:
    """The first thing in a worker process."""
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global _config, _line
    _config, _line = (config_file, root), line
    threading.Thread(target=_end_with_parent, name="orchestrator-parent", daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose run was killed ends too, behind the step that it is in: what that step would
    leave half-way is not made worse by waiting for it. Nothing else tells a worker (it holds both
    ends of the pipe that its work comes through)."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        with _busy:
            os._exit(1)


def run_in_worker(step: LiveStep) -> Outcome:
    """Run live steps in this worker process. Never raises for what a target or a project does."""
    with _busy:
        try:
            work = _Work(_opened(), step)
        except OrchestratorError as error:
            problem = error.problems[0]
            failure = Failure(problem.what, step.name, problem.where, todo=problem.todo)
            return Outcome(step.target, "failed", failure=failure)
        return work.outcome()


def _opened() -> Project:
    """The project, opened with the first step: what is wrong with it by now fails that target."""
    global _project
    if _project is None:
        assert _config is not None
        _project = Project.open(*_config)
    return _project


def _tell(words: str | Started) -> None:
    with suppress(OSError):
        if _line is not None:
            _line.send(words)


def _stopping() -> bool:
    """Whether the run was asked to stop. The word stays in the line: nothing new starts then."""
    with suppress(OSError):
        return _line is not None and _line.poll()
    return True


def _pause(seconds: float) -> None:
    with suppress(OSError):
        if _line is not None:
            _line.poll(seconds)
            return
    time.sleep(seconds)


class _Work:
    """Live steps on their way. `at`: how many of them stand in the version table."""

    def __init__(self, project: Project, step: LiveStep) -> None:
        self._project = project
        self._step = step
        self._history = project.history(step.target.bind.name)
        self._patience = Patience(step.target.bind, _stopping, _tell, _pause)
        self._trace = Trace()
        self._begun: tuple[str, ...] | None = None
        self._at = 0
        self._taken: list[str] = []
        self._statements = 0
        self._failure: Failure | None = None
        self._between = Between(step.target, step.footing)
        self._whole = step.target.bind.transaction == "path"
        self._reached = step.known
        migrations = self._history.stamp(step.stamp) if step.stamp else self._steps
        last = step.steps[-1].revision if step.steps else ""
        self._job = project.job(step.target, migrations, destination=last, purge=step.purge)
        self._connection: Connection | None = None
        self._driver: object = None
        self._half: HalfApplied | None = None
        self._sending: LiveRevision | None = None

    def outcome(self) -> Outcome:
        """Run them, and tell what became of it."""
        started = time.monotonic()
        failure: Failure | None
        after, lost = None, False
        try:
            after = self._patience.persist(self._attempt, lambda: self._at)
            failure = None
        except (Exception, SystemExit) as error:
            # SystemExit: a revision that calls sys.exit() ends its own target, not the whole run.
            failure = self._told(error)
            lost = isinstance(error, ReplayFailed) and error.passing == "connection lost"
        if after is None:
            after = rows_again(self._job, self._trace.before)
        self._credit(after)
        taken = tuple(self._trace.done if self._step.stamp else self._taken)
        return Outcome(
            self._step.target,
            "failed" if failure else "done" if taken else "unchanged",
            tuple(sorted(self._trace.before)) if self._begun is None else self._begun,
            after,
            taken,
            failure,
            time.monotonic() - started,
            self._statements,
            attempts=self._patience.attempts,
            waited=self._patience.waited,
            lost=lost,
        )

    def _told(self, error: Exception | SystemExit) -> Failure:
        if isinstance(error, Locked):
            return telling.held(self._step.target.bind, error)
        if isinstance(error, Dirty):
            file = self._trace.path
            if self._history.knows(error.half.revision):
                file = self._history.script.get_revision(error.half.revision).path
            return telling.dirty(self._step.target, error, file)
        if isinstance(error, ReplayFailed):
            return self._failure or Failure(error.message, self._step.name)
        failure = failure_of(error, self._trace, self._history)
        return told(failure, error, self._step.target.bind.statement_timeout)

    def _attempt(self) -> tuple[str, ...]:
        self._failure = self._sending = None
        with self._standing() as connection:
            self._connection = connection
            try:
                return self._taken_on(connection)
            except Exception as error:
                self._passes(connection, error)
                raise

    def _taken_on(self, connection: Connection) -> tuple[str, ...]:
        """Take the steps that are left; gives the version table's rows."""
        self._driver = connection.connection.dbapi_connection
        self._half = half_applied_in(connection, self._step.footing.place)
        if self._step.stamp and self._half is not None:
            raise Dirty(self._half, halted(self._step.target, self._half).what)
        with limited(connection, self._step.target.bind.statement_timeout):
            run_job(self._job, connection, self._trace)
        if self._whole:
            self._passed(self._step.steps[self._at :])
        return rows_of(connection, self._job)

    def _passed(self, steps: Sequence[LiveRevision]) -> None:
        """These are committed."""
        self._taken += [one.revision for one in steps]
        self._statements += sum(len(one.statements) for one in steps)
        self._at += len(steps)

    def _passes(self, connection: Connection, error: Exception) -> None:
        """Raise ReplayFailed for what passes by itself, and for a compiled step's refusal."""
        sent = error if isinstance(error, SendError) else None
        error, why, lost = why_again(connection, error)
        if sent is not None and self._sending is not None and not lost:
            expected = self._step.states[self._at]
            told = (connection, expected, self._sending, sent, self._trace.path)
            self._failure = self._between.refused(*told)
            raise ReplayFailed(
                self._failure.message, self._failure.statement, lost=False, passing=why
            ) from error
        if why is not None:
            self._failure = failure_of(error, self._trace, self._history)
            raise ReplayFailed(
                self._failure.message, self._failure.statement, lost=lost, passing=why
            ) from error

    @contextmanager
    def _standing(self) -> Iterator[Connection]:
        """A connection that stands in the target with its lock. Raises Locked and ReplayFailed."""
        footing = self._step.footing
        also = [*footing.settings, footing.lock.take]
        with self._connected(also) as connection:
            try:
                yield connection
            finally:
                _leave(connection, footing)

    @contextmanager
    def _connected(self, also: list[str]) -> Iterator[Connection]:
        entered = _connections.connect(self._step.target, also)
        try:
            connection = entered.__enter__()
        except (DBAPIError, SendError, DatabaseError) as error:
            raise self._refused(error) from error
        self._reached = True
        try:
            yield connection
        finally:
            entered.__exit__(None, None, None)

    def _refused(self, error: Exception) -> Exception:
        """Why there is no connection that stands in the target with its lock."""
        if isinstance(error, SendError) and is_held(error, self._step.footing.lock):
            return Locked(_holder(self._step))
        return refused(self._step.target, error, known=self._reached)

    def _credit(self, rows: tuple[str, ...]) -> None:
        """Note how far the version table says that the steps have come."""
        states = enumerate(self._step.states)
        found = [at for at, state in states if at >= self._at and state == rows]
        if not found:
            return
        passed = self._step.steps[self._at : found[0]]
        self._taken += [one.revision for one in passed if one.revision in self._trace.done]
        self._at = found[0]
        self._trace.done.clear()

    def _steps(self, heads: Any, _context: Any) -> Any:
        """The function that yields Alembic's steps for what is left of exactly these revisions."""
        assert self._connection is not None
        same_connection(self._connection, self._driver)
        found = tuple(sorted(heads))
        self._begun = found if self._begun is None else self._begun
        if found not in self._step.states[self._at :]:
            raise DatabaseError(
                moved_problem(self._step.target, found, self._step.states[self._at])
            )
        self._credit(found)
        rest = self._step.steps[self._at :]
        if self._half is not None and not (rest and _is(self._half, rest[0])):
            raise Dirty(self._half, halted(self._step.target, self._half).what)
        if self._half is not None and rest[0].compiled is not None:
            return []  # Whoever replays it knows how to go on with it.
        return self._one_by_one(rest)

    def _one_by_one(self, rest: Sequence[LiveRevision]) -> Iterator[MigrationStep]:
        """Alembic's steps. It asks for the next one when it has committed the one before."""
        assert self._connection is not None
        for place, one in enumerate(rest):
            if place and self._step.afresh:
                if _stopping():
                    return
                _tell(Started(one.revision))
            if one.compiled is not None and not reads_as_recorded(self._connection):
                return
            yield self._made(one, first=place == 0)
            if not self._whole:
                self._passed([one])

    def _made(self, one: LiveRevision, *, first: bool) -> MigrationStep:
        """Alembic's step, whose function is watched by the journal, or not run at all."""
        script = self._history.script
        make: dict[Direction, Callable[..., MigrationStep]] = {
            Direction.UPGRADE: MigrationStep.upgrade_from_script,
            Direction.DOWNGRADE: MigrationStep.downgrade_from_script,
        }
        revision = script.get_revision(one.revision)
        made: Any = make[one.direction](script.revision_map, revision)
        if one.compiled is not None:
            made.migration_fn = lambda **_given: self._send(one)
            return made  # type: ignore[no-any-return]
        half = self._half if self._half is not None and _is(self._half, one) else None
        resumable = getattr(revision.module, "resumable", False) is True
        assert self._connection is not None
        journal = StepJournal(
            self._connection,
            self._step.footing,
            (one.revision, one.direction, one.source),
            half,
            Waits(self._patience.told, _stopping, self._patience.sleep),
            resumable=resumable,
        )
        function = made.migration_fn

        def watched(**given: Any) -> None:
            if self._step.afresh and not first:
                self._begin(one)
            journal.run(lambda: function(**given))

        made.migration_fn = watched
        return made  # type: ignore[no-any-return]

    def _begin(self, one: LiveRevision) -> None:
        assert self._connection is not None
        self._sending = one
        self._between.begin(self._connection, self._step.states[self._at])
        self._sending = None

    def _send(self, one: LiveRevision) -> None:
        assert self._connection is not None
        same_connection(self._connection, self._driver)
        self._sending = one
        self._between.send(self._connection, self._step.states[self._at], one)
        self._sending = None


def _is(half: HalfApplied, one: LiveRevision) -> bool:
    return (half.revision, half.direction) == (one.revision, one.direction)


def _leave(connection: Connection, footing: Footing) -> None:
    """Give the lock back. Never fails: a session that is lost loses it."""
    try:
        if not connection.invalidated:
            connection.rollback()
            send(connection, [footing.lock.give_back])
    except (SQLAlchemyError, SendError):
        connection.invalidate()


def _holder(step: LiveStep) -> str:
    """Who holds the target's lock, asked on a connection of its own."""
    with (
        suppress(OrchestratorError, SQLAlchemyError, SendError),
        _connections.connect(step.target) as connection,
        borrowed(connection) as session,
    ):
        return holder_words(session, step.footing.lock)
    return "another session"
