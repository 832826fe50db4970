"""Targets that came after a rollout was planned: told at its end, and taken when that is asked for.

Enters: a rollout's plan.  Leaves: a Plan of what else its binds have now and is not where the plan
leads; and one plan made of two.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.execution.planner import Planner, Request
from orchestrator.execution.project import Project
from orchestrator.fleet.selections import selection_of
from orchestrator.fleet.targets import Selection, find_targets
from orchestrator.fleet.types import Target
from orchestrator.planning.digest import digest_of
from orchestrator.planning.plan import Plan
from orchestrator.planning.planfile import PlanFile, plan_document
from orchestrator.planning.statements import states_along
from orchestrator.revisions.recordings import Listener


def newcomers(
    project: Project,
    file: PlanFile,
    known: Collection[str],
    listener: Listener,
    *,
    record: bool,
) -> Plan | None:
    """The plan of targets that the plan's own selection names now, and that it does not know; None
    when there are none. known: ids of those that it does. record: so that it can be run.

    Raises what planning raises.
    """
    ends = _ends(file)
    if file.verb != "upgrade" or not ends:
        return None
    selection = selection_of(file.selection)
    binds = tuple(name for name in ends if not selection.binds or name in selection.binds)
    found = find_targets(project.config, replace(selection, binds=binds), allow_empty=True)
    new = [target for target in found.targets if target.id not in known]
    if not new:
        return None
    among = frozenset((one.bind.name, one.server.name, one.tenant) for one in new)
    written = [f"{bind}:{ends[bind]}" for bind in dict.fromkeys(one.bind.name for one in new)]
    request = Request(Selection(among=among), file.verb, written, record=record, listener=listener)
    return Planner.of(project, request).plan()


def unfinished(plan: Plan) -> tuple[Target, ...]:
    """The targets of a plan that are not where it leads, or of which that is not known."""
    moving = [target for cohort in plan.moving for target in cohort.targets]
    return (*moving, *(one.target for one in plan.blocked))


def joined(text: str, plan: Plan, project: Project) -> dict[str, Any]:
    """The document of a plan file with another plan added to it. The digest is that of both."""
    document: dict[str, Any] = json.loads(text)
    added = plan_document(plan, project.config.root, {})
    revisions: list[Mapping[str, Any]] = document["revisions"]
    paths: list[Mapping[str, Any]] = document["paths"]
    place = _placed(revisions, added["revisions"])
    moved = [
        {"steps": [{**step, "revision": place[step["revision"]]} for step in path["steps"]]}
        for path in added["paths"]
    ]
    path_of = _placed(paths, moved)
    for cohort in added["cohorts"]:
        _add(document["cohorts"], {**cohort, "path": path_of[cohort["path"]]})
    document["cohorts"].sort(
        key=lambda one: (one["bind"], one["flavour"], one["dialect"], one["from"])
    )
    document["live"] += [one for one in added["live"] if one not in document["live"]]
    document["digest"] = digest_of(document)
    return document


def _placed(there: list[Mapping[str, Any]], added: Sequence[Mapping[str, Any]]) -> list[int]:
    """Add what is not there yet; the place of each."""
    for one in added:
        if one not in there:
            there.append(one)
    return [there.index(one) for one in added]


def _add(cohorts: list[dict[str, Any]], new: dict[str, Any]) -> None:
    for one in cohorts:
        if {**one, "targets": ()} == {**new, "targets": ()}:
            one["targets"] = sorted({*one["targets"], *new["targets"]})
            return
    cohorts.append(new)


def _ends(file: PlanFile) -> dict[str, str]:
    """Where the plan leads each bind: a destination, as one writes it. Binds of which it leads
    targets to several places are left out."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for cohort in file.cohorts:
        if not cohort.steps:
            continue
        along = states_along(cohort.state, [step.changes for step in cohort.steps])
        found.setdefault(cohort.bind, set()).add(along[-1])
    return {
        bind: next(iter(ends))[0] if len(next(iter(ends))) == 1 else file.destinations[bind]
        for bind, ends in found.items()
        if len(ends) == 1
    }
