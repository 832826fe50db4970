"""One step, recorded: a revision's upgrade() or downgrade() on the stand-in connection.

Enters: a bind's ScriptDirectory and configure() options, what is pretended, and the step.
Leaves: a Tape.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from orchestrator.revisions.recording.unread import asked_by_library
from orchestrator.revisions.types import Direction


@dataclass(frozen=True, slots=True)
class RevisionSource:
    """Where revisions come from, and what surrounds them.

    options: configure()'s keyword arguments. tenancy: whether the bind has tenants, which stock
    Alembic is told of through -x.
    """

    alembic: AlembicConfig
    script: ScriptDirectory
    options: Mapping[str, Any]
    tenancy: bool = False


def record_step(
    source: RevisionSource, stand_in: StandIn, revision: str, direction: Direction
) -> Tape:
    """Run one step on a stand-in and give its Tape. What the revision raises is on the tape."""
    script = source.script.get_revision(revision)
    tape = new_tape(script, stand_in.flavour)
    with (
        recording_connection(stand_in, tape) as connection,
        _RecordingEnvironment(source, tape) as environment,
    ):
        options = {**source.options, "transaction_per_migration": True}
        environment.configure(connection=connection, **options)
        context = environment.get_context()
        context.__class__ = _RecordingContext
        with Operations.context(context):
            # Entered as run_migrations() does, but never left: a step that has ended in the middle
            # has nothing to commit, and what follows is no part of it.
            context.begin_transaction(_per_migration=True).__enter__()
            _run(tape, getattr(script.module, direction.value))
    return tape


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
        lines = str(error).splitlines() or [""]
        tape.note("raises", f"{type(error).__name__}: {lines[0]}", _line_of(error, tape.file))
    finally:
        tape.running = False


def _line_of(error: BaseException, file: Path) -> str:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == str(file):
            return f"{file}:{frame.lineno}"
    return str(file)


class _RecordingEnvironment(EnvironmentContext):
    """Alembic's `context`, for revisions that ask it things."""

    def __init__(self, source: RevisionSource, tape: Tape) -> None:
        super().__init__(source.alembic, source.script)
        self.tape = tape
        self.tenancy = source.tenancy

    def __enter__(self) -> _RecordingEnvironment:
        super().__enter__()
        return self

    def is_offline_mode(self) -> bool:
        """Whether --sql was given: neither answer would be right."""
        self.tape.live("asks-offline", "it calls is_offline_mode()")

    def get_x_argument(self, as_dictionary: bool = False) -> Any:
        """The -x arguments, which name the tenant in a bind with tenants."""
        if self.tenancy:
            self.tape.live("reads-tenant", "it reads the -x arguments, which name the tenant")
        return super().get_x_argument(as_dictionary=as_dictionary)


class _RecordingContext(MigrationContext):
    """A MigrationContext that notices who asks whether it is offline."""

    @property
    def as_sql(self) -> bool:  # type: ignore[override]
        """False; Alembic itself reads it all the time."""
        environment = self.environment_context
        if isinstance(environment, _RecordingEnvironment) and not asked_by_library(
            sys._getframe(1)
        ):
            environment.tape.live("asks-offline", "it reads as_sql")
        return False
