"""Driving a rollout from the command line: a run of the ledger, signals, progress, and the end.

Enters: a rollout in the ledger.  Leaves: its waves run as far as they may be, what became of them
on stdout, and the exit code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from orchestrator.cli.apply import told as planning
from orchestrator.cli.interrupting import interruptible
from orchestrator.cli.mismatches import mismatch_lines
from orchestrator.cli.output import named, note, plural, print_json, say
from orchestrator.cli.progress import Events
from orchestrator.cli.recorder import Recorder, recorded
from orchestrator.cli.rollout.lines import MISMATCHES, check_lines
from orchestrator.cli.rollout.picture import (
    added,
    bad_words,
    failed_of,
    next_words,
    through,
    view_data,
)
from orchestrator.cli.rollout.telling import observe_rollout
from orchestrator.cli.rollout.watching import BAD
from orchestrator.cli.summary import failures, print_causes
from orchestrator.errors import UsageError
from orchestrator.execution.project import Project
from orchestrator.execution.rollout.controller import Controller
from orchestrator.execution.rollout.types import CheckResult, Ended, Mismatch, RolloutObserver
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutView, WaveCount, WaveRow
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.ledger.types import RunResult
from orchestrator.planning.plan import Plan
from orchestrator.revisions.recordings import Listener

_RESULTS: Mapping[str, RunResult] = {
    "done": "done",
    "paused": "done",
    "stopped": "failed",
    "aborted": "failed",
    "interrupted": "interrupted",
}
"""What the ledger calls a run that leaves its rollout so."""


@dataclass(frozen=True, slots=True)
class Told:
    """How a command is told: its --log-format and --json."""

    log_format: str
    as_json: bool


def control(
    project: Project,
    ledger: Ledger,
    view: RolloutView,
    verb: str,
    told: Told,
    *,
    retry: bool = False,
    include_new: bool = False,
    accept_different: bool = False,
    check_timeout: float | None = None,
) -> int:
    """Drive a rollout until it is done, or goes no further. Gives the exit code.

    verb: of `rollout`, for the ledger. Raises UsageError when another process drives it, or when
    the project's files are not those of its plan, and LedgerError.
    """
    rollouts, listener = Rollouts(ledger), planning(told.log_format)
    with ExitStack() as stack:
        failed = failed_of(rollouts.targets(view.row.id, states=BAD))
        observer = stack.enter_context(observe_rollout(told.log_format, ledger, view, failed))
        recorder = stack.enter_context(
            recorded(project.config, ledger, f"rollout {verb}", listener.warning, view.row.digest)
        )
        if isinstance(observer, Events):
            observer.tell("run-started", run=recorder.run_id, verb=f"rollout {verb}")
            observer.tell("rollout-started", rollout=view.row.id, plan_digest=view.row.digest)
        heard = _Heard(observer, recorder)
        controller = Controller(
            project,
            rollouts,
            view,
            recorder.run_id,
            heard,
            retry=retry,
            include_new=include_new,
            accept_different=accept_different,
            check_timeout=check_timeout,
            listener=listener,
        )
        stack.enter_context(
            interruptible(lambda signal: controller.stop(signal.name), controller.cancel)
        )
        ended = _driven(controller, listener, view.row.id)
        code = _code(ended, retry=retry)
        heard.close(ended)
        if isinstance(observer, Events):
            _tell_end(observer, view.row.id, ended)
    return _finish(rollouts, view.row.id, recorder.run_id, heard, ended, code, told)


def _driven(controller: Controller, listener: Listener, name: str) -> Ended:
    """Run the waves. Raises UsageError, with a warning that names the way out."""
    try:
        return controller.run()
    except UsageError:
        listener.warning(
            f"nothing was run; `orchestrator rollout abort {name}` gives it up for a new one"
        )
        raise


@dataclass
class _Heard:
    """Passes on what a rollout tells: to the observer, and to the ledger as a run. Keeps what the
    end is told from."""

    observer: RolloutObserver
    recorder: Recorder
    failed: list[Outcome] = field(default_factory=list)
    mismatches: list[Mismatch] = field(default_factory=list)
    checks: list[tuple[WaveRow, CheckResult]] = field(default_factory=list)

    def wave_started(self, wave: WaveRow, count: WaveCount, plan: Plan) -> None:
        self.recorder.planned(plan)
        self.observer.wave_started(wave, count, plan)

    def started(self, target: Target) -> None:
        self.observer.started(target)

    def step(self, target: Target, revision: str) -> None:
        self.observer.step(target, revision)

    def waiting(self, target: Target, words: str) -> None:
        self.observer.waiting(target, words)

    def ended(self, outcome: Outcome) -> None:
        self.recorder.ended(outcome)
        self.observer.ended(outcome)
        if outcome.result == "failed":
            self.failed.append(outcome)

    def differs(self, mismatch: Mismatch) -> None:
        self.observer.differs(mismatch)
        self.mismatches.append(mismatch)

    def check_started(self, wave: WaveRow, name: str) -> None:
        self.observer.check_started(wave, name)

    def checked(self, wave: WaveRow, result: CheckResult) -> None:
        self.observer.checked(wave, result)
        if not result.passed:
            self.checks.append((wave, result))

    def soaking(self, wave: WaveRow, seconds_left: float) -> None:
        self.observer.soaking(wave, seconds_left)

    def wave_ended(self, wave: WaveRow, count: WaveCount) -> None:
        self.observer.wave_ended(wave, count)

    def close(self, ended: Ended) -> None:
        """Write into the ledger how the run ended."""
        result = _RESULTS[ended.status]
        self.recorder.end(
            "failed" if self.failed and result == "done" else result,
            "" if result == "done" else ended.reason,
        )


def _code(ended: Ended, *, retry: bool) -> int:
    if ended.status == "interrupted":
        return 130
    # A pause that was planned or asked for is no failure, whatever its budget allowed until then.
    through = retry or ended.status == "done"
    return int(ended.status in ("stopped", "aborted") or (through and ended.failed > 0))


def _tell_end(events: Events, name: str, ended: Ended) -> None:
    events.tell(
        "rollout-ended",
        rollout=name,
        status=ended.status,
        reason=ended.reason or None,
        failed=ended.failed,
        new=[target.id for target in ended.new],
    )


def _finish(
    rollouts: Rollouts,
    name: str,
    run: str,
    heard: _Heard,
    ended: Ended,
    code: int,
    told: Told,
) -> int:
    """Print what became of it."""
    view = rollouts.view(name, plan=False)
    if told.as_json:
        bad = rollouts.targets(name, states=BAD)
        new = [target.id for target in ended.new]
        print_json(view_data(view, bad) | {"run": run, "new": new})
        return code
    for line in _waves(view):
        say(line)
    print_causes(failures(heard.failed))
    for mismatch in heard.mismatches[:MISMATCHES]:
        say()
        _say(mismatch_lines(mismatch))
    if len(heard.mismatches) > MISMATCHES:
        say(f"and {plural(len(heard.mismatches) - MISMATCHES, 'target')} more that differ")
    for wave, result in heard.checks:
        say()
        _say(check_lines(wave, result))
    say()
    say(f"rollout {name}: {ended.status}" + (f": {ended.reason}" if ended.reason else ""))
    _say(_new(name, ended))
    _say(next_words(view, ended.failed))
    say(f"run {run}")
    if code == 130:
        note("interrupted: what was done stays done")
    return code


def _waves(view: RolloutView) -> Iterable[str]:
    width = max((len(wave.name) for wave in view.waves), default=0)
    for wave, count in zip(view.waves, view.counts, strict=True):
        said = (
            f"{wave.name:<{width}}  {through(count):,} of {plural(count.total, 'target')} through"
        )
        yield ", ".join(filter(None, (said, bad_words(count))))
    total = added(view.counts)
    if len(view.waves) > 1:
        yield f"{'all':<{width}}  {through(total):,} of {plural(total.total, 'target')} through"


def _new(name: str, ended: Ended) -> Iterable[str]:
    """Targets that came after the plan."""
    if not ended.new:
        return
    names = named(target.id for target in ended.new)
    yield f"{plural(len(ended.new), 'target')} came after the plan: {names}"
    yield "To take them too:"
    yield f"    orchestrator rollout resume {name} --include-new"


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)
