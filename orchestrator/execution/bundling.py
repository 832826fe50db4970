"""What a DBA's bundle is made of: the plan, its way back, and the binds in their order.

Enters: a project and a Plan.  Leaves: a Content for `planning.bundle`.  Nothing is run, and no
connection is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.execution.project import Project
from orchestrator.execution.stages import stages
from orchestrator.planning.bundle.folder import Content
from orchestrator.planning.bundle.remarks import Remarks
from orchestrator.planning.plan import Cohort, Plan, PlanStep
from orchestrator.planning.planfile import plan_document
from orchestrator.planning.statements import states_along
from orchestrator.revisions.recordings import Listener, Wanted, compile_cached
from orchestrator.revisions.types import Direction, Step


def content_of(
    project: Project,
    plan: Plan,
    selection: Mapping[str, Any],
    listener: Listener,
    remarks: Remarks,
) -> Content:
    """Everything that a bundle holds. selection: as the plan's document keeps it. remarks: what
    lint says. Raises what `compile_cached` raises."""
    root = project.config.root
    binds = [project.config.binds[name] for name in dict.fromkeys(c.bind for c in plan.cohorts)]
    places = {
        bind.name: number
        for number, stage in enumerate(stages(project.config, binds), start=1)
        for bind in stage
    }
    return Content(
        plan,
        plan_document(plan, root, selection),
        _ways_back(project, plan.moving, listener),
        places,
        root,
        datetime.now(UTC),
        remarks,
    )


def _ways_back(
    project: Project, cohorts: Sequence[Cohort], listener: Listener
) -> list[tuple[PlanStep, ...]]:
    """For each cohort the steps that undo its path, recorded."""
    wanted = [Wanted(one.bind, one.flavour, one.dialect, _undoing(project, one)) for one in cohorts]
    compiled = compile_cached(project.config, wanted, listener)
    return [
        tuple(
            PlanStep(step, one.recording, one.source, one.remembered)
            for step, one in zip(path.steps, recorded, strict=True)
        )
        for path, recorded in zip(wanted, compiled, strict=True)
    ]


def _undoing(project: Project, cohort: Cohort) -> tuple[Step, ...]:
    """The steps back, last first, each from where the one before left."""
    history = project.history(cohort.bind)
    states = states_along(cohort.state, [one.step.changes for one in cohort.steps])
    found: list[Step] = []
    for one, after in zip(reversed(cohort.steps), reversed(states), strict=False):
        turned = {
            Direction.UPGRADE: Direction.DOWNGRADE,
            Direction.DOWNGRADE: Direction.UPGRADE,
        }[one.step.direction]
        found += history.path(after, history.one_step(one.step.revision, turned))
    return tuple(found)
