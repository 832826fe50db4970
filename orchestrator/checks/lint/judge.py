"""Subjects -> Findings: each rule is asked, squawk's words are taken in, and comments are heeded.

Enters: the Subjects of one revision file (one for each flavour that it runs on), what squawk says
of each, and the `lint:` section.  Leaves: Findings.  No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.checks.lint.catalogue import all_rules
from orchestrator.checks.lint.registry import Need, Rule
from orchestrator.checks.lint.source import Allow
from orchestrator.checks.lint.squawk_rules import (
    NEW_TABLES_ARE_FREE,
    PREFIX,
    TWINS,
    SquawkHit,
    severity_of,
)
from orchestrator.checks.lint.tables import created, tables_of
from orchestrator.checks.lint.types import Finding, Hit, Severity, Subject
from orchestrator.config import Lint

UNUSED = "allow-unused"
"""The rule that is asked last."""


@dataclass(frozen=True, slots=True)
class Case:
    """A subject with what squawk says of it; None where squawk was not asked."""

    subject: Subject
    squawk: Sequence[SquawkHit] | None = None


def judge(cases: Sequence[Case], settings: Lint) -> tuple[Finding, ...]:
    """What is found in one revision file. All cases share its allows."""
    found = [_heeded(case.subject, _asked(case, settings)) for case in cases]
    unused = _unused(cases, found, settings)
    for case, findings in zip(cases, found, strict=True):
        subject = replace(case.subject, unused=unused)
        rule = all_rules()[UNUSED]
        findings += _of_rule(rule, subject, settings)
    return tuple(sorted(_merged([one for some in found for one in some]), key=_order))


def lacking(subject: Subject, settings: Lint) -> Mapping[Need, tuple[str, ...]]:
    """The rules that could not be asked about a subject, by what they lack."""
    told: dict[Need, list[str]] = {}
    for rule in all_rules().values():
        if rule.applies(subject) and severity_in(settings, rule.name, rule.severity) is not None:
            for need in rule.lacks(subject) - {"others"}:
                told.setdefault(need, []).append(rule.name)
    return {need: tuple(names) for need, names in told.items()}


def severity_in(settings: Lint, name: str, own: Severity) -> Severity | None:
    """A rule's severity as the project sets it; None when it is off."""
    said = settings.rules.get(name, own)
    return None if said == "off" else said


def _asked(case: Case, settings: Lint) -> Iterator[Finding]:
    for rule in all_rules().values():
        if rule.name != UNUSED:
            yield from _of_rule(rule, case.subject, settings)
    yield from _of_squawk(case, settings)


def _of_rule(rule: Rule, subject: Subject, settings: Lint) -> list[Finding]:
    severity = severity_in(settings, rule.name, rule.severity)
    if severity is None or not rule.applies(subject) or rule.lacks(subject):
        return []
    hits = dict.fromkeys(rule.check(subject))
    return [_finding(subject, rule.name, severity, hit) for hit in hits]


def _of_squawk(case: Case, settings: Lint) -> Iterator[Finding]:
    subject = case.subject
    new = created(subject)
    for hit in case.squawk or ():
        ours = TWINS.get(hit.rule)
        if ours is not None and not all_rules()[ours].lacks(subject):
            continue
        default = severity_of(hit.rule)
        said = settings.rules.get(PREFIX + hit.rule, default)
        if said == "off":
            continue
        sent = subject.sent[hit.statement]
        about = tables_of(sent, subject.flavour.family)
        if hit.rule in NEW_TABLES_ARE_FREE and about and about <= new:
            continue
        todo = f"{_sentence(hit.todo)}." if hit.todo else ""
        found = Hit(_sentence(hit.message), todo, sent.line, sent.text)
        yield _finding(subject, PREFIX + hit.rule, said, found)


def _sentence(text: str) -> str:
    """squawk's words as ours are written: on one line, a message without its full stop."""
    return " ".join(text.split()).removesuffix(".")


def _finding(subject: Subject, name: str, severity: Severity, hit: Hit) -> Finding:
    return Finding(
        name,
        severity,
        subject.bind,
        str(subject.flavour),
        subject.step.revision,
        str(subject.step.direction),
        subject.file,
        hit.line,
        hit.message,
        hit.todo,
        hit.statement,
    )


def _heeded(subject: Subject, findings: Iterator[Finding]) -> list[Finding]:
    return [
        replace(one, allowed=allow.because) if (allow := _allowing(subject, one)) else one
        for one in findings
    ]


def _allowing(subject: Subject, finding: Finding) -> Allow | None:
    return next((one for one in subject.allows if one.covers(finding.rule, finding.line)), None)


def _unused(
    cases: Sequence[Case], found: Sequence[Sequence[Finding]], settings: Lint
) -> tuple[Allow, ...]:
    """The comments that nothing needed, as far as that can be told: each of their rules was asked,
    in every case, or there is no such rule."""
    subjects = [case.subject for case in cases]
    findings = [one for some in found for one in some]
    return tuple(
        allow
        for allow in (subjects[0].allows if subjects else ())
        if allow.because
        and not any(allow.covers(one.rule, one.line) for one in findings)
        and all(_told(name, cases, settings) for name in allow.rules)
    )


def _told(name: str, cases: Sequence[Case], settings: Lint) -> bool:
    """Whether a rule would have found what it is about, or is not known at all."""
    if name.startswith(PREFIX):
        return any(case.squawk is not None for case in cases)
    rule = all_rules().get(name)
    if rule is None:
        return True
    if severity_in(settings, name, rule.severity) is None:
        return False
    return not any(rule.applies(one.subject) and rule.lacks(one.subject) for one in cases)


def _merged(findings: Sequence[Finding]) -> list[Finding]:
    """The same finding on several flavours as one."""
    kept: dict[tuple[object, ...], Finding] = {}
    for one in findings:
        key = (one.rule, one.bind, one.file, one.line, one.message, one.statement)
        if key in kept and one.flavour not in kept[key].flavour.split(", "):
            kept[key] = replace(kept[key], flavour=f"{kept[key].flavour}, {one.flavour}")
        kept.setdefault(key, one)
    return list(kept.values())


def _order(one: Finding) -> tuple[str, int, str, str]:
    return one.file, one.line, one.rule, one.message
