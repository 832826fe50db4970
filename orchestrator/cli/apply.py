"""What `upgrade`, `downgrade` and `stamp` share: plan, show or run, and tell the outcomes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from orchestrator.cli.interrupting import interruptible
from orchestrator.cli.output import note, plural, print_json, revisions, say
from orchestrator.cli.progress import Observer, observe
from orchestrator.cli.summary import LARGE, outcome_data, print_outcomes
from orchestrator.cli.targets import describe
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.planner import Planner, Request
from orchestrator.execution.project import Project
from orchestrator.execution.run import Runner
from orchestrator.execution.types import Outcome
from orchestrator.fleet.targets import Selection, select_targets
from orchestrator.fleet.types import Target, UnknownTenants
from orchestrator.planning.plan import Cohort, Plan, Waiting
from orchestrator.revisions.recordings import Listener, Wanted

if TYPE_CHECKING:
    from orchestrator.cli.recorder import Recorder
    from orchestrator.cli.verified import Verified
    from orchestrator.ledger.types import RunResult

log_format = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How progress is told on stderr; json: one event a line.",
)
upgrade_to = click.option(
    "--to",
    multiple=True,
    metavar="[BIND:]REV",
    help="Destination: a revision, +N or head (default: the head of each bind).",
)
dry_run = click.option("--dry-run", is_flag=True, help="Show the steps, and run nothing.")
verify = click.option(
    "--verify",
    is_flag=True,
    help="Compare schemas before and after: targets that were equal must be equal again.",
)


def told(log_format: str = "text") -> Listener:
    """Tell on stderr what planning spends its time on."""
    if log_format == "json":
        return Listener(
            lambda wanted, steps: _event("recording", bind=wanted.bind, steps=steps),
            lambda text: _event("warning", message=text),
        )
    return Listener(_recording, lambda text: note(f"warning: {text}"))


def _event(event: str, **fields: object) -> None:
    note(json.dumps({"event": event, **fields}))


def _recording(wanted: Wanted, steps: int) -> None:
    note(f"bind {wanted.bind}: recording {plural(steps, 'revision')} for {wanted.flavour}")


def refuse_verify(*, verify: bool, sql: bool) -> None:
    """Raise UsageError where there is nothing to verify."""
    if verify and sql:
        raise UsageError(
            Problem(
                "--verify compares what a run has done, and --sql runs nothing",
                todo="Leave one of them out.",
            )
        )


def planner(project: Project, request: Request) -> Planner:
    """The planner of a command; says which selected binds it leaves alone. Raises before anything
    is touched."""
    made = Planner.of(project, request)
    written = request.destinations
    for name in made.left_alone:
        if not any(":" in text for text in written):
            note(f"bind {name}: does not know {', '.join(written)}; left alone")
    return made


def ordered_targets(
    project: Project, selection: Selection, *, allow_empty: bool = False
) -> tuple[Target, ...]:
    """The selected targets, bind by bind in the order they are applied."""
    return project.in_order(select_targets(project.config, selection, allow_empty=allow_empty))


def show(plan: Plan, *, as_json: bool) -> int:
    """Print what would be done. Gives the exit code."""
    if as_json:
        print_json(list(_plan_data(plan)))
    else:
        for cohort in plan.cohorts:
            _show_cohort(plan.goal.verb, cohort)
        for blocked in plan.blocked:
            say(f"{blocked.target.id}: {blocked.problem.what}")
    for waiting in plan.waiting:
        note(f"bind {waiting.bind}: planned after {', '.join(waiting.after)}")
    for unknown in plan.unknown:
        note(f"error: bind {unknown.bind.name}: {unknown.words}")
    return int(bool(plan.blocked or plan.unknown))


def _show_cohort(verb: str, cohort: Cohort) -> None:
    names = {f"{target.id}:": target.id in cohort.continued for target in cohort.targets}
    more = ""
    if len(cohort.targets) > LARGE:
        names = {f"{cohort.bind}: {plural(len(cohort.targets), 'target')} at": False}
        more = f"; {continuing(cohort)}" if cohort.continued else ""
    made = f", {cohort.missing:,} to be created" if cohort.missing else ""
    made = ", to be created" if cohort.missing == len(cohort.targets) else made
    steps = f"{made}, {plural(len(cohort.steps), 'step')} to {verb}"
    for name, goes_on in names.items():
        what = f"{steps}, continues {cohort.steps[0].step.revision}" if goes_on else steps + more
        say(f"{name} {revisions(cohort.state)}{what if cohort.steps else ', nothing to do'}")
        for one in cohort.steps:
            say(f"    {one.step.revision}  {one.step.message}")


def continuing(cohort: Cohort) -> str:
    """Of a cohort with half-applied targets: "2 of them continue 4f2a"."""
    count, revision = len(cohort.continued), cohort.steps[0].step.revision
    return f"{count:,} of them {'continues' if count == 1 else 'continue'} {revision}"


def _plan_data(plan: Plan) -> Iterator[dict[str, object]]:
    """The steps of each target, for machines."""
    for cohort in plan.cohorts:
        steps = [
            {
                "revision": one.step.revision,
                "direction": str(one.step.direction),
                "message": one.step.message,
                "file": str(one.step.file),
            }
            for one in cohort.steps
        ]
        for target in cohort.targets:
            yield describe(target) | {
                "revisions": list(cohort.state),
                "problem": None,
                "continues": steps[0]["revision"] if target.id in cohort.continued else None,
                "steps": steps,
            }
    for blocked in plan.blocked:
        yield describe(blocked.target) | {
            "revisions": list(blocked.state.revisions),
            "problem": blocked.problem.what,
            "continues": None,
            "steps": [],
        }


@dataclass
class _Heard:
    """What a run has told so far. waiting: binds with tenants that were not known in their turn.
    later: binds whose turn did not come, because the run was stopped. seen: binds with targets."""

    outcomes: list[Outcome] = field(default_factory=list)
    unknown: list[UnknownTenants] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    later: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def planned(self, plan: Plan) -> None:
        """A stage was planned."""
        self.seen |= {target.bind.name for target in plan.targets}
        self.unknown += plan.unknown
        self.waiting += plan.waiting

    def stopped_after(self, plan: Plan) -> None:
        """No more stages come."""
        self.later += [name for name in plan.goal.destinations if name not in self.seen]

    @property
    def unreached(self) -> Iterator[str]:
        """What is told of binds whose targets the run could not even name."""
        yield from (f"bind {name}: not started" for name in self.later)
        for waiting in self.waiting:
            words = f"tenants not known before {waiting.after[0]} is applied"
            yield f"error: bind {waiting.bind}: {words}"
        yield from (f"error: bind {one.bind.name}: {one.words}" for one in self.unknown)

    @property
    def exit_code(self) -> int:
        """Of a run that was not interrupted."""
        unfinished = any(one.result not in ("done", "unchanged") for one in self.outcomes)
        return int(unfinished or bool(self.unknown or self.waiting))


def run(
    project: Project,
    verb: str,
    plans: Iterable[Plan],
    *,
    log_format: str,
    as_json: bool,
    purge: bool = False,
    digest: str = "",
    verify: bool = False,
    rollouts_told: bool = False,
) -> int:
    """Apply plans, each when its turn comes, print the outcomes, and give the exit code.

    digest: of the plan file. verify: whether schemas are compared. rollouts_told: whether these
    binds' rollouts were told of before. Raises LedgerError, before anything is touched.
    """
    # Only verbs that change databases pay for the ledger and its database's dialect.
    from orchestrator.cli.beside import told_beside
    from orchestrator.cli.recorder import open_ledger, recorded

    heard, warn = _Heard(), told(log_format).warning
    ledger = open_ledger(project.config, warn)
    plans = _first_made(plans)
    if verb != "repair" and not rollouts_told:  # A rollout that stopped asks for repairs.
        plans = told_beside(plans, ledger, verb, log_format)
    with ExitStack() as stack:
        observer = stack.enter_context(observe(log_format))
        verified = _verified(project, observer) if verify else None
        recorder = stack.enter_context(recorded(project.config, ledger, verb, warn, digest))
        if log_format == "json":
            _event("run-started", run=recorder.run_id, verb=verb)
        runner = _runner(project, observer, recorder.run_id)
        stack.callback(runner.close)
        interrupted = stack.enter_context(
            interruptible(lambda _signal: runner.stop(), runner.cancel)
        )
        for plan in plans:
            if verb == "upgrade" and not plan.moving:
                # A step that is to run has had the models imported as it was recorded; where there
                # is none, a broken app is told all the same.
                _ = project.models
            _apply(plan, runner, (heard, observer, recorder, verified), purge=purge)
            if runner.stopping:
                heard.stopped_after(plan)
                break
        wrong = [verified.words] if verified and verified.wrong else []
        code = 130 if interrupted() else heard.exit_code or len(wrong)
        recorder.end(_RESULTS.get(code, "failed"), "\n".join([*heard.unreached, *wrong]))
    return _finish(verb, heard, verified, recorder.run_id, code, as_json=as_json)


def _runner(project: Project, observer: Observer, run_id: str) -> Runner:
    return Runner(
        project,
        size=project.config.rollout.concurrency,
        on_start=observer.started,
        on_step=observer.step,
        on_wait=observer.waiting,
        run_id=run_id,
    )


def _verified(project: Project, observer: Observer) -> Verified:
    # Few runs compare schemas, and what reads them takes a while to import.
    from orchestrator.cli.verified import Verified

    return Verified(project, observer)


def _apply(
    plan: Plan,
    runner: Runner,
    listeners: tuple[_Heard, Observer, Recorder, Verified | None],
    *,
    purge: bool,
) -> None:
    """Apply one plan, and tell everybody."""
    heard, observer, recorder, verified = listeners
    heard.planned(plan)
    if verified is not None:
        verified.planned(plan)
    observer.planned(tuple(plan.targets))
    recorder.planned(plan)
    for outcome in runner.run(plan, purge=purge):
        observer.ended(outcome)
        recorder.ended(outcome)
        heard.outcomes.append(outcome)
        if verified is not None:
            verified.ended(outcome)
    if verified is not None:
        verified.catch_up()


_RESULTS: Mapping[int, RunResult] = {0: "done", 130: "interrupted"}
"""What the ledger calls a run that ends with this exit code; any other is "failed"."""


def _first_made(plans: Iterable[Plan]) -> Iterator[Plan]:
    """The same plans, the first of them made now: what cannot be planned at all is no run."""
    rest = iter(plans)
    first = list(islice(rest, 1))
    return chain(first, rest)


def _finish(
    verb: str, heard: _Heard, verified: Verified | None, run_id: str, code: int, *, as_json: bool
) -> int:
    if as_json:
        print_json(
            [
                outcome_data(one, run_id)
                | ({} if verified is None else {"mismatches": verified.of(one)})
                for one in heard.outcomes
            ]
        )
    else:
        print_outcomes(verb, heard.outcomes)
        if verified is not None:
            verified.print()
        say(f"run {run_id}")
    for words in heard.unreached:
        note(words)
    if code == 130:
        note("interrupted: what was done stays done, and the same command goes on from there")
    return code
