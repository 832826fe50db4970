"""What `--sql -o DIR` does for upgrade and downgrade: the DBA's bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.cli.apply import planner, told
from orchestrator.cli.changing import Asked
from orchestrator.cli.output import note, plural, say
from orchestrator.cli.resume import selection_data
from orchestrator.cli.script import no_state, starts_of, write_sql
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.bundling import content_of
from orchestrator.execution.linting import looked_at, nobody, plan_questions
from orchestrator.execution.planner import Request
from orchestrator.execution.project import Project
from orchestrator.execution.told_states import Reader, told_by_option, told_by_status
from orchestrator.fleet.state import read_fleet
from orchestrator.fleet.targets import selected_binds
from orchestrator.planning.bundle.folder import (
    README,
    RUNNER,
    CohortScripts,
    bundle_files,
    cohort_scripts,
)
from orchestrator.planning.bundle.readme import write_readme
from orchestrator.planning.bundle.remarks import remarks_of
from orchestrator.planning.paths import Verb
from orchestrator.planning.plan import Plan

_SHOWN = 20
"""Targets that are named one by one."""


def sql(project: Project, asked: Asked, verb: Verb, written: tuple[str, ...]) -> int:
    """Print the script of one target, or write a bundle. Gives the exit code."""
    if asked.output is not None:
        return write_bundle(project, asked, verb, written, asked.output)
    no_state(asked.state)
    return write_sql(
        project, asked.selection, verb, written, asked.from_, None, allow_empty=asked.allow_empty
    )


def write_bundle(
    project: Project, asked: Asked, verb: Verb, written: tuple[str, ...], output: Path
) -> int:
    """Write the bundle into a folder that is new or empty. Gives the exit code: 1 when some targets
    cannot be part of it.

    Raises UsageError for a folder that cannot be written and a file that is no status, and what
    planning raises.
    """
    _empty(output)
    listener = told(asked.log_format)
    request = Request(
        asked.selection,
        verb,
        written,
        allow_empty=asked.allow_empty,
        listener=listener,
        read=_reader(project, asked, verb),
    )
    plan = planner(project, request).plan()
    if not plan.moving:
        _tell_rest(plan)
        note("nothing to do: no bundle is written")
        return _code(plan)
    alone = asked.no_lint or bool(asked.from_) or asked.state is not None
    sources = nobody() if alone else None
    report, subjects = looked_at(project, plan_questions(plan), sources)
    remarks = remarks_of(subjects, report)
    content = content_of(project, plan, selection_data(asked.selection), listener, remarks)
    scripts = cohort_scripts(content)
    _write(output, bundle_files(content, write_readme(content, scripts), scripts))
    _tell(output, plan, scripts, content.digest)
    return _code(plan)


def _code(plan: Plan) -> int:
    return int(bool(plan.blocked or plan.unknown or plan.waiting))


def _reader(project: Project, asked: Asked, verb: Verb) -> Reader:
    """Who tells where the targets stand."""
    if asked.from_ and asked.state is not None:
        what = "--from and --state both say where the targets stand"
        raise UsageError(Problem(what, todo="Keep one of them."))
    if asked.state is not None:
        try:
            text = asked.state.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                Problem(f"it cannot be read: {error}", str(asked.state), todo="Choose another.")
            ) from error
        return told_by_status(text, asked.state.name)
    if asked.from_:
        binds = [bind.name for bind in selected_binds(project.config, asked.selection)]
        return told_by_option(starts_of(project, project.histories(binds), verb, asked.from_))
    return read_fleet


def _empty(output: Path) -> None:
    if output.is_dir() and any(output.iterdir()):
        raise UsageError(
            Problem(
                "the folder is not empty: a bundle is whole, and mixed with nothing",
                where=str(output),
                todo="Choose a new one.",
            )
        )


def _write(output: Path, files: Mapping[str, bytes]) -> None:
    try:
        for name, data in files.items():
            path = output / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (output / RUNNER).chmod(0o755)
    except OSError as error:
        raise UsageError(
            Problem(
                f"it cannot be written: {error.strerror}",
                where=str(error.filename or output),
                todo="Choose another -o.",
            )
        ) from error


def _tell(output: Path, plan: Plan, scripts: tuple[CohortScripts, ...], digest: str) -> None:
    _tell_rest(plan)
    cuts = {(one.cohort.bind, cut.revision) for one in scripts for cut in one.there.cuts}
    targets = sum(len(one.cohort.targets) for one in scripts)
    for bind, revision in sorted(cuts):
        note(f"bind {bind}: {revision} cannot stand in a script: {README} says what to do there")
    say(
        f"{output}: {plural(targets, 'target')}, {plural(len(scripts), 'cohort')}; plan {digest};"
        f" begin with {output / README}"
    )


def _tell_rest(plan: Plan) -> None:
    """What is not part of the bundle."""
    for blocked in plan.blocked[:_SHOWN]:
        note(f"not part of it: {blocked.target.id}: {blocked.problem.what}")
        if blocked.problem.todo:
            note(f"    {blocked.problem.todo}")
    if len(plan.blocked) > _SHOWN:
        note(f"not part of it: {len(plan.blocked) - _SHOWN:,} more targets")
    for waiting in plan.waiting:
        note(f"bind {waiting.bind}: its tenants are known after {', '.join(waiting.after)}")
    for unknown in plan.unknown:
        note(f"error: bind {unknown.bind.name}: {unknown.words}")
