"""`orchestrator heads`: the heads of each bind."""

from __future__ import annotations

import click

from orchestrator.cli.history import binds_option, histories_of
from orchestrator.cli.options import as_json, opened
from orchestrator.cli.output import print_json, say
from orchestrator.execution.project import Project


@click.command("heads", epilog="Example: orchestrator heads --json")
@binds_option
@as_json
@opened
def command(project: Project, binds: tuple[str, ...], as_json: bool) -> None:
    """Show the heads of each bind; no database is touched. A bind should have one."""
    heads = {name: history.heads for name, history in histories_of(project, binds).items()}
    if as_json:
        print_json({name: list(found) for name, found in heads.items()})
        return
    width = max(map(len, heads), default=0)
    for name, found in heads.items():
        advice = f"  (orchestrator merge --bind {name})" if len(found) > 1 else ""
        say(f"{name:<{width}}  {', '.join(found) or 'no revisions'}{advice}")
