"""All files of a bundle.

Enters: a Plan with its document, the way back of each cohort, and what lint says.  Leaves: files by
their paths in the bundle.  No I/O but the runner's own text, which ships with the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Literal

from orchestrator.planning.bundle import listing
from orchestrator.planning.bundle.parts import Parts, Way, parts_of, text_of
from orchestrator.planning.bundle.remarks import Remarks
from orchestrator.planning.bundle.types import Script
from orchestrator.planning.plan import Cohort, Plan, PlanStep
from orchestrator.planning.planfile import write_plan
from orchestrator.planning.statements import states_along

RUNNER = "run-all.sh"
PLAN = "plan.json"
SUMS = "SHA256SUMS"
README = "README.md"


@dataclass(frozen=True, slots=True)
class Content:
    """What a bundle is made of.

    document: the plan's (`planning.planfile.plan_document`). back: for each moving cohort, in the
    plan's order, the steps that undo its path, last first. stages: the names of the binds by stage.
    remarks: locks, and what lint says. made: when.
    """

    plan: Plan
    document: Mapping[str, Any]
    back: Sequence[tuple[PlanStep, ...]]
    stages: Mapping[str, int]
    root: Path
    made: datetime
    remarks: Remarks

    @property
    def digest(self) -> str:
        """The plan's."""
        return str(self.document["digest"])


@dataclass(frozen=True, slots=True)
class CohortScripts:
    """A cohort with its scripts there and back."""

    cohort: Cohort
    there: Parts
    back: Parts


def cohort_scripts(content: Content) -> tuple[CohortScripts, ...]:
    """The scripts of every moving cohort. Cohorts of one path and dialect share theirs, unless the
    servers' versions make them differ: then the version stands in the folder's name."""
    found: list[CohortScripts] = []
    texts: dict[str, bytes] = {}
    for cohort, back in zip(content.plan.moving, content.back, strict=True):
        for dialect in (cohort.flavour.name, str(cohort.flavour)):
            one = _scripts(content, cohort, back, dialect)
            written = {script.path: text_of(script) for script in all_scripts([one])}
            if all(texts.get(path, text) == text for path, text in written.items()):
                break
        texts |= written
        found.append(one)
    return tuple(found)


def _scripts(
    content: Content, cohort: Cohort, back: tuple[PlanStep, ...], dialect: str
) -> CohortScripts:
    up = content.plan.goal.verb != "downgrade"
    there: Literal["up", "down"] = "up" if up else "down"
    bind = cohort.targets[0].bind
    # The flavour's name alone, so that servers of several versions can share a script.
    flavour = (
        cohort.flavour if dialect == str(cohort.flavour) else replace(cohort.flavour, version=())
    )
    way = Way(
        bind,
        flavour,
        cohort.state,
        cohort.steps,
        there,
        f"{bind.name}/{dialect}",
        content.digest,
        content.root,
    )
    end = states_along(cohort.state, [one.step.changes for one in cohort.steps])[-1]
    turned = replace(way, state=end, steps=back, way="down" if up else "up")
    return CohortScripts(cohort, parts_of(way), parts_of(turned) if back else Parts())


def all_scripts(found: Sequence[CohortScripts]) -> list[Script]:
    """Every script once."""
    by_path = {
        script.path: script for one in found for script in (*one.there.scripts, *one.back.scripts)
    }
    return list(by_path.values())


def stages_in_order(content: Content) -> dict[str, int]:
    """The stage of each bind, from 1 in the order in which they are run. What a bind depends on is
    taken back last, as it was made first."""
    last, back = max(content.stages.values(), default=1), content.plan.goal.verb == "downgrade"
    return {bind: last + 1 - one if back else one for bind, one in content.stages.items()}


def target_lines(content: Content, found: Sequence[CohortScripts]) -> list[listing.Line]:
    """The lines of `targets.csv`: targets in the order in which they are to be run."""
    stages = stages_in_order(content)
    lines = [
        listing.line_of(
            target,
            one.cohort,
            stages[one.cohort.bind],
            [script.path for script in one.there.scripts],
            [script.path for script in one.back.scripts],
        )
        for one in found
        for target in one.cohort.targets
    ]
    return sorted(lines, key=lambda line: int(line.stage))


def bundle_files(content: Content, readme: str, found: Sequence[CohortScripts]) -> dict[str, bytes]:
    """The files, `SHA256SUMS` of all the others last."""
    files = {
        README: readme.encode(),
        PLAN: write_plan(dict(content.document)).encode("ascii"),
        listing.NAME: listing.write_lines(target_lines(content, found)).encode(),
        RUNNER: runner(),
    }
    files |= {script.path: text_of(script) for script in all_scripts(found)}
    sums = "".join(f"{sha256(data).hexdigest()}  {path}\n" for path, data in sorted(files.items()))
    return {**files, SUMS: sums.encode()}


def runner() -> bytes:
    """The text of `run-all.sh`."""
    return package_files("orchestrator.planning.bundle").joinpath(RUNNER).read_bytes()
