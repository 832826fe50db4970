"""`orchestrator repair`: what is known of half-applied targets, and the decision about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, get_args

import click

from orchestrator.cli.apply import log_format, run, told
from orchestrator.cli.asking import agreed
from orchestrator.cli.options import as_json, must_select, opened, selects
from orchestrator.cli.output import note, plural, print_json, revisions, say
from orchestrator.cli.status import half_data
from orchestrator.cli.targets import describe, waiting
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.examining import (
    Examined,
    Examiner,
    done_rows,
    headline,
    left_rows,
)
from orchestrator.execution.finishing import plans_of, settled
from orchestrator.execution.project import Project
from orchestrator.execution.repairing import Decision, Repairer, Stopped, stopped_targets
from orchestrator.execution.sessions import SessionStore
from orchestrator.execution.types import Outcome
from orchestrator.fleet.targets import Selection
from orchestrator.planning.paths import Goal
from orchestrator.planning.plan import Cohort, Plan
from orchestrator.safety.owners import Owner, owner_of

CONSEQUENCES: dict[Decision, str] = {
    "resume": "runs what is left of the step now; what is done is not run again",
    "mark-applied": "you finished it by hand: the version table gets the step, nothing is run",
    "mark-reverted": "you undid it by hand: the next run takes the whole step from its start",
    "forget": "empties the journal and nothing else: the version table stays what it is",
}
"""What each decision does, on one line."""

_SHOWN = 5
"""So many statements that are done, and that are left, are shown; --json lists all."""

Function = Callable[..., Any]


def _decisions(function: Function) -> Function:
    for name in reversed(get_args(Decision)):
        words = CONSEQUENCES[name][0].upper() + CONSEQUENCES[name][1:] + "."
        flag = click.option(f"--{name}", "decision", flag_value=name, multiple=True, help=words)
        function = flag(function)
    return function


@click.command(
    "repair",
    epilog="Examples: orchestrator repair; orchestrator repair --bind shop --tenant acme --resume",
)
@selects
@_decisions
@click.option(
    "--in-doubt",
    type=click.Choice(["done", "not-done"]),
    help="With --resume: whether the statement in doubt was done, where you know better.",
)
@click.option("--yes", is_flag=True, help="Do not ask when several targets are decided at once.")
@log_format
@as_json
@opened
def command(
    project: Project,
    selection: Selection,
    allow_empty: bool,
    decision: tuple[Decision, ...],
    in_doubt: str | None,
    yes: bool,
    log_format: str,
    as_json: bool,
) -> int:
    """Show what is known of half-applied targets; take the decision about them.

    Without a decision nothing is changed, and the whole fleet is looked at. With one, it is taken
    under the lock of each selected half-applied target, and recorded in the ledger.
    """
    chosen = _chosen(decision, in_doubt)
    if chosen is not None:
        must_select(selection, "repair")
    stopped, unknown = stopped_targets(project, selection, allow_empty=allow_empty)
    for one in unknown:
        note(waiting(one))
    if chosen is None:
        with closing(SessionStore()) as sessions:
            return _look(_examiner(project, sessions, Owner.here()), stopped, as_json=as_json)
    if not stopped:
        _nothing(as_json=as_json)
        return 0
    if len(stopped) > 1 and not yes and not _agreed(chosen, stopped):
        return 1
    if chosen == "resume":
        done = None if in_doubt is None else in_doubt == "done"
        return _resume(project, stopped, done, log_format=log_format, as_json=as_json)
    return _mark(project, stopped, chosen, log_format=log_format, as_json=as_json)


def _chosen(decisions: tuple[Decision, ...], in_doubt: str | None) -> Decision | None:
    """The one decision of a command line. Raises UsageError."""
    several = dict.fromkeys(decisions)
    if len(several) > 1:
        raise UsageError(
            Problem(
                f"these are {len(several)} decisions: " + ", ".join(f"--{one}" for one in several),
                todo="Take one of them.",
            )
        )
    chosen = next(iter(several), None)
    if in_doubt is not None and chosen != "resume":
        raise UsageError(
            Problem("--in-doubt goes with --resume only", todo="Add --resume, or leave it out.")
        )
    return chosen


def _agreed(decision: Decision, stopped: Sequence[Stopped]) -> bool:
    """Ask a person. Raises UsageError where there is none."""
    what = f"--{decision} on {plural(len(stopped), 'target')}: {CONSEQUENCES[decision]}"
    listed = (f"{one.target.id}: {one.half.direction} of {one.half.revision}" for one in stopped)
    return agreed(what, "Look at them first with `orchestrator repair`, and pass --yes.", listed)


def _nothing(*, as_json: bool) -> None:
    if as_json:
        print_json([])
    else:
        say("repair: no target of this selection is half-applied")


def _examiner(project: Project, sessions: SessionStore, owner: Owner) -> Examiner:
    return Examiner(project.config, sessions, owner, told())


def _look(examiner: Examiner, stopped: Sequence[Stopped], *, as_json: bool) -> int:
    """Print what is known. Gives the exit code."""
    found = [one for one in map(examiner.examine, stopped) if one is not None]
    if as_json:
        print_json([_data(one) for one in found])
        return 0
    for number, one in enumerate(found):
        for line in ([""] * bool(number)) + list(_lines(one)):
            say(line)
    if not found:
        _nothing(as_json=False)
    return 0


def _lines(one: Examined) -> Iterator[str]:
    """What is known of one target, for people."""
    half, target = one.half, one.stopped.target
    yield f"{target.id}: {headline(one)}"
    if one.step is not None:
        yield f"    revision:  {half.revision}  {one.step.message}".rstrip()
        yield f"    file:      {one.step.file}"
    yield f"    stands at: {revisions(one.rows)}"
    owner = owner_of(half.owner)
    began = owner.words if owner else half.owner or "somebody"
    yield f"    begun by:  {began}; last at {half.started} (the server's clock)"
    if one.busy:
        yield f"    LOCKED by {one.busy}"
        yield "    Somebody works on it now: wait, and look again. See `orchestrator locks`."
        return
    yield from _statements(one)
    yield from _evidence(one)
    how = "You may all the same,"
    if one.fault:
        yield f"    The database could not be asked: {one.fault}"
    elif one.dirty:
        yield f"    dirty:     {one.dirty}"
        yield from (f"        {line}" for line in one.diff)
        yield "    The next run refuses it: a decision is needed."
        how = "Decide,"
    else:
        what = "upgrade" if half.direction == "upgrade" else "downgrade"
        yield f"    The next {what} {one.following}. Nothing has to be decided."
    yield f"    {how} with `orchestrator repair " + target.options + "` and one of:"
    for decision, words in CONSEQUENCES.items():
        yield f"        --{decision:<14} {words}"
    if half.in_doubt is not None:
        yield "        With --resume, --in-doubt done|not-done says what you know of the statement."


def _statements(one: Examined) -> Iterator[str]:
    half = one.half
    done, left = done_rows(half, one.statements), left_rows(half)
    if len(done) > _SHOWN:
        yield f"    done:      {len(done) - _SHOWN:,} before these"
    yield from _listed("done:", done[-_SHOWN:])
    doubt = half.in_doubt
    if doubt is not None:
        yield from _listed("in doubt:", [(doubt.number, doubt.statement)])
    refused = half.rows[-1] if half.rows and half.rows[-1].kind == "refused" else None
    if refused is not None:
        yield from _listed("refused:", [(refused.number, refused.statement)])
    left = [item for item in left if refused is None or item[0] != refused.number]
    yield from _listed("not done:", left[:_SHOWN])
    if len(left) > _SHOWN:
        yield f"               and {len(left) - _SHOWN:,} more"


def _listed(head: str, items: Sequence[tuple[int, str]]) -> Iterator[str]:
    for place, (number, text) in enumerate(items):
        line = " ".join(text.split())
        line = line if len(line) <= 100 else f"{line[:97]}..."
        yield f"    {'' if place else head:<10} {number:>4}  {line}"


def _evidence(one: Examined) -> Iterator[str]:
    for place, thing in enumerate(one.evidence):
        head = "" if place else "evidence:"
        if thing.before == thing.now:
            words = f"{thing.before}, {'changed since' if thing.changed else 'as before it'}"
        else:
            words = f"{thing.before} before it, {thing.now} now"
        yield f"    {head:<10} {thing.thing}: {words}"
        yield from (f"               | {line}" for line in thing.text.splitlines())


def _data(one: Examined) -> dict[str, object]:
    """The same for machines, whole."""
    half = one.half
    return describe(one.stopped.target) | {
        "status": "dirty" if one.dirty else "half-applied",
        "revisions": list(one.rows),
        "file": str(one.step.file) if one.step else None,
        "message": one.step.message if one.step else None,
        "half_applied": half_data(half),
        "statements_done": [_numbered(item) for item in done_rows(half, one.statements)],
        "statements_left": [_numbered(item) for item in left_rows(half)],
        "locked_by": one.busy or None,
        "evidence": [
            {
                "object": thing.thing,
                "before": thing.before,
                "now": thing.now,
                "changed": thing.changed,
                "definition": thing.text or None,
            }
            for thing in one.evidence
        ],
        "next": one.following or None,
        "dirty": one.dirty or None,
        "diff": list(one.diff),
        "fault": one.fault or None,
    }


def _numbered(item: tuple[int, str]) -> dict[str, object]:
    return {"number": item[0], "statement": item[1]}


def _resume(
    project: Project,
    stopped: Sequence[Stopped],
    done: bool | None,
    *,
    log_format: str,
    as_json: bool,
) -> int:
    """Run what is left of the steps. Gives the exit code."""

    def plans() -> Iterator[Plan]:
        owner = Owner.here()
        with closing(SessionStore(owner.label)) as sessions:
            examiner = _examiner(project, sessions, owner)
            looked = [one for one in map(examiner.examine, stopped) if one is not None]
            for one in looked:
                if one.undecided and done is None:
                    number = one.half.in_doubt.number if one.half.in_doubt else 0
                    words = f"nothing tells whether statement {number} ran; it counts as not done"
                    note(f"{one.stopped.target.id}: {words}")
            ready = list(settled(looked, Repairer(sessions, owner), done=done))
            order = project.ordered(
                {one.target.bind.name: one.target.bind for one in stopped}.values()
            )
            found = list(plans_of(ready, examiner, [bind.name for bind in order]))
        yield from found

    return run(project, "repair", plans(), log_format=log_format, as_json=as_json)


def _mark(
    project: Project,
    stopped: Sequence[Stopped],
    decision: Decision,
    *,
    log_format: str,
    as_json: bool,
) -> int:
    """Take a decision that runs nothing. Gives the exit code."""
    # Only what changes databases pays for the ledger and its database's dialect.
    from orchestrator.cli.recorder import open_ledger, recorded
    from orchestrator.cli.summary import failures, outcome_data, print_causes

    warn = told(log_format).warning
    ledger = open_ledger(project.config, warn)
    outcomes: list[Outcome] = []
    with recorded(project.config, ledger, "repair", warn) as recorder:
        recorder.planned(_plan_of(stopped))
        owner = Owner.here(recorder.run_id)
        with closing(SessionStore(owner.label)) as sessions:
            repairer = Repairer(sessions, owner)
            for one in stopped:
                outcomes.append(repairer.take(one, decision))
                recorder.ended(outcomes[-1])
        failed = any(one.result != "done" for one in outcomes)
        recorder.end("failed" if failed else "done")
    if as_json:
        print_json(
            [outcome_data(one, recorder.run_id) | {"decision": decision} for one in outcomes]
        )
        return int(failed)
    for outcome in outcomes:
        say(f"{outcome.target.id}: {_words(decision, outcome)}")
    print_causes(failures(outcomes))
    say(f"run {recorder.run_id}")
    return int(failed)


def _plan_of(stopped: Sequence[Stopped]) -> Plan:
    """The targets of a decision, as a plan that runs nothing."""
    cohorts = tuple(
        Cohort(one.target.bind.name, one.flavour, one.state.revisions, (), (one.target,))
        for one in stopped
    )
    return Plan(Goal("stamp", {}), cohorts)


def _words(decision: Decision, outcome: Outcome) -> str:
    if outcome.result != "done":
        return "FAILED, nothing was changed"
    before, after = revisions(outcome.before), revisions(outcome.after)
    moved = f"stays at {before}" if before == after else f"{before} -> {after}"
    did = {"mark-applied": "marked as applied", "mark-reverted": "marked as reverted"}
    return f"{did.get(decision, 'journal emptied')}, {moved}"
