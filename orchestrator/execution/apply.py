"""One target: bring its version table and schema to a destination, through Alembic's public API.

Enters: a target, its bind's history, and the options of the project's env.py.
Leaves: an Outcome; a failure is in it, never raised.  Only one thread of a process may be in here:
`alembic.op` and `alembic.context` are process-global.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from alembic.config import Config as AlembicConfig
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import RevisionStep, StampStep
from alembic.util import CommandError
from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from orchestrator.config import Bind
from orchestrator.errors import OrchestratorError
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.engines import connect, driver_message, first_line
from orchestrator.fleet.sessions import SendError
from orchestrator.fleet.types import Target
from orchestrator.revisions.history import History, MigrationsFunction

ALEMBICS_LENGTH = 32
"""The width of version_num in the table that Alembic makes by itself."""


@dataclass(frozen=True)
class Job:
    """What to do to one target.

    migrations: the function that yields Alembic's steps (History.upgrade and its kin).
    options: configure()'s keyword arguments (revisions.options.configure_options).
    purge: empty the version table first (stamp --purge).
    """

    target: Target
    history: History
    alembic: AlembicConfig
    migrations: MigrationsFunction
    options: dict[str, Any]
    destination: str = ""
    purge: bool = False


@dataclass
class Trace:
    """Where a target is while it runs: what a failure is told with. before: the version table's
    rows that Alembic found. done: revisions whose turn has passed."""

    before: tuple[str, ...] = ()
    done: list[str] = field(default_factory=list)
    current: str = ""
    path: str = ""
    statement: str = ""


def apply(job: Job) -> Outcome:
    """Run one job on a connection of its own, where nobody else can be: a scratch database."""
    started = time.monotonic()
    trace = Trace()
    try:
        with connect(job.target) as connection:
            run_job(job, connection, trace)
            after = rows_of(connection, job)
    except (Exception, SystemExit) as error:
        # SystemExit: a revision that calls sys.exit() ends its own target, not the whole run.
        return _failed(job, trace, started, failure_of(error, trace, job.history))
    return Outcome(
        job.target,
        "done" if trace.done else "unchanged",
        trace.before,
        after,
        tuple(trace.done),
        seconds=time.monotonic() - started,
    )


def _failed(job: Job, trace: Trace, started: float, failure: Failure) -> Outcome:
    """The outcome of a target that failed on the way; its state is read again where it can be."""
    after = rows_again(job, trace.before)
    # With one transaction for the whole path, steps that were taken are gone with it.
    steps = tuple(trace.done) if after != trace.before else ()
    seconds = time.monotonic() - started
    return Outcome(job.target, "failed", trace.before, after, steps, failure, seconds)


def rows_again(job: Job, known: tuple[str, ...]) -> tuple[str, ...]:
    """The rows of a target's version table, on a new connection; those that are known when it
    cannot be had: the failure that is told already says more than this one would."""
    with suppress(OrchestratorError, SQLAlchemyError), connect(job.target) as connection:
        return rows_of(connection, job)
    return known


def run_job(job: Job, connection: Connection, trace: Trace) -> None:
    """Run a job on a connection that stands in its target. Raises whatever a revision raises."""

    def traced(heads: Any, context: Any) -> Iterable[RevisionStep | StampStep]:
        trace.before = tuple(heads)
        for step in job.migrations(heads, context):
            trace.current, trace.path = _named(step)
            yield step
            # Alembic asks for the next step after it has committed this one.
            trace.done.append(trace.current)
            trace.current = trace.path = trace.statement = ""

    event.listen(connection, "before_cursor_execute", _remember(trace))
    with EnvironmentContext(
        job.alembic,
        job.history.script,
        fn=traced,
        destination_rev=job.destination,
        purge=job.purge,
    ) as environment:
        ensure_version_table(connection, job.target.bind, job.target.schema)
        environment.configure(connection=connection, **job.options)
        with environment.begin_transaction():
            environment.run_migrations()


def _named(step: RevisionStep | StampStep) -> tuple[str, str]:
    if isinstance(step, RevisionStep):
        return step.revision.revision, step.revision.path
    names = step.to_revisions_no_deps or step.from_revisions_no_deps
    return ", ".join(names), ""


def _remember(trace: Trace) -> Callable[..., None]:
    def before_cursor_execute(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        trace.statement = statement

    return before_cursor_execute


def ensure_version_table(connection: Connection, bind: Bind, schema: str | None) -> None:
    """Make the version table where the bind asks for a wider version_num than Alembic makes.

    An existing table stays as it is, whatever its width. The caller's connection is left outside a
    transaction.
    """
    if bind.version_num_length == ALEMBICS_LENGTH:
        return
    version_table(bind, schema).create(connection, checkfirst=True)
    connection.commit()


def version_table(bind: Bind, schema: str | None) -> Table:
    """The version table as Alembic defines it (alembic/ddl/impl.py), as wide as the bind says."""
    return Table(
        bind.version_table,
        MetaData(),
        Column("version_num", String(bind.version_num_length), nullable=False),
        PrimaryKeyConstraint("version_num", name=f"{bind.version_table}_pkc"),
        schema=schema,
    )


def rows_of(connection: Connection, job: Job) -> tuple[str, ...]:
    """The rows of the version table now, () when there is none."""
    table = version_table(job.target.bind, job.target.schema)
    if not connection.dialect.has_table(connection, table.name, schema=table.schema):
        return ()
    return tuple(sorted(connection.execute(table.select()).scalars()))


def failure_of(error: Exception | SystemExit, trace: Trace, history: History) -> Failure:
    """Tell an exception: the server's own words, the statement, and the line in the revision."""
    where = _line_in(error, trace.path) if trace.path else ""
    if isinstance(error, DBAPIError):
        return Failure(
            first_line(error), trace.current, where, (error.statement or trace.statement).strip()
        )
    if isinstance(error, SendError):
        statement = error.statement or trace.statement
        return Failure(driver_message(error.error), trace.current, where, statement.strip())
    if isinstance(error, OrchestratorError):
        problem = error.problems[0]
        return Failure(problem.what, trace.current, where or problem.where, todo=problem.todo)
    if isinstance(error, CommandError):
        return Failure(
            str(error),
            trace.current,
            where,
            todo=f"See `orchestrator history --bind {history.bind.name}`.",
        )
    return Failure(f"{type(error).__name__}: {error}", trace.current, where)


def _line_in(error: BaseException, path: str) -> str:
    """The line of a revision file that an exception came through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == path:
            return f"{path}:{frame.lineno}"
    return path
