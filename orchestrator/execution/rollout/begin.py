"""The beginning of a rollout: a plan and its waves, as the ledger keeps them.

Enters: a Plan, its targets in waves, and their fingerprints.  Leaves: a new rollout in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.config import Rollout
from orchestrator.fleet.types import Target
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutRow, RolloutTarget, RolloutView, WaveRow
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.ledger.writer import run_id
from orchestrator.planning.plan import Plan
from orchestrator.planning.planfile import write_plan
from orchestrator.planning.statements import states_along
from orchestrator.planning.waves import WavePlan, budget


@dataclass(frozen=True, slots=True)
class Begun:
    """A rollout that is not in the ledger yet."""

    row: RolloutRow
    waves: tuple[WaveRow, ...]
    targets: tuple[RolloutTarget, ...]


def moving_targets(plan: Plan) -> tuple[Target, ...]:
    """The targets that a rollout of this plan is about: those with steps to take."""
    return tuple(target for cohort in plan.moving for target in cohort.targets)


def begin(
    ledger: Ledger,
    plan: Plan,
    document: Mapping[str, Any],
    waves: Sequence[WavePlan],
    rules: Rollout,
    *,
    who: str,
    verify: bool = True,
    before: Mapping[str, str] | None = None,
    shapes: str = "",
    reverts: str = "",
) -> RolloutView:
    """Write a new rollout into the ledger; nobody drives it yet (see Controller).

    document: the plan, as `plan_document` gives it. waves: its moving targets, from
    `planning.waves.split`. rules: what counts where a wave says nothing. before: fingerprints by
    targets' ids, from `Verifier.before`. shapes: `Verifier.kept`. Raises UsageError when one of its
    binds is in another rollout, and LedgerError.
    """
    now = ledger.now()
    row = RolloutRow(
        id=run_id(now),
        verb=plan.goal.verb,
        who=who,
        created=now,
        changed=now,
        digest=document["digest"],
        plan=write_plan(document),
        verify=verify,
        reverts=reverts,
        shapes=shapes,
    )
    begun = rows_of(row, plan, waves, rules, before or {})
    rollouts = Rollouts(ledger)
    rollouts.create(begun.row, begun.waves, begun.targets)
    return rollouts.view(row.id)


def rows_of(
    row: RolloutRow,
    plan: Plan,
    waves: Sequence[WavePlan],
    rules: Rollout,
    before: Mapping[str, str],
) -> Begun:
    """The rows of a rollout."""
    made = tuple(wave_row(number, one, rules) for number, one in enumerate(waves))
    targets: list[RolloutTarget] = []
    for number, one in enumerate(waves):
        targets += target_rows(plan, one.targets, before, wave=number, first=len(targets))
    return Begun(row, made, tuple(targets))


def wave_row(number: int, planned: WavePlan, rules: Rollout) -> WaveRow:
    """A wave with its rules, defaults filled in."""
    wave = planned.wave
    return WaveRow(
        number,
        wave.name,
        len(planned.targets),
        wave.concurrency or rules.concurrency,
        budget(wave.max_failures or rules.max_failures, len(planned.targets)),
        wave.soak,
        wave.pause,
        rules.checks if wave.checks is None else wave.checks,
        rules.check_timeout if wave.check_timeout is None else wave.check_timeout,
    )


def target_rows(
    plan: Plan,
    targets: Sequence[Target],
    before: Mapping[str, str],
    *,
    wave: int,
    first: int,
) -> Iterator[RolloutTarget]:
    """The rows of some targets of a plan, numbered in their order from `first`."""
    ways = {}
    for cohort in plan.cohorts:
        along = states_along(cohort.state, [one.step.changes for one in cohort.steps])
        way = ",".join(cohort.state), ",".join(along[-1])
        ways.update({target.id: way for target in cohort.targets})
    for number, target in enumerate(targets, first):
        start, end = ways[target.id]
        yield RolloutTarget(
            number,
            wave,
            target.id,
            target.bind.name,
            target.server.name,
            target.tenant,
            start,
            end,
            before=before.get(target.id, ""),
        )
