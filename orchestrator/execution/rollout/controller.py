"""The process that drives a rollout: wave by wave, under its rules, with a state that survives it.

Enters: a rollout from the ledger.  Leaves: the same, further on; and Ended.

What a target's row says is written behind what happens to the target, never before: whoever goes on
after this process was killed reads each target's state again, so that nothing is applied twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from orchestrator.errors import OrchestratorError, Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.execution.rollout.begin import target_rows
from orchestrator.execution.rollout.checking import passes
from orchestrator.execution.rollout.context import Context, Signals
from orchestrator.execution.rollout.driving import THROUGH, Driving, named
from orchestrator.execution.rollout.ending import Ending
from orchestrator.execution.rollout.newcomers import joined, newcomers, unfinished
from orchestrator.execution.rollout.notes import Notes
from orchestrator.execution.rollout.remaining import Remaining
from orchestrator.execution.rollout.types import VERIFY, Ended, RolloutObserver
from orchestrator.execution.scopes import scope_of
from orchestrator.execution.verifying import Verifier
from orchestrator.fleet.types import Target
from orchestrator.ledger.rollout_types import RolloutTarget, RolloutView, TargetState, WaveRow
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.planning.paths import Goal
from orchestrator.planning.plan import Plan
from orchestrator.planning.planfile import PlanFile, read_plan, write_plan
from orchestrator.planning.waves import budget
from orchestrator.revisions.recordings import Listener

NEW = "new"
"""The name of the wave of targets that came after the plan."""

_FAILED: tuple[TargetState, ...] = ("failed", "different")
_SOAK_TOLD = 1.0


class Controller:
    """Drives one rollout in this process. `stop` and `cancel` may be called from a signal's
    handler."""

    def __init__(
        self,
        project: Project,
        rollouts: Rollouts,
        view: RolloutView,
        run_id: str,
        observer: RolloutObserver,
        *,
        retry: bool = False,
        include_new: bool = False,
        accept_different: bool = False,
        check_timeout: float | None = None,
        listener: Listener | None = None,
    ) -> None:
        """view: as it was read, with its plan. run_id: the ledger's run that drives it from now on.
        retry: run the failed targets of the waves begun again, and go no further. include_new: take
        targets that came after the plan, as one more wave. accept_different: take targets that are
        not like their cohort as they are. check_timeout: of all waves that are not done, instead of
        what they were started with."""
        self._project = project
        self._rollouts = rollouts
        self._view = view
        self._run = run_id
        self._observer = observer
        self._retry = retry
        self._include_new = include_new
        self._accept = accept_different
        self._check_seconds = check_timeout
        self._listener = listener or Listener()
        self._ending = Ending()
        self._signals = Signals()
        self._notes = Notes(rollouts, view.row.id, run_id, self._ending)
        self._waves = list(view.waves)

    def run(self) -> Ended:
        """Take the rollout over, and drive it as far as it goes.

        Raises UsageError for one that cannot be taken over and for revision files that are not
        those that were planned, before anything is changed; LedgerError when the end cannot be
        written; and what reading tenants and models raises.
        """
        self._refuse()
        row, name = self._view.row, f"the plan of rollout {self._view.row.id}"
        file = read_plan(row.plan, name)
        rows = self._rollouts.targets(row.id)
        remaining = Remaining.of(self._project, file, name, rows, self._listener)
        if not self._rollouts.claim(row.id, self._run, row.run):
            raise _taken(row.id)
        self._notes.start()
        try:
            try:
                self._drive(file, remaining)
                return self._ended(file)
            except OrchestratorError as error:
                self._ending.ask("stopped", error.problems[0].what)
                self._settle()
                raise
        finally:
            self._notes.close()

    def stop(self, by: str = "a signal") -> None:
        """Let running steps end, and start nothing new; `rollout resume` goes on."""
        self._ending.ask("interrupted", f"interrupted by {by}")
        self._signals.stop()

    def cancel(self) -> None:
        """Cancel the running statements on their servers."""
        self._signals.cancel()

    # -- before ------------------------------------------------------------------------------

    def _refuse(self) -> None:
        view = self._view
        if view.driven and view.row.run != self._run:
            raise _taken(view.row.id)
        if view.status == "aborted":
            what, todo = "it was aborted", "Start a new one with `orchestrator rollout start`."
        elif view.status == "done" and not (self._retry or self._include_new):
            what, todo = "it is done", "`rollout retry` runs its failed targets again."
        elif self._retry and not sum(one.failed + one.different for one in view.counts):
            what, todo = "it has no failed targets", "See `orchestrator rollout status`."
        else:
            return
        raise UsageError(Problem(what, where=f"rollout {view.row.id}", todo=todo))

    def _context(self, remaining: Remaining) -> Context:
        return Context(
            self._project,
            self._view.row,
            self._run,
            remaining,
            self._notes,
            self._ending,
            self._observer,
            self._verifier(remaining),
            self._rollouts.now,
            self._signals,
        )

    def _verifier(self, remaining: Remaining) -> Verifier | None:
        if not self._view.row.verify and not any(VERIFY in one.checks for one in self._waves):
            return None
        verifier = Verifier(scope_of(self._project))
        rows = self._notes.rows()
        verifier.remember(rows, remaining.plan(rows).plan, self._view.row.shapes)
        return verifier

    # -- the way -----------------------------------------------------------------------------

    def _drive(self, file: PlanFile, remaining: Remaining) -> None:
        if self._accept:
            self._accept_different()
        if self._check_seconds is not None:
            self._limit_checks(self._check_seconds)
        if self._include_new:
            remaining = self._take_new(file, remaining)
        context = self._context(remaining)
        if self._retry:
            self._again(context)
            return
        for number, wave in enumerate(self._waves):
            if wave.state != "done" and not self._ending.came:
                wave = self._waves[number] = self._wave(context, wave)
                self._observer.wave_ended(wave, self._notes.count(wave.number))
                if wave.state == "done" and wave.pause and wave is not self._waves[-1]:
                    what = f"wave {wave.name} is done, and has `pause: true`"
                    self._ending.ask("paused", what)

    def _wave(self, context: Context, wave: WaveRow) -> WaveRow:
        """Bring one wave to its end, if nothing keeps it from there. Gives how it stands then."""
        begun = wave.state != "waiting"
        if not begun:
            wave = self._moved(replace(wave, state="running", started=context.now()))
        if wave.state == "running":
            Driving(context, wave, self._open(wave), begun=begun).run()
            if self._ending.came or not passes(context, wave, self._rows(wave)):
                return wave
            if wave.soak:
                until = context.now() + timedelta(seconds=wave.soak)
                wave = self._moved(replace(wave, state="soaking", soak_until=until))
        else:
            count = self._notes.count(wave.number)
            self._observer.wave_started(wave, count, _nothing(context.remaining.file))
        if wave.state == "soaking" and not (
            self._soaked(context, wave) and passes(context, wave, self._rows(wave), soaked=True)
        ):
            return wave
        return self._moved(replace(wave, state="done", ended=context.now()))

    def _open(self, wave: WaveRow) -> list[RolloutTarget]:
        """The targets of a wave that something is to be done for: those that were not compared
        before a process was killed, too."""
        compares = self._view.row.verify
        return [
            one
            for one in self._rows(wave)
            if one.state not in THROUGH or (compares and one.before and not one.after)
        ]

    def _soaked(self, context: Context, wave: WaveRow) -> bool:
        """Wait for the end of a wave's soak. False when something comes in between."""
        assert wave.soak_until is not None, "a wave that soaks has an end of it"
        while (left := (wave.soak_until - context.now()).total_seconds()) > 0:
            self._observer.soaking(wave, left)
            if self._ending.wait(min(left, _SOAK_TOLD)):
                return False
        return not self._ending.came

    def _again(self, context: Context) -> None:
        """Run the failed targets of the waves that were begun."""
        for wave in self._waves:
            rows = [one for one in self._rows(wave) if one.state in _FAILED]
            if not rows or wave.state == "waiting" or self._ending.came:
                continue
            Driving(context, wave, rows, begun=True).run()
            numbers = {row.number for row in rows}
            tried = [one for one in self._rows(wave) if one.number in numbers]
            if not self._ending.came:
                passes(context, wave, tried)
            self._observer.wave_ended(wave, self._notes.count(wave.number))
        if any(wave.state != "done" for wave in self._waves):
            self._ending.ask("paused", "its failed targets were tried again")

    def _accept_different(self) -> None:
        """What differs is compared with nothing any more, and nothing is compared with it."""
        for row in self._notes.rows():
            if row.state == "different":
                self._notes.keep(replace(row, before=""))

    def _limit_checks(self, seconds: float) -> None:
        """Another time limit for the checks to come."""
        for number, wave in enumerate(self._waves):
            if wave.state != "done":
                self._waves[number] = self._moved(replace(wave, check_timeout=seconds))

    def _take_new(self, file: PlanFile, remaining: Remaining) -> Remaining:
        """Add a wave of the targets that came after the plan."""
        row, known = self._view.row, _known(file)
        plan = newcomers(self._project, file, known, self._listener, record=True)
        targets = [target for cohort in (plan.moving if plan else ()) for target in cohort.targets]
        if plan is None or not targets:
            return remaining
        before: dict[str, str] = {}
        if row.verify:
            verifier = Verifier(scope_of(self._project))
            for mismatch in verifier.before(plan):
                self._observer.differs(mismatch)
            before.update(verifier.digests)
        document = joined(row.plan, plan, self._project)
        wave = self._new_wave(len(targets))
        first = max((one.number for one in self._notes.rows()), default=-1) + 1
        rows = tuple(target_rows(plan, targets, before, wave=wave.number, first=first))
        text = write_plan(document)
        self._notes.do(lambda: self._rollouts.extend(row.id, document["digest"], text, wave, rows))
        self._notes.add(rows)
        self._waves.append(wave)
        again = read_plan(text, remaining.name)
        return Remaining.of(
            self._project, again, remaining.name, self._notes.rows(), self._listener
        )

    def _new_wave(self, targets: int) -> WaveRow:
        rules, number = self._project.config.rollout, self._waves[-1].number + 1
        taken = {wave.name for wave in self._waves}
        name = NEW if NEW not in taken else f"{NEW} {number}"
        most, given = budget(rules.max_failures, targets), self._check_seconds
        return WaveRow(
            number,
            name,
            targets,
            rules.concurrency,
            most,
            checks=rules.checks,
            check_timeout=rules.check_timeout if given is None else given,
        )

    def _rows(self, wave: WaveRow) -> tuple[RolloutTarget, ...]:
        return self._notes.rows(wave.number)

    def _moved(self, wave: WaveRow) -> WaveRow:
        self._notes.move(wave)
        return wave

    # -- the end -----------------------------------------------------------------------------

    def _ended(self, file: PlanFile) -> Ended:
        through = all(wave.state == "done" for wave in self._waves)
        end = self._ending.end
        if end is None or (through and end.status in ("paused", "interrupted")):
            new = self._new(file)
            failed = self._failed()
            reason = "; ".join(self._remarks(failed))
            if not self._notes.settle("done", reason):
                raise _taken(self._view.row.id)
            return Ended("done", reason, failed, new)
        reason = self._settle()
        status = "interrupted" if end.status == "lost" else end.status
        return Ended(status, reason, self._failed())

    def _settle(self) -> str:
        """Write why the rollout goes no further. Gives the reason."""
        end = self._ending.end
        assert end is not None, "asked for before"
        reason = "; ".join(filter(None, (end.reason(), self._gone())))
        if end.status != "lost":
            self._notes.settle("paused" if end.status == "interrupted" else end.status, reason)
        return reason

    def _failed(self) -> int:
        return sum(row.state in _FAILED for row in self._notes.rows())

    def _remarks(self, failed: int) -> Iterator[str]:
        """What a rollout that is done did not do."""
        if failed:
            yield f"{failed:,} failed, no more than max_failures"
        if gone := self._gone():
            yield gone

    def _gone(self) -> str:
        """The targets that have left the fleet, as far as waves have looked; "" for none."""
        gone = [row.target for row in self._notes.rows() if row.gone]
        if not gone:
            return ""
        left = "target was" if len(gone) == 1 else "targets were"
        return f"{len(gone):,} {left} not in the fleet any more, and left alone: {named(gone)}"

    def _new(self, file: PlanFile) -> Sequence[Target]:
        """Targets that came after the plan, as far as they can be told now."""
        known = _known(file) | {row.target for row in self._notes.rows()}
        try:
            plan = newcomers(self._project, file, known, self._listener, record=False)
        except OrchestratorError:
            return ()
        return () if plan is None else unfinished(plan)


def _known(file: PlanFile) -> set[str]:
    return {target for cohort in file.cohorts for target in cohort.targets}


def _nothing(file: PlanFile) -> Plan:
    return Plan(Goal(file.verb, file.destinations))


def _taken(rollout: str) -> UsageError:
    return UsageError(
        Problem(
            "another process drives it",
            where=f"rollout {rollout}",
            todo="See `orchestrator rollout status`; `orchestrator rollout pause` makes it stop.",
        )
    )
