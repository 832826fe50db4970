"""`orchestrator diff`: the SQL of the revisions that a branch adds, for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from orchestrator.checks.lint.types import Finding, LintReport
from orchestrator.cli.apply import told
from orchestrator.cli.history import binds_option
from orchestrator.cli.lint_output import summary, tell_not_checked
from orchestrator.cli.options import as_json, opened
from orchestrator.cli.output import plural, print_json, say
from orchestrator.execution.branch import Changes, changes_since
from orchestrator.execution.lint_choice import Choice, chosen
from orchestrator.execution.linting import Question, lint
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection, selected_binds
from orchestrator.planning.client_text import psql_text
from orchestrator.planning.destructive import destroys
from orchestrator.revisions.types import Recording, Step

LONGEST = 60_000
"""Characters of the whole: a comment on GitHub takes 65,536."""


@click.command(
    "diff", epilog="Examples: orchestrator diff; orchestrator diff origin/main > comment.md"
)
@click.argument("base", required=False)
@binds_option
@as_json
@opened
def command(project: Project, base: str | None, binds: tuple[str, ...], as_json: bool) -> int:
    """Print the SQL of the revisions that this branch adds, with what lint says, as Markdown.

    BASE is a revision of Git; by default the branch that origin/HEAD names, or main or master. What
    is in the work tree counts, committed or not. Exits 1 when lint finds something from
    `lint.fail_on` on.
    """
    taking = selected_binds(project.config, Selection(binds=binds))
    changes = changes_since(project, taking, base)
    questions: tuple[Question, ...] = ()
    if changes.added:
        names = tuple(f"{bind.name}:{one}" for bind, some in changes.added for one in some)
        choice = Choice(revisions=names)
        questions = chosen(project, [bind for bind, _some in changes.added], choice, told())
    report = lint(project, questions)
    tell_not_checked(report)
    if as_json:
        print_json(_data(changes, questions, report))
    else:
        say(_shortened(list(_lines(changes, questions, report, project.config.root))))
    return int(bool(report.at_least(project.config.lint.fail_on)))


def _lines(
    changes: Changes, questions: Sequence[Question], report: LintReport, root: Path
) -> Iterator[str]:
    count = sum(len(some) for _bind, some in changes.added)
    yield f"## Migrations: {plural(count, 'revision')} added since `{changes.base[:12]}`"
    yield ""
    if count:
        yield f"Lint: {summary(report)}."
        yield ""
    for file in changes.edited:
        yield (
            f"> **Edited:** `{file}` was there already. Targets that have had it keep what it did"
            " then; write a new revision instead, unless it never left this branch."
        )
        yield ""
    for bind, revision, file in changes.gone:
        yield (
            f"> **Gone:** revision `{revision}` of {bind} (`{file}`) was there, and no file has it"
            " now. Targets that have had it are at a revision that nobody knows; put it back."
        )
        yield ""
    for question in questions:
        yield f"### {question.bind} on {question.flavour}"
        yield ""
        for step, recording in question.steps:
            yield from _revision(question, step, recording, report.findings, root)
    for gap in report.not_checked:
        yield f"_{gap.bind}: not checked for {', '.join(gap.rules)}: {gap.reason}_"
        yield ""


def _revision(
    question: Question,
    step: Step,
    recording: Recording,
    findings: Sequence[Finding],
    root: Path,
) -> Iterator[str]:
    inside = step.file.is_relative_to(root)
    file = (step.file.relative_to(root) if inside else step.file).as_posix()
    yield f"#### `{step.revision}` {' '.join(step.message.split())}".rstrip()
    yield ""
    yield f"`{file}`"
    yield ""
    for reason in recording.live:
        yield f"- **live**: {reason.detail} ({reason.name}), so each target pays for it"
    if not recording.live:
        yield from _fenced(recording)
    yield ""
    mine = [one for one in findings if (one.bind, one.revision) == (question.bind, step.revision)]
    for text in (text for segment in recording.segments for text in segment.statements):
        marks = destroys(text, question.flavour.family)
        if marks:
            yield f"- **destructive**, {', '.join(marks)}: `{_one_line(text)}`"
    yield from (_finding(one) for one in mine)
    if not mine and not recording.live:
        yield "Lint finds nothing."
    yield ""


def _fenced(recording: Recording) -> Iterator[str]:
    texts = [
        psql_text(text) + ("" if segment.transactional else "  -- by itself (autocommit)")
        for segment in recording.segments
        for text in segment.statements
    ]
    whole = "\n".join(texts).encode("utf-8", "replace").decode() or "-- no statement"
    mark = "```"
    while mark in whole:
        mark += "`"
    yield f"{mark}sql"
    yield whole
    yield mark


def _finding(one: Finding) -> str:
    line = f" (line {one.line})" if one.line else ""
    todo = f" {one.todo}" if one.todo else ""
    if one.allowed:
        return f"- ~~{one.rule}~~{line}: {one.message}; allowed: {one.allowed}"
    return f"- **{one.severity}** `{one.rule}`{line}: {one.message}.{todo}"


def _one_line(text: str) -> str:
    line = " ".join(text.split()).replace("`", "'")
    return line if len(line) <= 100 else f"{line[:97]}..."


def _shortened(lines: Sequence[str]) -> str:
    """As much as a comment takes; a block that is cut is closed."""
    kept: list[str] = []
    size = 0
    fence = ""
    for line in "\n".join(lines).rstrip().split("\n"):
        size += len(line) + 1
        if size > LONGEST:
            kept += [*([fence] if fence else []), "", "_The rest is too long to show here._"]
            break
        if line.startswith("```"):
            fence = "" if fence else line.removesuffix("sql")
        kept.append(line)
    return "\n".join(kept)


def _data(changes: Changes, questions: Sequence[Question], report: LintReport) -> dict[str, object]:
    return {
        "base": changes.base,
        "edited": list(changes.edited),
        "gone": [
            {"bind": bind, "revision": revision, "file": file}
            for bind, revision, file in changes.gone
        ],
        "revisions": [
            {
                "bind": question.bind,
                "flavour": str(question.flavour),
                "revision": step.revision,
                "message": step.message,
                "live": [asdict(reason) for reason in recording.live],
                "statements": [
                    text.encode("utf-8", "replace").decode()
                    for segment in recording.segments
                    for text in segment.statements
                ],
            }
            for question in questions
            for step, recording in question.steps
        ],
        "findings": [asdict(one) for one in report.findings],
        "not_checked": [asdict(one) for one in report.not_checked],
    }
