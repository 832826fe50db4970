"""One step, recorded: a revision's upgrade() or downgrade() on the stand-in connection.

Enters: a bind's ScriptDirectory and configure() options, what is pretended, and the step.
Leaves: a Tape.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic.config import Config as AlembicConfig
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy.exc import NoSuchColumnError, ResourceClosedError

from orchestrator.config import Flavour
from orchestrator.revisions.recording import guards
from orchestrator.revisions.recording.connection import StandIn, recording_connection
from orchestrator.revisions.recording.reasons import StepIsLive
from orchestrator.revisions.recording.tape import Tape
from orchestrator.revisions.recording.unread import TargetName, asked_by_library
from orchestrator.revisions.types import Direction


@dataclass(frozen=True, slots=True)
class RevisionSource:
    """Where revisions come from, and what surrounds them.

    options: configure()'s keyword arguments. tenancy: whether the bind has tenants, which stock
    Alembic is told of through -x. memo: what Alembic remembers over the revisions of one run, so
    that a PostgreSQL enum which a revision has made is not made again by a later one
    (`_check_for_name_in_memos` in sqlalchemy/dialects/postgresql/named_types.py).
    """

    alembic: AlembicConfig
    script: ScriptDirectory
    options: Mapping[str, Any]
    tenancy: bool = False
    memo: dict[Any, Any] = field(default_factory=dict)


def record_step(
    source: RevisionSource, stand_in: StandIn, revision: str, direction: Direction
) -> Tape:
    """Run one step on a stand-in and give its Tape. What the revision raises is on the tape."""
    script = source.script.get_revision(revision)
    tape = new_tape(script, stand_in.flavour)
    with (
        recording_connection(stand_in, tape) as connection,
        _watched_environment(source, tape) as environment,
    ):
        environment.configure(connection=connection, **_options(source, tape))
        context: Any = environment.get_context()
        context.__class__ = _RecordingContext
        context.tape = tape
        context.impl.memo = source.memo
        with Operations.context(context):
            # Entered as run_migrations() does, but never left: a step that has ended in the middle
            # has nothing to commit, and what follows is no part of it.
            context.begin_transaction(_per_migration=True).__enter__()
            _run(tape, getattr(script.module, direction.value))
    return tape


def _options(source: RevisionSource, tape: Tape) -> dict[str, Any]:
    """The options of configure() for one step; a tenant's schema is watched."""
    options = {**source.options, "transaction_per_migration": True}
    schema = options.get("version_table_schema")
    if schema is not None:
        options["version_table_schema"] = TargetName.of(
            lambda detail: tape.live("reads-tenant", detail), schema
        )
    return options


def new_tape(script: Script, flavour: Flavour) -> Tape:
    """An empty tape for a revision file."""
    return Tape(Path(script.module.__file__ or script.path), flavour.family)


def _run(tape: Tape, function: Callable[[], object]) -> None:
    tape.running = True
    try:
        with guards.watching(tape):
            function()
    except StepIsLive:
        pass  # Its reason stands on the tape.
    except (NoSuchColumnError, ResourceClosedError) as error:
        # SQLAlchemy itself found out that the answer is a stand-in.
        tape.note("reads-result", "it reads rows", _line_of(error, tape.file))
    except BaseException as error:  # sys.exit() in a revision ends the revision, not the recorder.
        tape.note("raises", _told(error), _line_of(error, tape.file))
    finally:
        tape.running = False


def _told(error: BaseException) -> str:
    """What was raised, on one line."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _line_of(error: BaseException, file: Path) -> str:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == str(file):
            return f"{file}:{frame.lineno}"
    return str(file)


def _watched_environment(source: RevisionSource, tape: Tape) -> EnvironmentContext:
    """Alembic's `context`, for revisions that ask it things.

    Not a subclass: Alembic installs the functions of `alembic.context` for its own class alone.
    """
    environment: Any = EnvironmentContext(source.alembic, source.script)
    x_argument = environment.get_x_argument

    def is_offline_mode() -> bool:
        tape.live("asks-offline", "it calls is_offline_mode()")

    def get_x_argument(as_dictionary: bool = False) -> Any:
        if source.tenancy:
            tape.live("reads-tenant", "it reads the -x arguments, which name the tenant")
        return x_argument(as_dictionary=as_dictionary)

    environment.is_offline_mode = is_offline_mode
    environment.get_x_argument = get_x_argument
    watched: EnvironmentContext = environment
    return watched


class _RecordingContext(MigrationContext):
    """A MigrationContext that notices who asks whether it is offline."""

    tape: Tape

    @property
    def as_sql(self) -> bool:  # type: ignore[override]
        """False; Alembic itself reads it all the time."""
        if not asked_by_library(sys._getframe(1)):
            self.tape.live("asks-offline", "it reads as_sql")
        return False
