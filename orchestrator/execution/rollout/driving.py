"""Some targets of a wave brought to their end: driven, counted, compared, noted.

Enters: rows of a rollout.  Leaves: the same rows with what became of them, and a reason to stop the
rollout where there is one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from orchestrator.checks.differences import words
from orchestrator.execution.rollout.budget import Budget
from orchestrator.execution.rollout.context import Context
from orchestrator.execution.rollout.remaining import without
from orchestrator.execution.rollout.types import VERIFY
from orchestrator.execution.run import Runner
from orchestrator.execution.types import Mismatch, Outcome
from orchestrator.ledger.causes import cause_of, names_of
from orchestrator.ledger.rollout_types import GONE, RolloutTarget, TargetState, WaveRow
from orchestrator.passwords import redact
from orchestrator.planning.plan import Plan

COMPARED_AT_ONCE = 100
COMPARED_EVERY = 1.0
"""Seconds that a target which is done waits for others to be compared with it, at most."""

THROUGH: tuple[TargetState, ...] = ("done", "unchanged")
"""The states of targets that are where the plan leads."""

_NAMED = 5
"""How many targets a reason names."""


class Driving:
    """Drives rows of one wave."""

    def __init__(
        self, context: Context, wave: WaveRow, rows: Sequence[RolloutTarget], *, begun: bool
    ) -> None:
        """rows: those that are through are compared alone. begun: the wave was begun by a process
        before this one, which may have brought targets to their end without being able to say so.
        """
        self._context = context
        self._wave = wave
        compares = context.row.verify or VERIFY in wave.checks
        self._verifier = context.verifier if compares else None
        self._wanted = [row for row in rows if row.state not in THROUGH]
        self._rows = {row.target: row for row in rows}
        self._found: TargetState = "done" if begun else "unchanged"
        others = [one for one in context.notes.rows() if one.target not in self._rows]
        failed = [one for one in others if one.state in ("failed", "different")]
        self._failed_binds = {one.bind for one in failed}
        self._budget = Budget(wave, sum(one.wave == wave.number for one in failed))
        self._done: list[Outcome] = []
        self._since = 0.0
        self._waiting: Counter[str] = Counter()
        self._different: list[str] = []

    def run(self) -> None:
        """Do it."""
        context = self._context
        left = context.remaining.plan(self._wanted)
        for row in left.gone:
            self._keep(row.target, state="unchanged", error=GONE, cause=GONE, revision="")
        context.observer.wave_started(self._wave, context.notes.count(self._wave.number), left.plan)
        self._compare_unseen()
        plan = self._looked_at(left.plan)
        if not context.ending.came:
            self._drive(plan)
        self._compare()
        if self._waiting:
            context.ending.ask("stopped", self._blocked_words())

    def _looked_at(self, plan: Plan) -> Plan:
        """The plan without targets that somebody changed since they were planned; one stops the
        wave before anything of it runs."""
        verifier = self._verifier
        if verifier is None:
            return plan
        if self._context.row.verify:
            told = verifier.again(plan)
        else:
            told = verifier.before(plan)
            for target, digest in verifier.digests.items():
                if target in self._rows:
                    self._keep(target, before=digest)
        self._tell(told)
        return without(plan, frozenset(one.target.id for one in told if one.stops))

    def _drive(self, plan: Plan) -> None:
        context, observer = self._context, self._context.observer
        runner = Runner(
            context.project,
            size=self._wave.concurrency,
            run_id=context.run,
            on_start=observer.started,
            on_step=observer.step,
            on_wait=observer.waiting,
            on_end=self._count,
            tick=self._tick,
            failed_binds=self._failed_binds,
        )
        context.signals.use(runner)
        context.ending.tell(runner.hold)
        try:
            for outcome in runner.run(plan):
                self._hear(outcome, runner)
                self._tick()
        except BaseException:
            runner.stop()
            raise
        finally:
            context.ending.tell(lambda: None)
            context.signals.use(None)
            runner.close()

    # -- outcomes ----------------------------------------------------------------------------

    def _count(self, outcome: Outcome) -> None:
        """From the thread that drove the target: no other one takes its place before."""
        if self._budget.count(outcome):
            self._context.ending.ask("stopped", self._budget.words)

    def _hear(self, outcome: Outcome, runner: Runner) -> None:
        target, failure = outcome.target, outcome.failure
        if target.id in runner.waiting:
            self._waiting[runner.waiting[target.id]] += 1
            error = "" if failure is None else failure.message
            self._keep(target.id, state="waiting", error=error, cause=error, revision="")
            self._context.observer.ended(replace(outcome, result="not-started"))
            return
        self._context.observer.ended(outcome)
        if outcome.result == "failed":
            self._count(outcome)
            message = redact("" if failure is None else failure.message)
            self._keep(
                target.id,
                state="failed",
                error=message,
                cause=cause_of(message, names_of(target)),
                revision="" if failure is None else failure.revision,
            )
        elif outcome.result in ("done", "unchanged"):
            state = "done" if outcome.result == "done" else self._found
            self._keep(target.id, state=state, error="", cause="", revision="")
            self._since = self._since if self._done else time.monotonic()
            self._done.append(outcome)

    def _keep(self, target: str, **changes: object) -> None:
        row = replace(self._rows[target], run=self._context.run, **changes)  # type: ignore[arg-type]
        self._rows[target] = row
        self._context.notes.keep(row)

    # -- comparing ---------------------------------------------------------------------------

    def _tick(self) -> None:
        if self._done and (
            len(self._done) >= COMPARED_AT_ONCE or time.monotonic() - self._since >= COMPARED_EVERY
        ):
            self._compare()

    def _compare_unseen(self) -> None:
        """Compare those that were through when the process before was killed."""
        known = self._context.remaining.targets
        through = [one.target for one in self._rows.values() if one.state in THROUGH]
        self._done = [Outcome(known[name], "done") for name in through if name in known]
        self._compare()

    def _compare(self) -> None:
        """Compare the targets that are done, and were not compared yet."""
        verifier, done = self._verifier, self._done
        self._done = []
        if verifier is None or not done:
            return
        told = verifier.after(done)
        for one in done:
            self._keep(one.target.id, after=verifier.after_digests.get(one.target.id, ""))
        self._tell(told)

    def _tell(self, told: Iterable[Mismatch]) -> None:
        for one in told:
            self._context.observer.differs(one)
            if one.stops:
                self._different.append(one.target.id)
                text = mismatch_words(one)
                self._keep(one.target.id, state="different", error=text, cause=text)
                self._context.ending.ask("stopped", self._different_words)

    # -- reasons -----------------------------------------------------------------------------

    def _different_words(self) -> str:
        count = len(self._different)
        what = "1 target is" if count == 1 else f"{count:,} targets are"
        return f"wave {self._wave.name}: {what} not as expected: {named(self._different)}"

    def _blocked_words(self) -> str:
        told = (
            f"{count:,} {'target waits' if count == 1 else 'targets wait'} for bind {bind}, which "
            "failed"
            for bind, count in self._waiting.items()
        )
        return f"wave {self._wave.name}: {'; '.join(told)}"


def mismatch_words(mismatch: Mismatch) -> str:
    """What differs, on one line."""
    if mismatch.problem:
        return redact(mismatch.problem)
    told = "; ".join(words(one) for one in mismatch.differences)
    if mismatch.when == "before" and mismatch.stops:
        return redact(f"changed since it was planned: {told}")
    return redact(f"not like {mismatch.like}: {told}")


def named(names: Sequence[str]) -> str:
    """The first of many names."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
