"""`orchestrator check`: everything that can be wrong before a deploy, in one list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import click

from orchestrator.cli.history import binds_option
from orchestrator.cli.options import as_json, opened
from orchestrator.cli.output import note, plural, print_json, print_problems, say
from orchestrator.cli.status import cohort_of, standing
from orchestrator.config import Bind
from orchestrator.errors import OrchestratorError, Problem
from orchestrator.execution.comparison import compare
from orchestrator.execution.project import Project
from orchestrator.fleet.engines import connect, flavour_of
from orchestrator.fleet.state import read_states
from orchestrator.fleet.targets import Selection, all_targets, selected_binds
from orchestrator.fleet.types import Target
from orchestrator.planning.halfway import obstacle
from orchestrator.revisions.author import NewRevision


@click.command("check", epilog="Example: orchestrator check --no-database")
@binds_option
@click.option("--no-database", is_flag=True, help="Only what needs no connection.")
@as_json
@opened
def command(project: Project, binds: tuple[str, ...], no_database: bool, as_json: bool) -> int:
    """Check configuration, discovery, histories, connections, heads, and models against histories.

    Exits 1 with the list of all that is wrong. Models are compared on a scratch database.
    """
    chosen = selected_binds(project.config, Selection(binds=binds))
    parts = [_configuration, _environment, _discovery, _histories]
    parts += [] if no_database else [_connections, _models]
    problems: list[Problem] = []
    for part in parts:
        found = list(part(project, chosen))
        if not as_json:
            note(f"{part.__name__.strip('_')}: {plural(len(found), 'problem') if found else 'ok'}")
        problems += found
    # What one part says of a value, another that needs the value says too.
    problems = list(dict.fromkeys(problems))
    if as_json:
        print_json(
            [
                {"what": one.what, "where": one.where, "key": one.key, "todo": one.todo}
                for some in problems
                for one in (some.each if isinstance(some, _Same) else (some,))
            ]
        )
        return int(bool(problems))
    print_problems(problems)
    say(f"check: {plural(len(problems), 'problem')}" if problems else "check: all is well")
    return int(bool(problems))


@dataclass(frozen=True, slots=True)
class _Same(Problem):
    """Problems of one cause, told as one. each: all of them, for machines."""

    each: tuple[Problem, ...] = ()


Problems = Iterator[Problem]


def _told(ask: Callable[[], object]) -> Problems:
    """The problems of an error that asking raises, none when it does not."""
    try:
        ask()
    except OrchestratorError as error:
        yield from error.problems


def _configuration(project: Project, chosen: tuple[Bind, ...]) -> Problems:
    names = [bind.name for bind in chosen]
    yield from _told(
        lambda: project.config.require(
            binds=names, parts={one.part for one in project.config.deferred}
        )
    )
    yield from _told(lambda: all_targets(project.config, chosen))
    ini_option = project.alembic.get_alembic_option("revision_environment") or ""
    if len(project.config.binds) > 1 and ini_option.lower() not in ("true", "1", "yes", "on"):
        yield Problem(
            "with several binds, stock `alembic revision` and `merge` write into the wrong folder "
            "unless env.py is asked first",
            where=str(project.config.root / "alembic.ini"),
            key="revision_environment",
            todo="Set `revision_environment = true`.",
        )


def _environment(project: Project, _chosen: tuple[Bind, ...]) -> Problems:
    yield from _told(lambda: project.environment)


def _discovery(project: Project, _chosen: tuple[Bind, ...]) -> Problems:
    if not list(_told(lambda: project.environment)):  # Told above; models need it first.
        yield from _told(lambda: project.models)


def _histories(project: Project, chosen: tuple[Bind, ...]) -> Problems:
    for bind in chosen:
        problems = list(_told(lambda bind=bind: project.history(bind.name)))  # type: ignore[misc]
        yield from problems
        if not problems:
            yield from _history(project, bind)


def _history(project: Project, bind: Bind) -> Problems:
    history = project.history(bind.name)
    if len(history.heads) > 1:
        yield Problem(
            f"it has {len(history.heads)} heads: {', '.join(history.heads)}",
            where=f"bind {bind.name}",
            todo=f"Run `orchestrator merge --bind {bind.name}`.",
        )
    for script in history.scripts():
        if len(script.revision) > bind.version_num_length:
            yield Problem(
                f"the revision id {script.revision} has {len(script.revision)} characters, and "
                f"version_num takes {bind.version_num_length}",
                where=script.path,
                todo=f"Set binds.{bind.name}.version_num_length, or give it a shorter id.",
            )


def _connections(project: Project, chosen: tuple[Bind, ...]) -> Problems:
    """Every target answers, at a known revision, and is of the flavour that its bind names."""
    for bind in chosen:
        if list(_told(lambda bind=bind: project.config.require(binds=[bind.name]))):  # type: ignore[misc]
            continue  # Told under configuration.
        try:
            targets = all_targets(project.config, [bind])
            history = project.history(bind.name)
        except OrchestratorError:
            continue  # Told under configuration or histories.
        present = []
        same: dict[tuple[object, ...], list[Problem]] = {}
        for target, state in zip(targets, read_states(targets), strict=True):
            found = standing(target, state, history)
            where = f"target {target.id}"
            half_way = obstacle(target, state, ())
            if half_way is not None:
                yield Problem(half_way.what, where, todo=half_way.todo)
                present.append(target)
            elif found.kind in ("unknown", "denied", "unreachable") or (
                found.kind == "missing" and not bind.create
            ):
                same.setdefault(cohort_of(found), []).append(Problem(found.words, where))
            elif found.kind != "missing":
                present.append(target)
        yield from map(_together, same.values())
        if present and bind.flavour is not None:
            yield from _flavour(bind, present[0])


def _together(problems: Sequence[Problem]) -> Problem:
    first, more = problems[0], len(problems) - 1
    if not more:
        return first
    return _Same(first.what, f"{first.where} and {more:,} more", each=tuple(problems))


def _flavour(bind: Bind, target: Target) -> Problems:
    try:
        with connect(target) as connection:
            found = flavour_of(connection)
    except OrchestratorError as error:
        yield from error.problems
        return
    said = bind.flavour
    assert said is not None
    if said.name != found.name or found.version[: len(said.version)] != said.version:
        yield Problem(
            f"databases.yaml says {said}, and the server is {found}",
            where=str(bind.where),
            key=f"binds.{bind.name}.flavour",
            todo="Correct it: SQL that is written without a connection is meant for it.",
        )


def _models(project: Project, chosen: tuple[Bind, ...]) -> Problems:
    if list(_told(lambda: (project.environment, project.models))):
        return  # Told above.
    for bind in chosen:
        try:
            draft = compare(project, bind, NewRevision(head="heads"))
        except OrchestratorError as error:
            yield from error.problems
            continue
        for change in draft.changes:
            yield Problem(
                f"the models are ahead of the history: {change}",
                where=f"bind {bind.name}",
                todo='Run `orchestrator revision -m "..."`.',
            )
