"""`orchestrator init`: lays out a project, or adopts an Alembic tree where it stands."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.output import say
from orchestrator.errors import Problem, UsageError
from orchestrator.revisions.layout.layout import lay_out
from orchestrator.revisions.layout.types import Laid


@click.command("init", epilog="Examples: orchestrator init; orchestrator init services/shop")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--alembic-ini",
    "alembic_ini",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The Alembic tree to adopt, when there are several.",
)
@click.pass_context
def command(ctx: click.Context, folder: Path | None, alembic_ini: Path | None) -> None:
    """Lay out databases.yaml, alembic.ini and migrations/ in DIR (here by default).

    Files that stand there are kept. An existing Alembic tree is adopted where it stands: its env.py
    is kept as env_before.py, and what could not be carried over from it is listed.
    """
    given = ctx.obj or {}
    if given.get("config_file"):
        raise UsageError(
            Problem(
                "init makes databases.yaml in DIR, and -c names another",
                todo="Run `orchestrator init DIR` without -c.",
            )
        )
    folder = folder or given.get("project_root") or Path()
    laid = lay_out(folder, alembic_ini)
    _print_files(laid)
    for note in laid.notes:
        say(f"note: {note}")
    if laid.left:
        say("Not carried over from the old env.py:")
        for one in laid.left:
            say(f"    {one.where}: {one.name}: {one.why}")
    _print_next(laid, folder)


def _print_files(laid: Laid) -> None:
    width = max(len(file.path) for file in laid.files)
    for file in laid.files:
        line = f"{file.action:<8}  {file.path:<{width}}  {file.note}"
        say(line.rstrip())
    if all(file.action == "kept" for file in laid.files):
        say("All is there already; nothing was changed.")


def _print_next(laid: Laid, folder: Path) -> None:
    say()
    say("Next:")
    if laid.root != Path.cwd():
        say(f"    cd {folder}")
    if laid.variable:
        say(f"    export {laid.variable}=postgresql://user@localhost/database")
    if laid.revisions:
        say("    orchestrator status")
    else:
        say('    orchestrator revision -m "first tables"')
        say("    orchestrator upgrade --all")
