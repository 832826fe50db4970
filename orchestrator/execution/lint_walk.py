"""A walk along a bind's history on a scratch database, with a look before and after the revisions
that lint is about.

Enters: a project, a bind, and revisions.  Leaves: a Walk: of each revision the shapes around it,
what its downgrade leaves, and the statements that it sent.  Revisions run through Alembic, in this
process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, Protocol

from sqlalchemy import event
from sqlalchemy.engine import Connection

from orchestrator.checks.fingerprint import read_shape
from orchestrator.checks.lint.types import Answer, Sent
from orchestrator.checks.types import Scope, Shape
from orchestrator.config import Bind, Flavour
from orchestrator.errors import ConfigError, DatabaseError, Problem
from orchestrator.execution.apply import Trace, failure_of, run_job
from orchestrator.execution.live_statements import is_read
from orchestrator.execution.project import Project
from orchestrator.execution.scopes import scope_of
from orchestrator.execution.scratch import scratch_target
from orchestrator.execution.types import Failure
from orchestrator.fleet.engines import connect, flavour_of
from orchestrator.fleet.types import Target
from orchestrator.revisions.history import History
from orchestrator.revisions.types import Direction, Step


class Asks(Protocol):
    """Whoever asks a MySQL or MariaDB server about statements."""

    def answer(self, connection: Connection, statement: str) -> Answer | None:
        """What it says of one, asked just before it runs. connection: stands in the scratch
        database, commits each statement by itself, and is not the one that the revision runs on.
        None for what there is nothing to ask about."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One revision on the scratch database; the names as in `checks.lint.types.Subject`.

    undo_sent: what its downgrade sent; undo_asked: whether a server was asked about that.
    """

    sent: tuple[Sent, ...] = ()
    before: Shape | None = None
    after: Shape | None = None
    undone: Shape | None = None
    undo_failed: str = ""
    failed: str = ""
    failed_line: int = 0
    asked: bool = False
    undo_sent: tuple[Sent, ...] = ()
    undo_asked: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """What was seen, by revision. flavour: the scratch server's (its series), None when there was
    none. problem: why some were not seen."""

    looked: Mapping[str, Looked] = field(default_factory=dict)
    flavour: Flavour | None = None
    problem: str = ""
    todo: str = ""


def walk(
    project: Project,
    bind: Bind,
    wanted: Collection[str],
    without_downgrade: Collection[str] = (),
    asks: Asks | None = None,
    undoing: Collection[str] = (),
) -> Walk:
    """Run a bind's history up to the last of these revisions, and look at each of them.

    without_downgrade: those whose downgrade does nothing, and is not tried. asks: hears of each
    statement before it runs. undoing: revisions of which it hears the downgrade's instead of the
    upgrade's. Where no scratch database can be had, the Walk says why. Raises what
    loading the project raises.
    """
    return _Walker(project, bind, without_downgrade, asks, undoing).walk(wanted)


class _Walker:
    """One walk. `_at`: the revisions that the scratch database has now, in their order."""

    def __init__(
        self,
        project: Project,
        bind: Bind,
        without_downgrade: Collection[str],
        asks: Asks | None,
        undoing: Collection[str],
    ) -> None:
        self._project = project
        self._bind = bind
        self._history: History = project.history(bind.name)
        self._without_downgrade = without_downgrade
        self._asks = asks if bind.family == "mysql" else None
        self._undoing = undoing
        self._stack = ExitStack()
        self._at: list[str] = []
        self._target: Target | None = None
        self._scope: Scope | None = None
        self._asking: Connection | None = None
        self._looked: dict[str, Looked] = {}
        self._flavour: Flavour | None = None

    def walk(self, wanted: Collection[str]) -> Walk:
        """Look at each of these, as far as the history can be run."""
        problem: Problem | None = None
        try:
            with self._stack:
                self._open()
                problem = self._along(wanted)
        except (DatabaseError, ConfigError) as error:
            problem = error.problems[0]
        if problem is None:
            return Walk(self._looked, self._flavour)
        return Walk(self._looked, self._flavour, problem.what, problem.todo)

    def _along(self, wanted: Collection[str]) -> Problem | None:
        """Gives why it ended before the last of them."""
        path = self._history.path((), self._history.upgrade("heads"))
        left = len([step for step in path if step.revision in wanted])
        for place, step in enumerate(path):
            if not left:
                break
            if step.revision not in wanted:
                continue
            left -= 1
            before = [one.revision for one in path[:place]]
            failure = self._bring(before[len(self._at) :])
            if failure is not None:
                return _stuck(failure)
            last = self._looked.get(before[-1]) if before else None
            self._looked[step.revision] = one = self._look(step, last)
            if one.failed:
                words = f"revision {step.revision} does not run on scratch: {one.failed}"
                return Problem(words, todo="Correct that revision first.")
        return None

    def _open(self) -> None:
        """A new scratch database instead of the one there is, at base."""
        self._stack.close()
        self._at, self._asking = [], None
        self._target = self._stack.enter_context(scratch_target(self._project, self._bind))
        if self._scope is None:
            self._scope = scope_of(self._project, column_order=False)(self._target)
            with connect(self._target) as connection:
                self._flavour = flavour_of(connection).series

    def _shape(self) -> Shape:
        assert self._target is not None
        assert self._scope is not None
        return read_shape(self._target, self._scope)

    def _bring(self, revisions: Sequence[str]) -> Failure | None:
        """Upgrade by these revisions; gives why that failed."""
        failure = self._run(revisions, Direction.UPGRADE) if revisions else None
        if failure is None:
            self._at += revisions
        return failure

    def _look(self, step: Step, last: Looked | None) -> Looked:
        before = (last.after if last else None) or self._shape()
        asked = self._asks is not None and step.revision not in self._undoing
        capture = _Capture(str(step.file), self._answering if asked else _silent)
        failure = self._run([step.revision], Direction.UPGRADE, capture)
        seen = Looked(tuple(capture.sent), before, asked=asked)
        if failure is not None:
            return replace(seen, failed=failure.message, failed_line=_line(failure))
        self._at.append(step.revision)
        seen = replace(seen, after=self._shape())
        if step.revision in self._without_downgrade:
            return seen
        return self._undo(step, seen)

    def _undo(self, step: Step, seen: Looked) -> Looked:
        """Take the revision back, and come to stand behind it again."""
        asked = self._asks is not None and step.revision in self._undoing
        capture = _Capture(str(step.file), self._answering if asked else _silent)
        failure = self._run([step.revision], Direction.DOWNGRADE, capture)
        seen = replace(seen, undo_sent=tuple(capture.sent), undo_asked=asked)
        if failure is not None:
            seen = replace(seen, undo_failed=failure.message)
            if self._shape() != seen.after or self._bind.family == "mysql":
                self._anew()
            return seen
        undone = self._shape()
        seen = replace(seen, undone=undone)
        if undone != seen.before or self._run([step.revision], Direction.UPGRADE) is not None:
            self._anew()
        return seen

    def _anew(self) -> None:
        """What a wrong downgrade left is no place to go on from."""
        revisions = list(self._at)
        self._open()
        failure = self._bring(revisions)
        if failure is not None:  # It ran before.
            raise DatabaseError(_stuck(failure))

    def _run(
        self, revisions: Sequence[str], direction: Direction, capture: _Capture | None = None
    ) -> Failure | None:
        assert self._target is not None
        trace = Trace()

        def migrations(heads: Any, context: Any) -> Iterator[Any]:
            for revision in revisions:
                yield from self._history.one_step(revision, direction)(heads, context)

        job = self._project.job(self._target, migrations, destination=revisions[-1])
        try:
            # What a revision prints is no result of lint's.
            with redirect_stdout(sys.stderr), connect(self._target) as connection:
                if capture is not None:
                    event.listen(connection, "before_cursor_execute", capture.hear)
                run_job(job, connection, trace)
        except (Exception, SystemExit) as error:
            # SystemExit: a revision that calls sys.exit() ends here, not lint.
            return failure_of(error, trace, self._history)
        return None

    def _answering(self, statement: str) -> Answer | None:
        if self._asks is None or self._target is None:
            return None
        if self._asking is None:
            connection = self._stack.enter_context(connect(self._target))
            self._asking = connection.execution_options(isolation_level="AUTOCOMMIT")
        return self._asks.answer(self._asking, statement)


def _silent(_statement: str) -> None:
    """Nobody is asked about a statement."""


class _Capture:
    """The statements that a revision's own code sends, with their lines."""

    def __init__(self, file: str, answering: Callable[[str], Answer | None]) -> None:
        self.sent: list[Sent] = []
        self._file = file
        self._answering = answering

    def hear(
        self,
        _connection: Any,
        cursor: Any,
        statement: str,
        parameters: Any,
        _context: Any,
        many: bool,
    ) -> None:
        """SQLAlchemy's before_cursor_execute."""
        line = self._line()
        if line is None:
            return  # Alembic's own, such as the version table's
        one = parameters
        if many and isinstance(parameters, list):  # else SQLAlchemy has put them into one
            one = parameters[0]
        text = cursor.mogrify(statement, one)
        text = text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
        if not is_read(text):
            transactional = not _autocommits(cursor.connection)
            self.sent.append(Sent(text, line, transactional, self._answering(text)))

    def _line(self) -> int | None:
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            if frame.f_code.co_filename == self._file:
                return frame.f_lineno
            frame = frame.f_back
        return None


def _autocommits(connection: Any) -> bool:
    """Of a driver's connection: psycopg2's, or PyMySQL's."""
    if hasattr(connection, "get_autocommit"):
        return bool(connection.get_autocommit())
    return bool(connection.autocommit)


def _line(failure: Failure) -> int:
    number = failure.where.rpartition(":")[2]
    return int(number) if number.isdigit() else 0


def _stuck(failure: Failure) -> Problem:
    return Problem(
        f"the history does not run on an empty scratch database: revision {failure.revision}: "
        f"{failure.message}",
        failure.where,
        todo="Correct the revision, or set a `baseline:` for a history that starts from a filled "
        "database.",
    )
