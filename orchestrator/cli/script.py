"""What `--sql` does for upgrade, downgrade and stamp: scripts, without any connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import click

from orchestrator import __version__
from orchestrator.cli.apply import ordered_targets
from orchestrator.cli.output import note, plural, revisions, say, say_bytes
from orchestrator.config import Bind, Flavour
from orchestrator.errors import ConfigError, Problem, RecordingError, UsageError
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection, unknown_bind
from orchestrator.fleet.types import Target
from orchestrator.planning.paths import Goal, Verb, set_goal
from orchestrator.planning.script import Recordings, write_script
from orchestrator.planning.statements import place_of
from orchestrator.revisions.compile import CompileRequest, compile_steps
from orchestrator.revisions.history import History
from orchestrator.revisions.types import Recording, Step

ASSUMED_POSTGRESQL = Flavour("postgresql", (16,))
"""What SQL for PostgreSQL is written for when the bind names no flavour. SQLAlchemy's DDL differs
between versions only below 12 (sqlalchemy/dialects/postgresql/base.py)."""

print_scripts = click.option(
    "--sql", is_flag=True, help="Print SQL instead of running it; no connection is made."
)
output_folder = click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --sql: write one script a target into this folder.",
)
from_revision = click.option(
    "--from",
    "from_",
    multiple=True,
    metavar="[BIND:]REV",
    help="With --sql: the revision the targets stand at (default for upgrade: base).",
)


def write_sql(
    project: Project,
    selection: Selection,
    verb: Verb,
    written: Sequence[str],
    from_: Sequence[str],
    output: Path | None,
    *,
    allow_empty: bool = False,
) -> int:
    """Write the scripts of the selected targets, to stdout or a folder. Gives the exit code.

    Raises UsageError for several targets without a folder, ConfigError for an unknown flavour, and
    RecordingError with every revision that cannot be written ahead of time.
    """
    targets = ordered_targets(project, selection, allow_empty=allow_empty)
    if output is None and len(targets) > 1:
        raise UsageError(
            Problem(
                f"--sql prints the script of one target, and the selection names {len(targets)}",
                todo="Write them to a folder with -o DIR, or narrow with --bind and --tenant.",
            )
        )
    binds = {target.bind.name: target.bind for target in targets}
    project.config.require(offline=binds)
    histories = project.histories(binds)
    goal = set_goal(project.config, histories, verb, written)
    starts = _starts(project, histories, verb, from_)
    flavours = _flavours(project, list(binds.values()))
    paths = {
        name: histories[name].path(starts[name], goal.migrations(histories[name]))
        for name in goal.destinations
    }
    recordings = _record(project, goal, paths, flavours)
    for target in targets:
        bind = target.bind.name
        if bind in paths:
            text = _script(
                target, verb, flavours[bind], starts[bind], paths[bind], recordings[bind]
            )
            _deliver(text, target, output)
    return 0


def _starts(
    project: Project, histories: Mapping[str, History], verb: Verb, from_: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Where each bind's targets stand, as --from says: full revision ids, () for base."""
    found: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for text in from_:
        name, colon, revision = text.rpartition(":")
        if colon and name not in project.config.binds:
            problems.append(unknown_bind(project.config, name))
            continue
        named = [name] if colon else list(histories)
        knowing = [
            bind for bind in named if bind in histories and histories[bind].resolves(revision)
        ]
        if not knowing:
            problems.append(
                Problem(
                    f"--from {text}: no selected bind knows it", todo="See `orchestrator history`."
                )
            )
        for bind in knowing:
            scripts = histories[bind].script.get_revisions(revision)
            found[bind] = tuple(script.revision for script in scripts if script is not None)
    missing = [bind for bind in histories if bind not in found]
    if verb == "downgrade" and missing and not problems:
        problems = [
            Problem(
                "a downgrade's SQL needs to know where the targets stand",
                where=f"bind {bind}",
                todo=f"Add --from {bind}:REV.",
            )
            for bind in missing
        ]
    if problems:
        raise UsageError(problems)
    return {bind: found.get(bind, ()) for bind in histories}


def _flavours(project: Project, binds: Sequence[Bind]) -> dict[str, Flavour]:
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


def _record(
    project: Project,
    goal: Goal,
    paths: dict[str, tuple[Step, ...]],
    flavours: dict[str, Flavour],
) -> dict[str, Recordings]:
    """Record the steps of every bind. Raises RecordingError with all that cannot be recorded."""
    found: dict[str, Recordings] = {}
    problems: list[Problem] = []
    for bind, steps in paths.items():
        asked = [(step.revision, step.direction) for step in steps]
        if goal.verb == "stamp":
            found[bind] = {key: Recording(*key) for key in asked}
            continue
        note(f"bind {bind}: recording {plural(len(asked), 'revision')} for {flavours[bind]}")
        request = CompileRequest(
            project.config.file, project.config.root, bind, flavours[bind], tuple(asked)
        )
        recordings = compile_steps(request)
        problems += [
            Problem(
                f"revision {one.revision} ({one.direction}) cannot be written as SQL: "
                f"{reason.name}: {reason.detail}",
                where=f"bind {bind}, {reason.where}",
                todo="Run it with `orchestrator upgrade`, or rewrite it without what it asks for.",
            )
            for one in recordings
            for reason in one.live
        ]
        found[bind] = {(one.revision, one.direction): one for one in recordings}
    if problems:
        raise RecordingError(problems)
    return found


def _script(
    target: Target,
    verb: Verb,
    flavour: Flavour,
    start: tuple[str, ...],
    steps: tuple[Step, ...],
    recordings: Recordings,
) -> str:
    end = (
        steps[-1].revision
        if steps and verb != "downgrade"
        else "; ".join(
            dict.fromkeys(change.new or "base" for step in steps[-1:] for change in step.changes)
        )
    )
    title = (
        f"orchestrator {__version__}: {verb} {target.id} on {flavour}, "
        f"{revisions(start)} -> {end or revisions(start)}"
    )
    return write_script(
        place_of(target, flavour),
        steps,
        recordings,
        title=title,
        new_version_table=not start and verb != "downgrade",
    )


def _deliver(text: str, target: Target, output: Path | None) -> None:
    data = text.encode("utf-8", "surrogateescape")
    if output is None:
        say_bytes(data)
        return
    name = quote(target.id.partition("/")[2] or target.id, safe=" @")
    file = output / target.bind.name / f"{name}.sql"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    except OSError as error:
        raise UsageError(
            Problem(
                f"cannot write it: {error.strerror}", where=str(file), todo="Choose another -o."
            )
        ) from error
    say(str(file))
