"""`orchestrator lint --live`: the revisions that cannot be recorded, and why.

Enters: a project and binds.  Leaves: lines on stdout; no database is touched.
"""

from __future__ import annotations

from orchestrator.cli.apply import told
from orchestrator.cli.output import plural, print_json, say
from orchestrator.config import Bind, Flavour
from orchestrator.execution.lint_choice import ASSUMED
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection, selected_binds
from orchestrator.revisions.history import History
from orchestrator.revisions.recordings import Wanted, compile_cached
from orchestrator.revisions.types import LiveReason, Step


def list_live(project: Project, binds: tuple[str, ...], *, as_json: bool) -> int:
    """Print them. All other revisions are compiled to SQL once, and replayed on every target."""
    chosen = selected_binds(project.config, Selection(binds=binds))
    project.config.require(binds=[bind.name for bind in chosen if bind.family is None])
    histories = project.histories([bind.name for bind in chosen])
    wanted = [
        Wanted(bind.name, flavour, flavour.name, steps)
        for bind in chosen
        for flavour in (_flavour(bind),)
        for steps in _paths(histories[bind.name])
    ]
    found = {bind.name: list[tuple[Step, LiveReason]]() for bind in chosen}
    compiled = compile_cached(project.config, wanted, told())
    for path, recorded in zip(wanted, compiled, strict=True):
        for step, one in zip(path.steps, recorded, strict=True):
            found[path.bind] += [(step, reason) for reason in one.recording.live]
    if as_json:
        print_json([_data(name, *one) for name, some in found.items() for one in some])
        return 0
    for bind in chosen:
        total = len(histories[bind.name].scripts())
        _print(bind.name, total, found[bind.name])
    return 0


def _flavour(bind: Bind) -> Flavour:
    """Whether a step is live rarely depends on it, and no connection is made to ask."""
    flavour = bind.flavour or ASSUMED[bind.family or "postgresql"]
    return flavour.series


def _paths(history: History) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """From base to the heads, and back."""
    up = history.path((), history.upgrade("heads"))
    return up, history.path(history.heads, history.downgrade("base"))


def _print(bind: str, total: int, found: list[tuple[Step, LiveReason]]) -> None:
    live = len({step.revision for step, _reason in found})
    say(f"{bind}: {live:,} of {plural(total, 'revision')} live")
    for step, reason in found:
        say(f"    {step.revision} ({step.direction})  {step.message}")
        say(f"        {reason.name}, {reason.where}: {reason.detail}")


def _data(bind: str, step: Step, reason: LiveReason) -> dict[str, str]:
    return {
        "bind": bind,
        "revision": step.revision,
        "direction": str(step.direction),
        "message": step.message,
        "reason": reason.name,
        "where": reason.where,
        "detail": reason.detail,
    }
