"""`orchestrator status`: where every target stands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import click

from orchestrator.cli.options import as_json, opened, selects
from orchestrator.cli.output import plural, print_json, revisions, say
from orchestrator.cli.targets import describe
from orchestrator.errors import HistoryError
from orchestrator.execution.project import Project
from orchestrator.fleet.state import read_states
from orchestrator.fleet.targets import Selection, select_targets
from orchestrator.fleet.types import State, Target
from orchestrator.revisions.history import History

LARGE = 50
"""A fleet larger than this is shown by cohort."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A target's state, in the words of its history."""

    target: Target
    state: State
    kind: str
    behind: int = 0
    detail: str = ""

    @property
    def words(self) -> str:
        """For people: "4f2a (head)", "1b7c (3 behind)", "missing: no schema t_acme"."""
        known = revisions(self.state.revisions)
        said = {
            "head": f"{known} (head)",
            "behind": f"{known} ({self.behind} behind)",
            "unknown": f"{known} (unknown: {self.detail})",
            "no-version-table": f"no version table ({self.behind} behind)",
        }
        return said.get(self.kind) or self.kind + (f": {self.detail}" if self.detail else "")


def standing(target: Target, state: State, history: History) -> Standing:
    """Read a state against a history."""
    if state.kind not in ("known", "no-version-table"):
        return Standing(target, state, state.kind, detail=state.detail)
    unknown = history.unknown(state.revisions)
    if unknown:
        words = f"no revision file has {', '.join(unknown)}"
        return Standing(target, state, "unknown", detail=words)
    try:
        behind = history.behind(state.revisions)
    except HistoryError as error:
        # Rows that contradict each other, such as a revision together with one before it.
        return Standing(target, state, "unknown", detail=error.problems[0].what)
    if state.kind == "no-version-table":
        return Standing(target, state, "no-version-table", behind)
    return Standing(target, state, "behind" if behind else "head", behind)


@click.command("status", epilog="Example: orchestrator status --bind shop --exit-code")
@selects
@as_json
@click.option("--exit-code", is_flag=True, help="Exit 1 when a target is not at head.")
@opened
def command(
    project: Project, selection: Selection, allow_empty: bool, as_json: bool, exit_code: bool
) -> int:
    """Show where every target stands: at head, behind, unknown, missing, denied, unreachable.

    Without a selection it shows the whole fleet; more than 50 targets are grouped by their state.
    """
    targets = select_targets(project.config, selection, allow_empty=allow_empty)
    binds = list(dict.fromkeys(target.bind.name for target in targets))
    project.config.require(binds=binds)
    histories = project.histories(binds)
    found = [
        standing(target, state, histories[target.bind.name])
        for target, state in zip(targets, read_states(targets), strict=True)
    ]
    if as_json:
        print_json([_as_json(one) for one in found])
    elif len(found) > LARGE:
        _print_cohorts(found)
    else:
        _print_targets(found)
    return int(exit_code and any(one.kind != "head" for one in found))


def _as_json(one: Standing) -> dict[str, object]:
    return describe(one.target) | {
        "status": one.kind,
        "revisions": list(one.state.revisions),
        "behind": one.behind,
        "detail": one.detail,
    }


def _print_targets(found: list[Standing]) -> None:
    width = max((len(one.target.id) for one in found), default=0)
    for one in found:
        say(f"{one.target.id:<{width}}  {one.words}")


def _print_cohorts(found: list[Standing]) -> None:
    """Targets of a bind that share a state, in one line, the largest cohort first."""
    for bind in dict.fromkeys(one.target.bind.name for one in found):
        cohorts = Counter(one.words for one in found if one.target.bind.name == bind)
        say(f"{bind}: {plural(sum(cohorts.values()), 'target')}")
        for words, count in cohorts.most_common():
            say(f"  {count:>7,}  {words}")
