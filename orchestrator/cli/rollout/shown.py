"""A rollout before it begins: its waves with their counts and rules, for people and programs.

Enters: a plan in waves.  Leaves: lines, and JSON.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.checks.lint.types import Finding, LintReport
from orchestrator.cli.lint_output import finding_lines, report_data, summary
from orchestrator.cli.mismatches import mismatch_data, mismatch_lines
from orchestrator.cli.output import named, plural
from orchestrator.cli.rollout.picture import rules
from orchestrator.errors import FindingsError, Problem
from orchestrator.execution.types import Mismatch
from orchestrator.fleet.types import Target
from orchestrator.ledger.rollout_types import WaveRow
from orchestrator.planning.plan import Plan
from orchestrator.planning.waves import WavePlan

_NAMED = 5
_MIXED = 10
"""So many targets that are not like their cohort are shown with what differs."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a rollout would be. waves: with their rows, in order. mixed: targets that are not like
    their cohort now. lint: None when it was left out. findings: those of lint that are failures."""

    plan: Plan
    digest: str
    waves: tuple[tuple[WavePlan, WaveRow], ...]
    mixed: tuple[Mismatch, ...] = ()
    lint: LintReport | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def targets(self) -> int:
        """How many targets it is about."""
        return sum(len(one.targets) for one, _ in self.waves)


def wave_lines(planned: Planned) -> Iterator[str]:
    """The waves: "canary  20 targets (eu1 10, us1 10); 8 at a time, none may fail"."""
    yield "waves:"
    width = max(len(row.name) for _, row in planned.waves)
    for one, row in planned.waves:
        said = f"{plural(len(one.targets), 'target')}{_servers(one.targets)}"
        yield f"    {row.name:<{width}}  {said}; {', '.join(rules(row))}"
        first = [target.id for target in one.targets if target.id in one.pulled]
        if first:
            yield f"    {'':<{width}}  first: {named(first, _NAMED)}"


def _servers(targets: Sequence[Target]) -> str:
    counts = Counter(target.server.name for target in targets if len(target.bind.servers) > 1)
    told = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    return f" ({told})" if told else ""


def mixed_lines(mixed: Sequence[Mismatch]) -> Iterator[str]:
    """Targets that are not like their cohort before anything runs."""
    if not mixed:
        return
    yield f"not like their cohort before it begins: {plural(len(mixed), 'target')}"
    for one in mixed[:_MIXED]:
        yield from (f"    {line}" for line in mismatch_lines(one))
    if len(mixed) > _MIXED:
        yield f"    and {plural(len(mixed) - _MIXED, 'target')} more"


def lint_lines(planned: Planned) -> Iterator[str]:
    """What lint found in the steps, as far as it counts as a failure."""
    if planned.lint is None:
        return
    for one in planned.findings:
        yield from finding_lines(one)
    more = len(planned.lint.findings) > len(planned.findings)
    tells = "; `orchestrator lint` tells them all" if more else ""
    yield f"lint: {summary(planned.lint)}{tells}"


def refused_findings(findings: Sequence[Finding]) -> FindingsError:
    """The error of findings that --yes does not agree to."""
    rules = ", ".join(dict.fromkeys(one.rule for one in findings))
    return FindingsError(
        Problem(
            f"lint has {plural(len(findings), 'finding')} ({rules}), and --yes does not agree to "
            "findings; nothing was done",
            todo="Change the revisions; or say in them why it is meant, as `# orchestrator: allow "
            f"{findings[0].rule} because ...`; or pass --allow-lint to agree to all of them.",
        )
    )


def planned_data(planned: Planned) -> dict[str, object]:
    """The same for machines."""
    return {
        "plan_digest": planned.digest,
        "targets": planned.targets,
        "waves": [_wave_data(*one) for one in planned.waves],
        "mixed": [mismatch_data(one) for one in planned.mixed],
        "lint": report_data(planned.lint) if planned.lint is not None else None,
        "blocked": [
            {"target": one.target.id, "problem": one.problem.what} for one in planned.plan.blocked
        ],
    }


def _wave_data(one: WavePlan, row: WaveRow) -> dict[str, object]:
    return {
        "name": row.name,
        "targets": [target.id for target in one.targets],
        "servers": dict(Counter(target.server.name for target in one.targets)),
        "first": [target.id for target in one.targets if target.id in one.pulled],
        "concurrency": row.concurrency,
        "max_failures": row.max_failures,
        "soak": row.soak,
        "pause": row.pause,
        "checks": [list(words) for words in row.checks],
        "check_timeout": row.check_timeout,
    }
