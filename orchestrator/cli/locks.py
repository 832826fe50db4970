"""`orchestrator locks`: who holds targets' locks, and ending a holder that hangs."""

from __future__ import annotations

from collections.abc import Sequence

import click

from orchestrator.cli.asking import agreed, yes
from orchestrator.cli.options import as_json, must_select, opened, selects
from orchestrator.cli.output import note, plural, print_json, print_problems, say
from orchestrator.cli.targets import describe, waiting
from orchestrator.errors import DatabaseError, Problem
from orchestrator.execution.holding import Held, end_held, held_locks
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection, find_targets

_STATEMENT = 1_000
"""Characters of a holder's statement that are shown."""


@click.command(
    "locks",
    epilog="Examples: orchestrator locks; orchestrator locks --bind shop --tenant acme --kill",
)
@selects
@as_json
@click.option("--kill", is_flag=True, help="End the sessions that hold locks; asks first.")
@yes
@opened
def command(
    project: Project,
    selection: Selection,
    allow_empty: bool,
    as_json: bool,
    kill: bool,
    yes: bool,
) -> int:
    """Show who holds the locks of the selected targets: the run, its process, the server's session
    and the statement that it runs.

    A lock goes with its session: a run that was killed holds it until the server has ended the
    statement. --kill ends the session; what it had not committed is rolled back. A run that still
    lives connects again and goes on: end its process instead.
    """
    if kill:
        must_select(selection, "locks --kill")
    fleet = find_targets(project.config, selection, allow_empty=allow_empty)
    project.config.require(binds=dict.fromkeys(target.bind.name for target in fleet.targets))
    found = held_locks(fleet.targets)
    if as_json:
        print_json([_data(one) for one in found.held])
    else:
        _show(found.held, len(fleet.targets))
    print_problems(found.problems)
    for unknown in fleet.unknown:
        note(waiting(unknown))
    failed = bool(found.problems or fleet.unknown)
    if kill and found.held:
        if not yes and not _agreed(found.held):
            return 1
        failed = not _end(found.held) or failed
    return int(failed)


def _data(one: Held) -> dict[str, object]:
    holder = one.holder
    owner = holder.owner
    return describe(one.target) | {
        "session": holder.session,
        "user": holder.user,
        "client": holder.client,
        "connected_seconds": holder.connected,
        "statement": holder.statement,
        "statement_seconds": holder.seconds,
        "owner": None
        if owner is None
        else {
            "run": owner.run,
            "host": owner.host,
            "pid": owner.pid,
            "from": "journal" if holder.journalled else "session",
        },
    }


def _show(held: Sequence[Held], asked: int) -> None:
    for one in held:
        holder = one.holder
        say(f"{one.target.id}: held by {holder.who}")
        since = f", connected {_ago(holder.connected)} ago" if holder.connected is not None else ""
        say(f"    session:   {holder.session}{since}")
        if not holder.statement:
            say("    statement: none now")
            continue
        statement = " ".join(holder.statement.split())
        if len(statement) > _STATEMENT:
            statement = statement[:_STATEMENT] + " ..."
        runs = f"for {_ago(holder.seconds)}: " if holder.seconds is not None else ""
        say(f"    statement: {runs}{statement}")
    if not held:
        note(f"no lock is held on {plural(asked, 'target')}")


def _ago(seconds: float) -> str:
    """ "12 s", "3 min 5 s", "2 h 10 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"


def _agreed(held: Sequence[Held]) -> bool:
    """Ask a person. Raises UsageError where there is none."""
    what = (
        f"this ends {plural(len(held), 'session')}; their transactions are rolled back, and on"
        " MySQL and MariaDB a statement may stop half-way through its revision"
    )
    return agreed(what, "Pass --yes to do it.")


def _end(held: Sequence[Held]) -> bool:
    """End the holders. Gives whether none is left."""
    ended = 0
    problems: list[Problem] = []
    for one in held:
        try:
            killed = end_held(one)
        except DatabaseError as error:
            problems += error.problems
            continue
        ended += killed
        words = "ended" if killed else "held the lock no more"
        note(f"{one.target.id}: session {one.holder.session} {words}")
    print_problems(problems)
    if ended:
        note(
            "A run whose process still lives connects again: end that first. Then look with"
            " `orchestrator status`, and run the command again: it goes on from where each target"
            " stands."
        )
    return not problems
