"""Scripts of targets: which flavour they are written for, what is recorded, and the text.

Enters: a project, paths, and targets.  Leaves: a script for each target; no connection is made.
Both roads write with it: `orchestrator ... --sql`, and stock Alembic's `--sql` through env.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator import __version__
from orchestrator.config import Bind, Flavour
from orchestrator.errors import ConfigError, Problem, RecordingError
from orchestrator.execution.project import Project
from orchestrator.fleet.types import Target
from orchestrator.planning.script import Recordings, write_script
from orchestrator.planning.statements import place_of, states_along
from orchestrator.revisions.compile import CompileRequest, compile_steps
from orchestrator.revisions.types import Recording, Step

ASSUMED_POSTGRESQL = Flavour("postgresql", (16,))
"""What SQL for PostgreSQL is written for when the bind names no flavour. SQLAlchemy's DDL differs
between versions only below 12 (sqlalchemy/dialects/postgresql/base.py)."""


def script_flavours(project: Project, binds: Sequence[Bind]) -> dict[str, Flavour]:
    """The flavour of each bind. MySQL and MariaDB render CHECK, UUID and more differently, so that
    family must be named."""
    project.config.require(binds=[bind.name for bind in binds if bind.family is None])
    problems = [
        Problem(
            "SQL for the MySQL family cannot be written without knowing the flavour",
            where=str(bind.where),
            key=f"binds.{bind.name}.flavour",
            todo="Set it to the servers' flavour and version, such as mysql-8.4 or mariadb-10.11.",
        )
        for bind in binds
        if bind.flavour is None and bind.family == "mysql"
    ]
    if problems:
        raise ConfigError(problems)
    return {bind.name: bind.flavour or ASSUMED_POSTGRESQL for bind in binds}


def record_paths(
    project: Project,
    paths: Mapping[str, tuple[Step, ...]],
    flavours: Mapping[str, Flavour],
    *,
    stamp: bool = False,
    on_record: Callable[[str, int, Flavour], None] = lambda _bind, _steps, _flavour: None,
) -> dict[str, Recordings]:
    """Record the steps of each bind's path; a stamp runs nothing, so there is nothing to record.

    on_record hears of each bind before it is recorded. Raises RecordingError with every revision of
    every bind that cannot be written ahead of time.
    """
    found: dict[str, Recordings] = {}
    problems: list[Problem] = []
    for bind, steps in paths.items():
        asked = tuple((step.revision, step.direction) for step in steps)
        if stamp:
            found[bind] = {key: Recording(*key) for key in asked}
            continue
        on_record(bind, len(asked), flavours[bind])
        recordings = compile_steps(
            CompileRequest(
                project.config.file,
                project.config.root,
                bind,
                flavours[bind],
                asked,
                _dialect(project.config.binds[bind]),
                callbacks=False,
            )
        )
        problems += [problem for one in recordings for problem in _live(bind, one)]
        found[bind] = {(one.revision, one.direction): one for one in recordings}
    if problems:
        raise RecordingError(problems)
    return found


def _dialect(bind: Bind) -> str:
    """The dialect that the targets' URLs name: options such as mysql_engine and mariadb_engine are
    read by that name only."""
    urls = [server.migration_url for server in bind.servers.values()]
    return next((url.get_backend_name() for url in urls if url is not None), "")


def _live(bind: str, recording: Recording) -> list[Problem]:
    return [
        Problem(
            f"revision {recording.revision} ({recording.direction}) cannot be written as SQL: "
            f"{reason.name}: {reason.detail}",
            where=f"bind {bind}, {reason.where}",
            todo="Run it with `orchestrator upgrade`, or rewrite it without what it asks for.",
        )
        for reason in recording.live
    ]


def target_script(
    target: Target,
    verb: str,
    flavour: Flavour,
    start: tuple[str, ...],
    steps: tuple[Step, ...],
    recordings: Recordings,
) -> str:
    """The script that takes one target along these steps. verb: for the reader."""
    end = states_along(start, [step.changes for step in steps])[-1]
    title = (
        f"orchestrator {__version__}: {verb} {target.id} on {flavour}, "
        f"{', '.join(start) or 'base'} -> {', '.join(end) or 'base'}"
    )
    return write_script(
        place_of(target, flavour),
        steps,
        recordings,
        title=title,
        new_version_table=not start and verb != "downgrade",
    )
