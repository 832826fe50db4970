"""What lint found, for people, for programs and for GitHub.

Enters: a LintReport.  Leaves: lines: findings on stdout, what was not checked on stderr.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from orchestrator.checks.lint.catalogue import all_rules
from orchestrator.checks.lint.squawk_rules import PREFIX, SEVERITIES, TWINS, severity_of
from orchestrator.checks.lint.types import SEVERITIES as ALL_SEVERITIES
from orchestrator.checks.lint.types import Finding, LintReport
from orchestrator.cli.output import note, plural, print_json, say
from orchestrator.config import Lint

_LONGEST = 100
"""Characters of a statement that are shown."""


def placed(report: LintReport, root: Path) -> LintReport:
    """The same with files as they are called from the working directory, which editors and GitHub
    (run at the top of a repository) follow. root: the project's."""
    here = Path.cwd()

    def called(file: str) -> str:
        path = root / file
        return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)

    findings = tuple(replace(one, file=called(one.file)) for one in report.findings)
    return replace(report, findings=findings)


def print_report(report: LintReport) -> None:
    """For people: `file:line: severity rule: message`, then what to do."""
    for one in report.findings:
        if not one.allowed:
            for line in finding_lines(one):
                say(line)
    say(summary(report))


def finding_lines(one: Finding) -> Iterator[str]:
    """One finding for people."""
    yield f"{_place(one)}: {one.severity} {one.rule}: {one.message}"
    if one.statement:
        yield f"    {_shortened(one.statement)}"
    if one.todo:
        yield f"    {one.todo}"


def summary(report: LintReport) -> str:
    """ "12 revisions: 2 errors, 1 warning; 3 findings allowed"."""
    told = [one for one in report.findings if not one.allowed]
    counts = [
        plural(count, severity)
        for severity in reversed(ALL_SEVERITIES)
        if (count := sum(one.severity == severity for one in told))
    ]
    allowed = len(report.findings) - len(told)
    more = f"; {plural(allowed, 'finding')} allowed" if allowed else ""
    return f"{plural(report.revisions, 'revision')}: {', '.join(counts) or 'nothing found'}{more}"


def tell_not_checked(report: LintReport) -> None:
    """On stderr: the rules that could not be asked."""
    for one in report.not_checked:
        revisions = f"{plural(len(one.revisions), 'revision')}, " if len(one.revisions) > 1 else ""
        first = f"revision {one.revisions[0]}, " if len(one.revisions) == 1 else revisions
        note(
            f"bind {one.bind}, {first}{one.flavour}: not checked for {', '.join(one.rules)}: "
            f"{one.reason}"
        )
        if one.todo:
            note(f"    {one.todo}")


def report_data(report: LintReport) -> dict[str, object]:
    """For programs."""
    return {
        "revisions": report.revisions,
        "findings": [asdict(one) for one in report.findings],
        "not_checked": [asdict(one) for one in report.not_checked],
    }


def github_lines(report: LintReport) -> Iterator[str]:
    """As workflow commands of GitHub ("Workflow commands for GitHub Actions", "Setting a notice
    message" and its kin)."""
    for one in report.findings:
        if not one.allowed:
            message = f"{one.message}. {one.todo}" if one.todo else one.message
            where = f"file={_value(one.file)},line={max(one.line, 1)}"
            yield f"::{one.severity} {where},title={_value(one.rule)}::{_data(message)}"
    for gap in report.not_checked:
        words = f"bind {gap.bind}: not checked for {', '.join(gap.rules)}: {gap.reason}"
        yield f"::notice title=lint::{_data(words)}"


def _data(text: str) -> str:
    """As actions/toolkit escapes a message (packages/core/src/command.ts)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _place(one: Finding) -> str:
    return f"{one.file}:{one.line}" if one.line else one.file


def _shortened(statement: str) -> str:
    line = " ".join(statement.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def print_rules(settings: Lint, *, as_json: bool) -> None:
    """Every rule with its severity in this project; of squawk's, those whose severity differs from
    what all others have."""
    ours = {
        one.name: (settings.rules.get(one.name, one.severity), one.summary)
        for one in all_rules().values()
    }
    theirs = {
        f"{PREFIX}{name}": (settings.rules.get(f"{PREFIX}{name}", severity_of(name)), "")
        for name in SEVERITIES
        if name not in TWINS
    }
    if as_json:
        print_json(
            [
                {"rule": name, "severity": severity, "summary": words}
                for name, (severity, words) in {**ours, **theirs}.items()
            ]
        )
        return
    width = max(map(len, ours))
    for name, (severity, words) in ours.items():
        say(f"{name:<{width}}  {severity:<7}  {words}")
    say()
    say(f"{PREFIX}RULE: what squawk finds besides, as warning (https://squawkhq.com/docs/rules):")
    for name, (severity, _words) in theirs.items():
        say(f"    {name}: {severity}")
