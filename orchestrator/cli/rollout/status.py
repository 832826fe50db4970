"""`orchestrator rollout status`: how far a rollout is, once or live."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from orchestrator.cli.options import as_json, opened
from orchestrator.cli.output import is_terminal, note, print_json, print_rich, print_table, say
from orchestrator.cli.recorder import read_ledger
from orchestrator.cli.rollout.choosing import rollout_argument, warn
from orchestrator.cli.rollout.picture import added, bad_words, through, view_data
from orchestrator.cli.rollout.watching import BAD, Looker, line, plainly
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.ledger.rollout_types import RolloutView
from orchestrator.ledger.rollouts import Rollouts

_SHOWN = 20


@click.command(
    "status",
    epilog="Examples: orchestrator rollout status; orchestrator rollout status --watch; "
    "orchestrator rollout status 20261122T2103 --json; orchestrator rollout status --all",
)
@rollout_argument
@click.option("--watch", is_flag=True, help="Go on showing it while it runs.")
@click.option("--all", "everything", is_flag=True, help="List the last rollouts instead.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1),
    default=_SHOWN,
    show_default=True,
    metavar="N",
    help="With --all: at most N rollouts.",
)
@as_json
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit 1 unless the rollout is done and no target has failed.",
)
@opened
def command(
    project: Project,
    name: str | None,
    watch: bool,
    everything: bool,
    limit: int,
    as_json: bool,
    exit_code: bool,
) -> int:
    """Show a rollout: its waves, how far each is, what failed and why, and what to do next.

    ROLLOUT is its id, as much of its start as makes it the only one, `last`, or nothing: the one
    that is not over, else the last. With --watch it is live, from any terminal or machine that
    reaches the ledger, until the rollout is done or waits for a person.
    """
    _fitting(name, watch=watch, everything=everything, as_json=as_json)
    ledger = read_ledger(project.config, warn)
    if ledger is None:
        if name is not None or exit_code:
            raise UsageError(Problem("the ledger has no rollout yet"))
        _none(as_json=as_json)
        return 0
    rollouts = Rollouts(ledger)
    if everything:
        _list(rollouts.views(limit), as_json=as_json)
        return 0
    if name is None and not rollouts.views(1) and not exit_code:
        _none(as_json=as_json)
        return 0
    view = rollouts.view(name, plan=False)
    looker = Looker(ledger, rollouts, view.row.id)
    if watch:
        view = _watched(looker)
    elif as_json:
        print_json(view_data(view, rollouts.targets(view.row.id, states=BAD)))
    else:
        _show(looker)
    total = added(view.counts)
    return int(exit_code and (view.status != "done" or bool(total.failed + total.different)))


def _fitting(name: str | None, *, watch: bool, everything: bool, as_json: bool) -> None:
    """Raises UsageError for options that do not go together."""
    if watch and (as_json or everything):
        raise UsageError(
            Problem(
                f"--watch does not go with {'--json' if as_json else '--all'}",
                todo="Ask again and again with --json, or read the events of the process that "
                "drives it: `rollout start --log-format json`.",
            )
        )
    if everything and name is not None:
        raise UsageError(Problem("--all lists every rollout", todo="Leave out the one, or --all."))


def _none(*, as_json: bool) -> None:
    if as_json:
        print_json([])
    else:
        note("the ledger has no rollout yet")


def _show(looker: Looker) -> None:
    picture = looker.picture()
    if is_terminal(sys.stdout):
        # rich takes a while to import, and only a terminal shows bars.
        from orchestrator.cli.rollout.screen import screen

        print_rich(screen(picture))
    else:
        for line in plainly(picture):
            say(line)


def _watched(looker: Looker) -> RolloutView:
    """Show it until nothing drives it any more. Gives how it stands then."""
    if is_terminal(sys.stdout):
        from orchestrator.cli.rollout.live import watch  # As above.

        return watch(looker)
    told = ""
    for picture in looker.pictures():
        now = line(picture)
        if picture.view.status == "running" and now != told:
            say(now)
        told = now
    for words in plainly(picture):
        say(words)
    return picture.view


_HEAD = ("ROLLOUT", "CREATED (UTC)", "STATUS", "TARGETS", "WHO")


def _list(views: Sequence[RolloutView], *, as_json: bool) -> None:
    if as_json:
        print_json([view_data(view) for view in views])
        return
    if not views:
        note("the ledger has no rollout yet")
        return
    print_table([_HEAD, *map(_line, views)])


def _line(view: RolloutView) -> tuple[str, ...]:
    row, total = view.row, added(view.counts)
    bad = bad_words(total)
    return (
        row.id,
        f"{row.created:%Y-%m-%d %H:%M}",
        view.status,
        f"{through(total):,} of {total.total:,}" + (f", {bad}" if bad else ""),
        row.who,
    )
