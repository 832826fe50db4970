"""`orchestrator lint`: what in the histories slows or endangers a fleet."""

from __future__ import annotations

import click

from orchestrator.cli.apply import told
from orchestrator.cli.history import binds_option
from orchestrator.cli.options import as_json, opened
from orchestrator.cli.output import plural, print_json, say
from orchestrator.config import Bind, Flavour
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection, selected_binds
from orchestrator.revisions.history import History
from orchestrator.revisions.recordings import Wanted, compile_cached
from orchestrator.revisions.types import LiveReason, Step

ASSUMED = {"postgresql": Flavour("postgresql", (16,)), "mysql": Flavour("mysql", (8, 4))}
"""What revisions are recorded for when a bind names no flavour: whether a step is live rarely
depends on it, and no connection is made to ask."""


@click.command("lint", epilog="Example: orchestrator lint --live --bind shop")
@click.option(
    "--live",
    is_flag=True,
    help="List the live revisions: their Python needs the connection, so each target pays for it.",
)
@binds_option
@as_json
@opened
def command(project: Project, live: bool, binds: tuple[str, ...], as_json: bool) -> int:
    """List the live revisions of each bind, with the reason and its line. No database is touched.

    All other revisions are compiled to SQL once, and replayed on every target. Exits 0.
    """
    if not live:
        raise UsageError(
            Problem("lint does not know what to look for", todo="Run `orchestrator lint --live`.")
        )
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
