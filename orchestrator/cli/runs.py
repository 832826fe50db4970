"""`orchestrator runs` and `runs show`: the ledger, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

import click

from orchestrator.cli.options import as_json, opened
from orchestrator.cli.output import lasting, note, plural, print_json, print_table, say
from orchestrator.cli.recorder import BY_HAND, read_ledger
from orchestrator.cli.summary import Failed, print_causes
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.execution.types import Failure
from orchestrator.fleet.targets import unknown_bind
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.ledger.types import BindCount, OutcomeRow, RunView

_SHOWN = 20
_COMMIT_LETTERS = 12


@click.group(
    "runs",
    invoke_without_command=True,
    epilog="Examples: orchestrator runs --limit 5; orchestrator runs show last",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=_SHOWN,
    show_default=True,
    metavar="N",
    help="At most N runs.",
)
@click.option("--bind", "-b", "bind", metavar="BIND", help="Only runs with targets of this bind.")
@as_json
@click.pass_context
def command(ctx: click.Context, limit: int, bind: str | None, as_json: bool) -> None:
    """List the last runs, the newest first.

    A run that was killed says `interrupted`, and how many of its targets were done by then.
    """
    if ctx.invoked_subcommand is None:
        _list(limit=limit, bind=bind, as_json=as_json)


@opened
def _list(project: Project, *, limit: int, bind: str | None, as_json: bool) -> None:
    if bind is not None and bind not in project.config.binds:
        raise UsageError(unknown_bind(project.config, bind))
    ledger = read_ledger(project.config, _warn)
    views = ledger.runs(limit, bind) if ledger is not None else ()
    if as_json:
        print_json([run_data(view) for view in views])
    elif views:
        print_table([_HEAD, *map(_line, views)])
    else:
        note("the ledger has no run" + (f" of bind {bind}" if bind else " yet"))


@command.command(
    "show",
    epilog="Examples: orchestrator runs show last; orchestrator runs show 20261122T2103 --failed",
)
@click.argument("run")
@click.option(
    "--failed",
    is_flag=True,
    help="List each target that failed, was not started, or was interrupted.",
)
@as_json
@opened
def show(project: Project, run: str, failed: bool, as_json: bool) -> None:
    """Show one run: how far it came with each bind, and what failed.

    RUN is its id, as much of its start as makes it the only one, or `last`.
    """
    ledger = read_ledger(project.config, _warn)
    if ledger is None:
        raise UsageError(Problem("the ledger has no run yet", todo="See `orchestrator runs`."))
    view = ledger.run(run)
    rollout = Rollouts(ledger).of_run(view.run.id)
    if as_json:
        rows = ledger.outcomes(view, unfinished=failed)
        outcomes = [_outcome_data(row, view) for row in rows]
        print_json(run_data(view) | {"rollout": rollout, "outcomes": outcomes})
        return
    rows = ledger.outcomes(view, unfinished=True)
    for name, value in _header(view, rollout):
        say(f"{name:<8} {value}")
    say()
    for count in view.counts:
        say(f"{count.bind}: {_count_words(count, view.result)}")
    print_causes(
        Failed(row.target, row.bind, _failure(row), row.cause)
        for row in rows
        if row.result == "failed"
    )
    if failed and rows:
        say()
        width = max(len(row.target) for row in rows)
        for row in rows:
            say(f"{row.target:<{width}}  {_words(row, view)}")
    if rollout is not None:
        say(f"\n`orchestrator rollout status {rollout}` shows the whole rollout")
    elif rows and view.result != "running":
        # What was done by hand is finished by an upgrade too.
        upgrades = view.run.verb in ("upgrade", BY_HAND)
        again = "upgrade" if upgrades else f"{view.run.verb} ..."
        say(f"\n`orchestrator {again} --failed {view.run.id}` takes up {_these(len(rows))} again")


def _warn(text: str) -> None:
    note(f"warning: {text}")


def _these(count: int) -> str:
    return "this target" if count == 1 else f"these {plural(count, 'target')}"


_HEAD = ("RUN", "STARTED (UTC)", "TOOK", "VERB", "RESULT", "TARGETS", "WHO")


def _line(view: RunView) -> tuple[str, ...]:
    run = view.run
    failed = f", {view.failed:,} failed" if view.failed else ""
    return (
        run.id,
        f"{run.started:%Y-%m-%d %H:%M}",
        _took(view),
        run.verb,
        view.result,
        f"{view.ended:,} of {view.planned:,}{failed}",
        f"{run.who} on {run.host}",
    )


def _took(view: RunView) -> str:
    """How long it ran, as far as is known."""
    seconds = ((view.run.ended or view.run.seen) - view.run.started).total_seconds()
    return f"{seconds:.1f} s" if seconds < 60 else lasting(seconds)


def _header(view: RunView, rollout: str | None) -> Iterator[tuple[str, str]]:
    run = view.run
    results = {
        "running": f"running (last seen {_time(run.seen)})",
        "interrupted": "interrupted"
        + ("" if run.ended else f" (killed; last seen {_time(run.seen)})"),
    }
    yield "run", run.id
    yield "result", results.get(view.result, view.result)
    yield "command", run.command
    if rollout is not None:
        yield "rollout", rollout
    yield "who", f"{run.who} on {run.host}, pid {run.pid}"
    yield "started", _time(run.started)
    if run.ended:
        yield "ended", f"{_time(run.ended)} (after {_took(view)})"
    commit, dirty, _rest = run.git_commit.partition("+")
    if commit:
        changed = ", with files that were changed since" if dirty else ""
        yield "commit", commit[:_COMMIT_LETTERS] + changed
    if run.plan_digest:
        yield "plan", run.plan_digest
    yield "version", f"orchestrator {run.version}"
    if run.error:
        yield "error", run.error.replace("\n", "\n" + " " * 9)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _count_words(count: BindCount, result: str) -> str:
    """ "7,312 of 10,000 targets: 7,300 changed, 12 failed, 2,688 interrupted"."""
    parts = {
        "changed": count.done,
        "unchanged": count.unchanged,
        "failed": count.failed,
        "not started": count.not_started,
        "to come" if result == "running" else "interrupted": count.open,
    }
    said = ", ".join(f"{number:,} {word}" for word, number in parts.items() if number)
    words = f"{count.ended:,} of {plural(count.planned, 'target')}"
    return f"{words}: {said}" if said else words


def _words(row: OutcomeRow, view: RunView) -> str:
    """One target's line."""
    if row.result == "failed":
        return f"FAILED in {row.revision}" if row.revision else "FAILED"
    return {"not-started": "stopped" if row.steps else "not started"}.get(
        row.result, _result(row, view)
    )


def _result(row: OutcomeRow, view: RunView) -> str:
    """A target that was planned, and has no outcome though its run has ended, was interrupted."""
    planned = row.result == "planned" and view.result != "running"
    return "interrupted" if planned else row.result


def _failure(row: OutcomeRow) -> Failure:
    return Failure(row.error, row.revision, row.where_at, row.statement, row.todo)


def run_data(view: RunView) -> dict[str, object]:
    """A run for machines."""
    run = view.run
    return {
        "run": run.id,
        "result": view.result,
        "verb": run.verb,
        "command": run.command,
        "who": run.who,
        "host": run.host,
        "pid": run.pid,
        "version": run.version,
        "git_commit": run.git_commit or None,
        "plan_digest": run.plan_digest or None,
        "started": _iso(run.started),
        "ended": _iso(run.ended),
        "seen": _iso(run.seen),
        "error": run.error or None,
        "targets": view.planned,
        "binds": [asdict(count) | {"open": count.open} for count in view.counts],
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.isoformat(timespec='milliseconds')}Z"


def _outcome_data(row: OutcomeRow, view: RunView) -> dict[str, object]:
    """An outcome for machines, in the shape that the verbs give it."""
    failed = row.result == "failed"
    return {
        "target": row.target,
        "bind": row.bind,
        "server": row.server,
        "tenant": row.tenant,
        "schema": row.schema_name,
        "database": row.database_name,
        "result": _result(row, view),
        "before": row.from_revisions.split(",") if row.from_revisions else [],
        "after": row.to_revisions.split(",") if row.to_revisions else [],
        "steps": row.steps,
        "statements": row.statements,
        "attempts": row.attempts,
        "waited": row.waited,
        "seconds": row.seconds,
        "error": asdict(_failure(row)) | {"cause": row.cause} if failed else None,
    }
