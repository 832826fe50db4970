"""The checks of a wave: built-in ones, and commands of the user's.

Enters: a wave whose targets are through.  Leaves: whether all passed; one that did not is a reason
to stop the rollout.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from orchestrator.checks.differences import words
from orchestrator.errors import OrchestratorError
from orchestrator.execution.drift_types import Drift, Judged
from orchestrator.execution.drifting import Asked, find_drift
from orchestrator.execution.rollout.commands import run_command
from orchestrator.execution.rollout.context import Context
from orchestrator.execution.rollout.driving import THROUGH, mismatch_words, named
from orchestrator.execution.rollout.types import DRIFT, VERIFY, CheckResult
from orchestrator.execution.types import Outcome
from orchestrator.fleet.state import read_fleet
from orchestrator.ledger.rollout_types import RolloutTarget, WaveRow
from orchestrator.passwords import redact

_SHOWN = 10
"""How many lines of differences a check's output has."""


def passes(
    context: Context, wave: WaveRow, rows: Sequence[RolloutTarget], *, soaked: bool = False
) -> bool:
    """Run the checks of a wave, one after the other, up to the first that fails. False then, and
    when the rollout is to go no further.

    rows: the targets that they are about. soaked: they are run again, after the soak.
    """
    for check in wave.checks:
        if context.ending.came:
            return False
        name = " ".join(check)
        context.observer.check_started(wave, name)
        result = _run(context, wave, rows, check, soaked=soaked)
        if result is None:
            return False
        context.observer.checked(wave, result)
        if not result.passed:
            last = result.output.rpartition("\n")[2]
            when = " after the soak" if soaked else ""
            what = f"wave {wave.name}: check {result.name} failed{when}"
            context.ending.ask("stopped", f"{what}: {last}" if last else what)
            return False
    return not context.ending.came


def _run(
    context: Context,
    wave: WaveRow,
    rows: Sequence[RolloutTarget],
    check: tuple[str, ...],
    *,
    soaked: bool,
) -> CheckResult | None:
    if check not in (VERIFY, DRIFT):
        told = told_to_commands(context, wave, rows, soaked=soaked)
        root = context.project.config.root
        return run_command(
            check,
            told,
            root,
            stopping=lambda: context.ending.came,
            seconds=wave.check_timeout,
        )
    began = time.monotonic()
    through = [row for row in rows if row.state in THROUGH]
    try:
        lines = (_verify if check == VERIFY else _drift)(context, through)
    except OrchestratorError as error:
        lines = [problem.what for problem in error.problems]
    if len(lines) > _SHOWN:
        lines = [*lines[:_SHOWN], f"and {len(lines) - _SHOWN:,} more"]
    output = redact("\n".join(lines))
    return CheckResult(check[0], not lines, output, time.monotonic() - began)


def told_to_commands(
    context: Context, wave: WaveRow, rows: Sequence[RolloutTarget], *, soaked: bool
) -> dict[str, object]:
    """What a command reads on stdin as JSON.

    {"rollout": ID, "wave": NAME, "soaked": whether it is run again after the soak, "targets":
    [{"target", "bind", "server", "tenant", "schema", "database", "revisions", "labels",
    "result"}]}; server is its name in databases.yaml, and result one of "done", "unchanged",
    "failed", "different".
    """
    found = [row for row in rows if row.target in context.remaining.targets]
    targets = [context.remaining.targets[row.target] for row in found]
    states = read_fleet(targets).states
    return {
        "rollout": context.row.id,
        "wave": wave.name,
        "soaked": soaked,
        "targets": [
            {
                "target": target.id,
                "bind": target.bind.name,
                "server": target.server.name,
                "tenant": target.tenant,
                "schema": target.schema,
                "database": target.database,
                "revisions": sorted(state.revisions),
                "labels": dict(target.labels),
                "result": row.state,
            }
            for row, target, state in zip(found, targets, states, strict=True)
        ],
    }


def _verify(context: Context, rows: Sequence[RolloutTarget]) -> list[str]:
    """What is not as it was when the wave was verified."""
    assert context.verifier is not None, "it is there when a wave has this check"
    targets = [
        context.remaining.targets[row.target]
        for row in rows
        if row.target in context.remaining.targets
    ]
    told = context.verifier.after([Outcome(target, "done") for target in targets])
    for one in told:
        context.observer.differs(one)
    return [f"{one.target.id}: {mismatch_words(one)}" for one in told]


def _drift(context: Context, rows: Sequence[RolloutTarget]) -> list[str]:
    """What is not as its own revision says. The models are left out: they may be ahead of the
    plan."""
    targets = [
        context.remaining.targets[row.target]
        for row in rows
        if row.target in context.remaining.targets
    ]
    found = find_drift(context.project, targets, Asked(models=False), lambda _words: None)
    return _drift_lines(found)


def _drift_lines(found: Drift) -> list[str]:
    lines = [
        f"{named([one.id for one in aside.targets])}: {aside.kind}"
        + (f": {aside.detail}" if aside.detail else "")
        for aside in found.asides
    ]
    lines += [_judged(one) for one in found.groups if one.verdict != "as-revision"]
    return lines


def _judged(one: Judged) -> str:
    told = one.reason or "; ".join(words(difference) for difference in one.differences)
    return f"{named([target.id for target in one.group.targets])}: {told}"
