"""`orchestrator merge`: a revision that merges the heads of a bind."""

from __future__ import annotations

import click

from orchestrator.cli.history import shown_path
from orchestrator.cli.options import opened
from orchestrator.cli.output import say
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import unknown_bind
from orchestrator.revisions.author import NewRevision, merge


@click.command("merge", epilog='Example: orchestrator merge --bind shop -m "merge two features"')
@click.option(
    "--bind", "-b", metavar="BIND", help="The bind whose heads are merged (with several binds)."
)
@click.option(
    "-m",
    "--message",
    default="merge heads",
    show_default=True,
    help="What the new revision is called.",
)
@click.option("--rev-id", metavar="ID", help="The new revision's id.")
@click.argument("revisions", nargs=-1)
@opened
def command(
    project: Project,
    bind: str | None,
    message: str,
    rev_id: str | None,
    revisions: tuple[str, ...],
) -> None:
    """Merge REVISIONS (all heads by default) of one bind into one; no database is touched."""
    config = project.config
    if bind is None and len(config.binds) > 1:
        raise UsageError(
            Problem(
                f"`merge` must name one bind: there are {', '.join(config.binds)}",
                todo=f"Run `orchestrator merge --bind {next(iter(config.binds))}`.",
            )
        )
    name = bind or next(iter(config.binds))
    if name not in config.binds:
        raise UsageError(unknown_bind(config, name))
    config.require(offline=[name])
    history = project.history(name)
    if not revisions and len(history.heads) < 2:
        say(f"bind {name}: {', '.join(history.heads) or 'no revisions'}; nothing to merge")
        return
    wanted = NewRevision(message, rev_id=rev_id)
    file = merge(history, project.alembic, revisions or ("heads",), wanted)
    say(shown_path(project, file))
