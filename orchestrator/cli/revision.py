"""`orchestrator revision`: new revision files for every bind that changed."""

from __future__ import annotations

import click

from orchestrator.cli.history import shown_path
from orchestrator.cli.options import opened
from orchestrator.cli.output import note, plural, say
from orchestrator.config import Bind
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.comparison import compare
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection, selected_binds, target_named
from orchestrator.fleet.types import Target
from orchestrator.revisions.author import Draft, NewRevision, write, write_empty


@click.command(
    "revision",
    epilog='Examples: orchestrator revision -m "add orders"; '
    'orchestrator revision --empty --bind shop -m "fill prices"',
)
@click.option("-m", "--message", help="What the revision does.")
@click.option("--bind", "-b", "binds", multiple=True, metavar="BIND", help="Only this bind.")
@click.option("--empty", is_flag=True, help="Write a file to fill by hand; no database is needed.")
@click.option(
    "--against",
    metavar="TARGET",
    help="Compare with this target, which must be at head, instead of a scratch database.",
)
@click.option("--drop-tables", is_flag=True, help="Propose to drop tables that no app owns.")
@click.option(
    "--head", default="head", show_default=True, metavar="REV", help="The revision to build on."
)
@click.option("--splice", is_flag=True, help="Allow a --head that is not a head.")
@click.option("--branch-label", metavar="LABEL", help="A label for a new branch.")
@click.option(
    "--depends-on",
    multiple=True,
    metavar="REV",
    help="A revision of this bind that must run before.",
)
@click.option("--rev-id", metavar="ID", help="The new revision's id (with one bind).")
@opened
def command(
    project: Project,
    message: str | None,
    binds: tuple[str, ...],
    empty: bool,
    against: str | None,
    drop_tables: bool,
    head: str,
    splice: bool,
    branch_label: str | None,
    depends_on: tuple[str, ...],
    rev_id: str | None,
) -> None:
    """Write one revision file for each bind whose models changed, none for one that did not.

    Models are compared with the bind's own history, run on a scratch database that is dropped at
    the end. Tables that no app owns are never proposed for dropping, unless asked.
    """
    chosen = selected_binds(project.config, Selection(binds=binds))
    wanted = NewRevision(message, head, splice, branch_label, rev_id, depends_on)
    target = target_named(project.config, against) if against else None
    if target is not None:
        if binds and binds != (target.bind.name,):
            raise UsageError(Problem(f"--against {target.id} and --bind {', '.join(binds)} differ"))
        chosen = (target.bind,)
    if (rev_id or empty) and len(chosen) > 1:
        raise UsageError(
            Problem(
                f"{'--empty' if empty else '--rev-id'} is for one bind, and there are "
                + ", ".join(bind.name for bind in chosen),
                todo=f"Add --bind {chosen[0].name}.",
            )
        )
    project.config.require(offline=[bind.name for bind in chosen])
    if empty:
        file = write_empty(project.history(chosen[0].name), project.alembic, wanted)
        say(f"{chosen[0].name}: {shown_path(project, file)}")
        return
    # Every bind is compared before the first file is written: an error leaves no half of a change.
    drafts = [(bind, _draft(project, bind, wanted, target, drop_tables)) for bind in chosen]
    for bind, draft in drafts:
        _write(project, bind, draft, drop_tables)


def _draft(
    project: Project, bind: Bind, wanted: NewRevision, target: Target | None, drop_tables: bool
) -> Draft:
    if target is not None:
        project.config.require(binds=[bind.name])
    _ = project.models  # A broken app is told before a database is made for it.
    note(f"bind {bind.name}: comparing with {target.id if target else 'a scratch database'}")
    return compare(project, bind, wanted, against=target, drop_unowned=drop_tables)


def _write(project: Project, bind: Bind, draft: Draft, drop_tables: bool) -> None:
    if draft.unowned and not drop_tables:
        note(
            f"bind {bind.name}: {plural(len(draft.unowned), 'table')} that no app owns left alone: "
            f"{', '.join(draft.unowned)} (--drop-tables proposes to drop them)"
        )
    if draft.empty:
        say(f"{bind.name}: no changes")
        return
    for file in write(draft):
        say(f"{bind.name}: {shown_path(project, file)}")
    for change in draft.changes:
        say(f"    {change}")
