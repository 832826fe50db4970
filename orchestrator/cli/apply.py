"""What `upgrade`, `downgrade` and `stamp` share: plan, show or run, and tell the outcomes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import click

from orchestrator.cli.output import note, plural, print_json, redact, revisions, say
from orchestrator.cli.progress import observe
from orchestrator.cli.targets import describe
from orchestrator.execution.project import Project
from orchestrator.execution.run import Run
from orchestrator.execution.types import Outcome
from orchestrator.fleet.state import read_states
from orchestrator.fleet.targets import Selection, select_targets
from orchestrator.fleet.types import Target
from orchestrator.planning.paths import Goal, TargetPlan, Verb, plan_targets, set_goal

log_format = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: one event a line on stderr while the run goes on.",
)
dry_run = click.option("--dry-run", is_flag=True, help="Show the steps, and run nothing.")


@dataclass(frozen=True)
class Planned:
    """A command, planned: what it would do to each target."""

    project: Project
    goal: Goal
    plans: tuple[TargetPlan, ...]

    @property
    def problems(self) -> int:
        """How many targets cannot be planned."""
        return sum(plan.problem is not None for plan in self.plans)


def ordered_targets(
    project: Project, selection: Selection, *, allow_empty: bool = False
) -> tuple[Target, ...]:
    """The selected targets, bind by bind in the order they are applied."""
    targets = select_targets(project.config, selection, allow_empty=allow_empty)
    binds = {target.bind.name: target.bind for target in targets}
    return tuple(
        target
        for bind in project.ordered(binds.values())
        for target in targets
        if target.bind.name == bind.name
    )


def plan(
    project: Project,
    selection: Selection,
    verb: Verb,
    written: Sequence[str],
    *,
    allow_empty: bool = False,
    purge: bool = False,
) -> Planned:
    """Read the states of the selected targets and plan each. Raises before anything is touched."""
    targets = ordered_targets(project, selection, allow_empty=allow_empty)
    binds = list(dict.fromkeys(target.bind.name for target in targets))
    project.config.require(binds=binds)
    histories = project.histories(binds)
    goal = set_goal(project.config, histories, verb, written)
    for name in binds:
        if name not in goal.destinations and not any(":" in text for text in written):
            note(f"bind {name}: does not know {', '.join(written)}; left alone")
    plans = plan_targets(targets, read_states(targets), histories, goal, purge=purge)
    return Planned(project, goal, plans)


def show(planned: Planned, *, as_json: bool) -> int:
    """Print what would be done. Gives the exit code."""
    if as_json:
        print_json([_plan_json(plan) for plan in planned.plans])
    else:
        for plan in planned.plans:
            _show_plan(planned.goal.verb, plan)
    return int(planned.problems > 0)


def _show_plan(verb: str, plan: TargetPlan) -> None:
    here = f"{plan.target.id}: {revisions(plan.state.revisions)}"
    if plan.problem is not None:
        say(f"{plan.target.id}: {plan.problem.what}")
    elif not plan.steps:
        say(f"{here}, nothing to do")
    else:
        missing = ", to be created" if plan.state.kind == "missing" else ""
        say(f"{here}{missing}, {plural(len(plan.steps), 'step')} to {verb}")
        for step in plan.steps:
            say(f"    {step.revision}  {step.message}")


def _plan_json(plan: TargetPlan) -> dict[str, object]:
    return describe(plan.target) | {
        "state": plan.state.kind,
        "revisions": list(plan.state.revisions),
        "problem": plan.problem.what if plan.problem else None,
        "steps": [
            {
                "revision": step.revision,
                "direction": str(step.direction),
                "message": step.message,
                "file": str(step.file),
            }
            for step in plan.steps
        ],
    }


def run(planned: Planned, *, log_format: str, as_json: bool, purge: bool = False) -> int:
    """Apply a plan, print the outcomes, and give the exit code."""
    outcomes: list[Outcome] = []
    with observe(planned.plans, log_format) as observer:
        running = Run(
            planned.project,
            planned.plans,
            planned.goal,
            purge=purge,
            on_start=observer.started,
            on_step=observer.step,
        )
        with _interruptible(running) as interrupted:
            for outcome in running.outcomes():
                observer.ended(outcome)
                outcomes.append(outcome)
    if as_json:
        print_json([_outcome_json(outcome) for outcome in outcomes])
    else:
        _print_outcomes(planned.goal.verb, outcomes)
    if interrupted():
        note("interrupted: what was done stays done, and the same command goes on from there")
        return 130
    return int(
        any(outcome.result != "done" and outcome.result != "unchanged" for outcome in outcomes)
    )


@contextmanager
def _interruptible(running: Run) -> Iterator[Callable[[], bool]]:
    """SIGINT and SIGTERM let the running step end; a second one cancels its statement."""
    heard: list[int] = []

    def hear(number: int, _frame: object) -> None:
        heard.append(number)
        words = (
            "stopping after the running step; once more to cancel it on the server"
            if len(heard) == 1
            else "cancelling the running statement"
        )
        # The signal may have come in the middle of another line to stderr: then Python refuses to
        # print, and stopping matters more than saying so.
        with suppress(RuntimeError):
            note(words)
        (running.stop if len(heard) == 1 else running.cancel)()

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(heard)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_outcomes(verb: str, outcomes: Sequence[Outcome]) -> None:
    width = max((len(outcome.target.id) for outcome in outcomes), default=0)
    for outcome in outcomes:
        say(f"{outcome.target.id:<{width}}  {_words(outcome)}")
    failed = [outcome for outcome in outcomes if outcome.result == "failed"]
    for outcome in failed:
        say()
        _print_failure(outcome)
    counts = {
        "changed": sum(outcome.result == "done" for outcome in outcomes),
        "unchanged": sum(outcome.result == "unchanged" for outcome in outcomes),
        "failed": len(failed),
        "not started": sum(outcome.result == "not-started" for outcome in outcomes),
    }
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    say(f"{verb}: {plural(len(outcomes), 'target')}" + (f", {said}" if said else ""))


def _words(outcome: Outcome) -> str:
    before, after = revisions(outcome.before), revisions(outcome.after)
    if outcome.result == "unchanged":
        return f"{after}, nothing to do"
    if outcome.result == "not-started":
        return "not started" if not outcome.steps else f"{before} -> {after}, then stopped"
    if outcome.result == "failed":
        at = (
            f" in {outcome.failure.revision}"
            if outcome.failure and outcome.failure.revision
            else ""
        )
        moved = f"{before} -> {after}, then " if outcome.steps else ""
        return f"{moved}FAILED{at}"
    return f"{before} -> {after} ({plural(len(outcome.steps), 'step')}, {outcome.seconds:.1f} s)"


def _print_failure(outcome: Outcome) -> None:
    failure = outcome.failure
    assert failure is not None
    say(f"{outcome.target.id}: {failure.message}")
    say(f"    bind:      {outcome.target.bind.name}")
    for name, value in (("revision", failure.revision), ("where", failure.where)):
        if value:
            say(f"    {name + ':':<10} {value}")
    if failure.statement:
        lines = failure.statement.splitlines()
        shown = lines[:_STATEMENT_LINES]
        say("    statement: " + "\n               ".join(shown))
        if len(lines) > _STATEMENT_LINES:
            say(f"               ... {len(lines) - _STATEMENT_LINES} more lines")
    if failure.todo:
        say(f"    {failure.todo}")


_STATEMENT_LINES = 20


def _outcome_json(outcome: Outcome) -> dict[str, object]:
    failure = outcome.failure
    return describe(outcome.target) | {
        "result": outcome.result,
        "before": list(outcome.before),
        "after": list(outcome.after),
        "steps": list(outcome.steps),
        "seconds": round(outcome.seconds, 3),
        "error": {
            "message": redact(failure.message),
            "revision": failure.revision,
            "where": failure.where,
            "statement": failure.statement,
            "todo": failure.todo,
        }
        if failure
        else None,
    }
