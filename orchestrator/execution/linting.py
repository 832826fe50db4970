"""Lint: what revisions would do, looked at before they run.

Enters: a project, and a plan or a choice of revisions.  Leaves: a LintReport.  Targets are read at
most (how large their tables are), never changed; what must be tried is tried on scratch databases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.checks.lint.catalogue import all_rules
from orchestrator.checks.lint.judge import Case, judge, lacking
from orchestrator.checks.lint.registry import Need
from orchestrator.checks.lint.source import RevisionSource, read_source
from orchestrator.checks.lint.squawk_rules import PREFIX, SquawkHit, scripts_of
from orchestrator.checks.lint.types import (
    LintReport,
    NotChecked,
    Sent,
    Subject,
    TableFacts,
)
from orchestrator.config import Flavour
from orchestrator.errors import ConfigError, Problem
from orchestrator.execution.asking_mysql import Asker
from orchestrator.execution.lint_walk import Asks, Looked, Walk, walk
from orchestrator.execution.project import Project
from orchestrator.execution.real_tables import real_tables
from orchestrator.execution.squawk import ask_squawk
from orchestrator.fleet.types import Target
from orchestrator.planning.plan import Plan
from orchestrator.revisions.python_text import python_text
from orchestrator.revisions.types import Direction, Recording, Segment, Step

__all__ = [
    "Question",
    "Sources",
    "check_settings",
    "lint",
    "lint_plan",
    "looked_at",
    "nobody",
    "plan_questions",
]


@dataclass(frozen=True, slots=True)
class Question:
    """Steps of one bind on one flavour, as they were recorded. targets: those that would take them;
    () when no target is looked at."""

    bind: str
    flavour: Flavour
    steps: tuple[tuple[Step, Recording], ...]
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True)
class Sources:
    """Whom lint asks beside scratch databases.

    asks: a MySQL or MariaDB server about statements. real_tables: targets about their tables.
    scratch: whether revisions are tried on scratch databases.
    """

    asks: Asks | None = field(default_factory=Asker)
    real_tables: Callable[[Sequence[Target]], Mapping[str, TableFacts]] = real_tables
    scratch: bool = True


def nobody() -> Sources:
    """No server at all is asked: what the statements themselves tell."""
    return Sources(None, lambda _targets: {}, scratch=False)


def lint_plan(project: Project, plan: Plan, sources: Sources | None = None) -> LintReport:
    """Lint what a plan would run. Raises ConfigError for rules in databases.yaml that there are
    not, LintError when squawk cannot be run, and what loading the project raises."""
    return lint(project, plan_questions(plan), sources)


def plan_questions(plan: Plan) -> tuple[Question, ...]:
    """The steps of a plan, each once for a bind and flavour, whatever the number of cohorts."""
    steps: dict[tuple[str, Flavour], dict[tuple[str, Direction], tuple[Step, Recording]]] = {}
    targets: dict[tuple[str, Flavour], list[Target]] = {}
    for cohort in plan.moving:
        key = cohort.bind, cohort.flavour
        mine = steps.setdefault(key, {})
        targets.setdefault(key, []).extend(cohort.targets)
        for one in cohort.steps:
            mine.setdefault((one.step.revision, one.step.direction), (one.step, one.recording))
    return tuple(
        Question(bind, flavour, tuple(found.values()), tuple(targets[bind, flavour]))
        for (bind, flavour), found in steps.items()
    )


def lint(
    project: Project, questions: Sequence[Question], sources: Sources | None = None
) -> LintReport:
    """Lint these steps. Raises as `lint_plan`."""
    return looked_at(project, questions, sources)[0]


def looked_at(
    project: Project, questions: Sequence[Question], sources: Sources | None = None
) -> tuple[LintReport, tuple[Subject, ...]]:
    """Lint these steps; gives also what the rules saw of each. Raises as `lint_plan`."""
    check_settings(project)
    read = _Files(project)
    walks = _walks(project, questions, read, sources or Sources())
    tables = {
        (one.bind, one.flavour): (sources or Sources()).real_tables(one.targets)
        for one in questions
        if one.targets
    }
    subjects = [
        _subject(question, step, recording, read, walks[question.bind], tables)
        for question in questions
        for step, recording in question.steps
    ]
    cases = _asked(subjects)
    files: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        files.setdefault((case.subject.bind, case.subject.file), []).append(case)
    settings = project.config.lint
    findings = [one for some in files.values() for one in judge(some, settings)]
    report = LintReport(
        tuple(findings),
        tuple(_not_checked(project, subjects, walks)),
        len({(one.bind, one.step.revision) for one in subjects}),
    )
    return report, tuple(subjects)


def check_settings(project: Project) -> None:
    """Raise ConfigError for every rule in `lint.rules` that there is not. What squawk's are called
    depends on its release."""
    lint = project.config.lint
    problems = [
        Problem(
            f"there is no rule {name!r}",
            where=str(lint.places.get(name, project.config.file)),
            key=f"lint.rules.{name}",
            todo="See `orchestrator lint --rules`.",
        )
        for name in lint.rules
        if name not in all_rules() and not name.startswith(PREFIX)
    ]
    if problems:
        raise ConfigError(problems)


class _Files:
    """Revision files, each read once."""

    def __init__(self, project: Project) -> None:
        self._root = project.config.root
        self._sources: dict[Path, RevisionSource] = {}

    def source(self, file: Path) -> RevisionSource:
        """What a file says to lint."""
        if file not in self._sources:
            self._sources[file] = read_source(python_text(file.read_bytes()))
        return self._sources[file]

    def shown(self, file: Path) -> str:
        """Its path from the project's folder on."""
        inside = file.is_relative_to(self._root)
        return (file.relative_to(self._root) if inside else file).as_posix()


def _walks(
    project: Project, questions: Sequence[Question], read: _Files, sources: Sources
) -> Mapping[str, Walk]:
    """One walk for each bind, over all revisions that any of its flavours would take."""
    if not sources.scratch:
        return {one.bind: Walk(problem="no server was asked") for one in questions}
    wanted: dict[str, dict[str, Step]] = {}
    undoing: dict[str, set[str]] = {}
    for question in questions:
        mine, undone = (
            wanted.setdefault(question.bind, {}),
            undoing.setdefault(question.bind, set()),
        )
        for step, _recording in question.steps:
            # A downgrade of PostgreSQL's has nothing to learn from a server.
            if step.direction is Direction.UPGRADE:
                mine[step.revision] = step
            elif question.flavour.family == "mysql":
                mine[step.revision] = step
                undone.add(step.revision)
    return {
        bind: walk(
            project,
            project.config.binds[bind],
            steps,
            {one.revision for one in steps.values() if not read.source(one.file).has_downgrade},
            sources.asks,
            undoing[bind],
        )
        if steps
        else Walk(problem="only upgrades are tried on scratch databases")
        for bind, steps in wanted.items()
    }


def _downgrade(seen: Looked) -> Looked:
    """What was seen of a revision's downgrade. The schemas around it are left out: what it changes
    was looked at as the way back of the upgrade."""
    return Looked(seen.undo_sent, undo_failed=seen.undo_failed, asked=seen.undo_asked)


def _subject(
    question: Question,
    step: Step,
    recording: Recording,
    read: _Files,
    walked: Walk,
    tables: Mapping[tuple[str, Flavour], Mapping[str, TableFacts]],
) -> Subject:
    up = step.direction is Direction.UPGRADE
    seen = walked.looked.get(step.revision, Looked())
    seen = seen if up else _downgrade(seen)
    source = read.source(step.file)
    live = bool(recording.live)
    # The answers of another maker's server, or of another series, say nothing about this one's.
    same = walked.flavour == question.flavour.series
    sent = seen.sent if live else tuple(_recorded(recording.segments, seen.sent if same else ()))
    return Subject(
        bind=question.bind,
        flavour=question.flavour,
        step=step,
        file=read.shown(step.file),
        sent=sent,
        live=live,
        before=seen.before,
        after=seen.after,
        undone=seen.undone,
        undo_failed=seen.undo_failed,
        has_downgrade=source.has_downgrade,
        tables=tables.get((question.bind, question.flavour), {}),
        failed=seen.failed,
        failed_line=seen.failed_line,
        downgrade_line=source.downgrade_line,
        reasons=recording.live,
        asked=seen.asked and same,
        allows=source.allows,
    )


def _recorded(segments: Iterable[Segment], seen: Sequence[Sent]) -> Iterator[Sent]:
    """The statements as they were recorded, each with the answer that it got as it ran."""
    answers: dict[str, list[Sent]] = {}
    for one in seen:
        answers.setdefault(one.text.strip(), []).append(one)
    for segment in segments:
        lines = segment.lines or (0,) * len(segment.statements)
        for text, line in zip(segment.statements, lines, strict=True):
            same = answers.get(text.strip())
            answer = same.pop(0).answer if same else None
            yield Sent(text, line, segment.transactional, answer)


def _asked(subjects: Sequence[Subject]) -> list[Case]:
    """Subjects with what squawk says of those on PostgreSQL, all of a flavour asked at once."""
    heard: dict[int, list[SquawkHit]] = {}
    flavours = {one.flavour for one in subjects if one.flavour.family == "postgresql" and one.sent}
    for flavour in sorted(flavours, key=str):
        numbers = [n for n, one in enumerate(subjects) if one.flavour == flavour and one.sent]
        scripts = [(n, script) for n in numbers for script in scripts_of(subjects[n].sent)]
        found = ask_squawk([script for _n, script in scripts], flavour)
        for (number, _script), hits in zip(scripts, found, strict=True):
            heard.setdefault(number, []).extend(hits)
    return [
        Case(one, heard.get(number, []) if one.flavour.family == "postgresql" else None)
        for number, one in enumerate(subjects)
    ]


def _not_checked(
    project: Project, subjects: Sequence[Subject], walks: Mapping[str, Walk]
) -> Iterator[NotChecked]:
    told: dict[tuple[str, str, str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for subject in subjects:
        for need, names in lacking(subject, project.config.lint).items():
            why = _why(subject, need, walks[subject.bind])
            if why is None:
                continue
            key = subject.bind, str(subject.flavour), *why
            rules, revisions = told.setdefault(key, ({}, {}))
            rules.update(dict.fromkeys(names))
            revisions[subject.step.revision] = None
    for (bind, flavour, reason, todo), (rules, revisions) in told.items():
        yield NotChecked(bind, flavour, tuple(rules), reason, todo, tuple(revisions))


def _why(subject: Subject, need: Need, walked: Walk) -> tuple[str, str] | None:
    """Why a need is not met, and what to do; None where that is no gap."""
    tried = subject.after is not None
    if subject.step.direction is Direction.DOWNGRADE:
        if need != "answers":
            return None  # What it does was looked at when the upgrade was.
        seen = walked.looked.get(subject.step.revision, Looked())
        tried = seen.undone is not None or bool(seen.undo_failed)
    if need == "undone" and (subject.after is not None or subject.failed):
        return None  # missing-downgrade, or upgrade-fails, says it.
    if need == "answers" and tried:
        theirs = walked.flavour or "nobody"
        return (
            f"statements could be tried on {theirs} only",
            "Set `scratch.mysql` to such a server.",
        )
    return walked.problem or "there was no scratch database", walked.todo
