"""What `--sql` does for upgrade, downgrade and stamp: scripts, without any connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import click

from orchestrator.cli.apply import ordered_targets
from orchestrator.cli.output import note, plural, say, say_bytes
from orchestrator.config import Flavour
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.execution.scripting import record_paths, script_flavours, target_script
from orchestrator.fleet.targets import Selection, unknown_bind
from orchestrator.fleet.types import Target
from orchestrator.planning.paths import Verb, set_goal
from orchestrator.revisions.history import History

print_scripts = click.option(
    "--sql", is_flag=True, help="Print SQL instead of running it; no connection is made."
)
output_folder = click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --sql: write a bundle for a DBA into this new folder (stamp: a script a target).",
)
from_revision = click.option(
    "--from",
    "from_",
    multiple=True,
    metavar="[BIND:]REV",
    help="With --sql: the revision the targets stand at (without -o, for upgrade: base).",
)
state_file = click.option(
    "--state",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --sql -o: where the targets stand, as `orchestrator status --json` told it.",
)

no_lint = click.option(
    "--no-lint",
    is_flag=True,
    help="With --sql -o: try no revision on a scratch database; the bundle's README then knows less"
    " of locks.",
)


def no_state(state: Path | None) -> None:
    """Refuse --state where it means nothing. Raises UsageError."""
    if state is not None:
        what = "--state says where targets stand for a bundle: upgrade or downgrade --sql -o DIR"
        raise UsageError(Problem(what, todo="Leave it out, or write a bundle."))


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
    starts = starts_of(project, histories, verb, from_)
    flavours = script_flavours(project, list(binds.values()))
    paths = {
        name: histories[name].path(starts[name], goal.migrations(histories[name]))
        for name in goal.destinations
    }
    recordings = record_paths(
        project, paths, flavours, stamp=verb == "stamp", on_record=_say_recording
    )
    for target in targets:
        bind = target.bind.name
        if bind in paths:
            text = target_script(
                target, verb, flavours[bind], starts[bind], paths[bind], recordings[bind]
            )
            _deliver(text, target, output)
    return 0


def _say_recording(bind: str, steps: int, flavour: Flavour) -> None:
    note(f"bind {bind}: recording {plural(steps, 'revision')} for {flavour}")


def starts_of(
    project: Project, histories: Mapping[str, History], verb: Verb, from_: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Where each bind's targets stand, as --from says: full revision ids, () for base. Raises
    UsageError."""
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
