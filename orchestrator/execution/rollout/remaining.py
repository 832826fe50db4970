"""What is left of a rollout's plan: asked anew for each wave, under the same digest.

Enters: the plan's text from the ledger, and the rows of its targets.  Leaves: Plans of what these
targets have still to do, from where each stands now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.errors import DatabaseError
from orchestrator.execution.planner import record_again
from orchestrator.execution.project import Project
from orchestrator.fleet.state import read_fleet
from orchestrator.fleet.targets import Selection, find_targets
from orchestrator.fleet.types import Target
from orchestrator.ledger.rollout_types import RolloutTarget
from orchestrator.planning.plan import Plan
from orchestrator.planning.planfile import PlanFile
from orchestrator.planning.planfile_resume import resume
from orchestrator.revisions.recordings import Compiled, Listener, Wanted


@dataclass(frozen=True, slots=True)
class Left:
    """What some targets have still to do. gone: the rows of those that are not in the fleet any
    more."""

    plan: Plan
    gone: tuple[RolloutTarget, ...]


@dataclass(frozen=True)
class Remaining:
    """The plan of a rollout, with all that it needs to be taken up. targets: those of the rollout
    that are in the fleet, by their ids."""

    file: PlanFile
    name: str
    targets: Mapping[str, Target]
    wanted: Sequence[Wanted]
    compiled: Sequence[Sequence[Compiled]]

    @classmethod
    def of(
        cls,
        project: Project,
        file: PlanFile,
        name: str,
        rows: Sequence[RolloutTarget],
        listener: Listener,
    ) -> Remaining:
        """Find the targets, and record the plan's steps again. name: the rollout's, for messages.

        Raises UsageError for files and statements that are not those of the plan, ConfigError, and
        DatabaseError when tenants cannot be told now: one that is not found would be taken for
        gone.
        """
        wanted, compiled = record_again(project, file, name, listener)
        places = [(row.bind, row.server, row.tenant) for row in rows]
        made = cls(file, name, targets_at(project, places), wanted, compiled)
        made.plan(())
        return made

    def plan(self, rows: Sequence[RolloutTarget]) -> Left:
        """What these rows' targets have still to do, in the order of the rows."""
        targets = [self.targets[row.target] for row in rows if row.target in self.targets]
        left = resume(
            self.file,
            targets,
            read_fleet(targets),
            self.wanted,
            self.compiled,
            name=self.name,
            whole=False,
        )
        gone = tuple(row for row in rows if row.target not in self.targets)
        return Left(left.plan, gone)


def without(plan: Plan, ids: frozenset[str]) -> Plan:
    """A plan without these targets."""
    cohorts = (
        replace(
            cohort,
            targets=tuple(target for target in cohort.targets if target.id not in ids),
            continued=tuple(one for one in cohort.continued if one not in ids),
        )
        for cohort in plan.cohorts
    )
    return replace(plan, cohorts=tuple(cohort for cohort in cohorts if cohort.targets))


def targets_at(
    project: Project, places: Iterable[tuple[str, str, str | None]]
) -> dict[str, Target]:
    """The targets of these binds, servers and tenants that are in the fleet now, by their ids, in
    the order in which binds are applied.

    Raises ConfigError, and DatabaseError when tenants cannot be told now.
    """
    known = frozenset(one for one in places if one[0] in project.config.binds)
    if not known:
        return {}
    found = find_targets(project.config, Selection(among=known), allow_empty=True)
    if found.unknown:
        raise DatabaseError([one.problem for one in found.unknown])
    project.config.require(binds={target.bind.name for target in found.targets})
    return {target.id: target for target in project.in_order(found.targets)}
