"""Running plans: every cohort's path on every one of its targets, one outcome each.

Enters: a Plan.  Leaves: Outcomes as they come.  A failure stops its target, and the targets of
binds that depend on its bind; nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from orchestrator.errors import Problem
from orchestrator.execution.drive import Drive, drive, footing_of, in_worker
from orchestrator.execution.live import LiveWorkers
from orchestrator.execution.live_types import LiveStep
from orchestrator.execution.pool import Pool, ThreadPool, Work
from orchestrator.execution.poolers import Poolers
from orchestrator.execution.project import Project
from orchestrator.execution.provision import provision_all
from orchestrator.execution.sessions import SessionStore
from orchestrator.execution.stages import stages
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.types import Target
from orchestrator.planning.paths import Goal
from orchestrator.planning.plan import Cohort, Plan
from orchestrator.safety.owners import Owner


class Runner:
    """Runs the plans of one command, stage by stage, with one set of sessions and workers.

    `stop` and `cancel` may be called from a signal handler while `run` gives outcomes.
    """

    def __init__(
        self,
        project: Project,
        *,
        size: int,
        run_id: str = "",
        on_start: Callable[[Target], None] = lambda _target: None,
        on_step: Callable[[Target, str], None] = lambda _target, _revision: None,
        on_wait: Callable[[Target, str], None] = lambda _target, _words: None,
        on_end: Callable[[Outcome], None] = lambda _outcome: None,
        tick: Callable[[], None] = lambda: None,
        failed_binds: Iterable[str] = (),
    ) -> None:
        """size: how many targets run at the same time, at most. run_id: by which the holders of
        locks are known. on_wait: hears what a target waits for. on_end: hears the outcome of a
        target that was driven in the thread that drove it, before another one takes its place, so
        that it may `hold`. tick: see ThreadPool. failed_binds: those of which a target failed
        before, so that nothing that depends on them is started."""
        owner = Owner.here(run_id)
        self._sessions = SessionStore(owner.label)
        self._workers = LiveWorkers(project.config.file, project.config.root, size)
        self._pool: Pool = ThreadPool(size, tick)
        self._drive = Drive(
            self._sessions,
            self._workers,
            owner,
            lambda: self._pool.stopping,
            self._pool.pause,
            on_start,
            on_step,
            on_wait,
        )
        self._project = project
        self._poolers = Poolers()
        self._failed_binds = set(failed_binds)
        self._on_end = on_end
        self._waiting: dict[str, str] = {}

    def run(self, plan: Plan, *, purge: bool = False) -> Iterator[Outcome]:
        """Apply one plan. Targets with nothing to do, and those that cannot be planned, are told
        first."""
        for one in plan.blocked:
            yield self._heard(_failed(one.target, one.problem))
        config = self._project.config
        binds = {cohort.bind: config.binds[cohort.bind] for cohort in plan.cohorts}
        order = stages(config, binds.values())
        # What a bind depends on is taken back last, as it was made first.
        for stage in reversed(order) if plan.goal.verb == "downgrade" else order:
            names = {bind.name for bind in stage}
            cohorts = [cohort for cohort in plan.cohorts if cohort.bind in names]
            yield from self._stage(cohorts, plan.goal, purge=purge)

    def _stage(self, cohorts: Sequence[Cohort], goal: Goal, *, purge: bool) -> Iterator[Outcome]:
        """Apply cohorts none of which depends on another."""
        work: list[Work] = []
        for cohort in cohorts:
            waited_for = self._failed_before(cohort, goal)
            if waited_for is not None:
                for target in cohort.targets:
                    self._waiting[target.id] = waited_for
                    yield self._heard(_failed(target, _not_started(target, waited_for, goal)))
            elif not cohort.steps and not purge:
                for target in cohort.targets:
                    yield Outcome(target, "unchanged", cohort.state, cohort.state)
            elif self._pool.closed:
                for target in cohort.targets:
                    yield Outcome(target, "not-started", cohort.state, cohort.state)
            else:
                refused = self._refused(cohort, goal)
                for target in cohort.targets:
                    if target.id in refused:
                        yield self._heard(_failed(target, refused[target.id]))
                work += self._work(cohort, goal, refused, purge=purge)
        work = [Work(one.target, partial(self._driven, one.run)) for one in work]
        for outcome in self._pool.run(work):
            yield self._heard(outcome)

    def _driven(self, run: Callable[[], Outcome]) -> Outcome:
        outcome = run()
        self._on_end(outcome)
        return outcome

    def _refused(self, cohort: Cohort, goal: Goal) -> dict[str, Problem]:
        """The targets on which nothing can be run, by their ids; missing ones are made here."""
        refused = self._poolers.refused(cohort.targets)
        rest = [target for target in cohort.targets if target.id not in refused]
        if cohort.missing and goal.verb != "downgrade":
            refused |= provision_all(rest)
        for target in {one.server.name: one for one in rest}.values():
            self._sessions.reached(target)
        return refused

    def _work(
        self, cohort: Cohort, goal: Goal, refused: Iterable[str], *, purge: bool
    ) -> list[Work]:
        targets = [target for target in cohort.targets if target.id not in refused]
        if goal.verb == "stamp" and self._calls_back(cohort.bind):
            # Alembic calls env.py's on_version_apply for a stamp too, with a connection of its own.
            revisions = tuple(goal.destinations[cohort.bind].split(","))
            return [
                Work(
                    target,
                    partial(
                        in_worker,
                        self._drive,
                        LiveStep(
                            target,
                            footing_of(target, cohort.flavour, self._drive.owner),
                            stamp=revisions,
                            purge=purge,
                        ),
                    ),
                )
                for target in targets
            ]
        return [
            Work(
                target,
                partial(
                    drive,
                    self._drive,
                    target,
                    cohort.flavour,
                    cohort.state,
                    cohort.steps,
                    purge=purge,
                ),
            )
            for target in targets
        ]

    def _calls_back(self, bind: str) -> bool:
        return bool(self._project.environment.for_bind(bind).get("on_version_apply"))

    def _heard(self, outcome: Outcome) -> Outcome:
        if outcome.result == "failed":
            self._failed_binds.add(outcome.target.bind.name)
        return outcome

    def _failed_before(self, cohort: Cohort, goal: Goal) -> str | None:
        """A bind that failed, and on which this cohort's depends, itself or through others; or, of
        what is taken back, one that depends on this cohort's."""
        if goal.verb != "downgrade":
            return next(
                (name for name in self._below(cohort.bind) if name in self._failed_binds), None
            )
        return next(
            (name for name in sorted(self._failed_binds) if cohort.bind in self._below(name)), None
        )

    def _below(self, bind: str) -> list[str]:
        """The binds on which one depends, the nearest first."""
        binds = self._project.config.binds
        known: list[str] = [*binds[bind].depends_on] if bind in binds else []
        for name in known:  # It grows while it is walked.
            more = binds[name].depends_on if name in binds else ()
            known += [other for other in more if other not in known]
        return known

    @property
    def waiting(self) -> Mapping[str, str]:
        """The targets, by their ids, that failed only because a bind did on which theirs depends;
        and that bind."""
        return self._waiting

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop."""
        return self._pool.stopping

    def stop(self) -> None:
        """Let running steps end, and start nothing new."""
        self._pool.stop()

    def hold(self) -> None:
        """Let running targets end their whole path, and start no other."""
        self._pool.hold()

    def cancel(self) -> None:
        """Cancel the running statements on their servers."""
        self._pool.stop()
        self._sessions.cancel()
        self._workers.kill()

    def close(self) -> None:
        """End sessions and workers."""
        self._sessions.close()
        self._workers.close()


def _failed(target: Target, problem: Problem) -> Outcome:
    failure = Failure(problem.what, where=problem.where, todo=problem.todo)
    return Outcome(target, "failed", failure=failure)


def _not_started(target: Target, bind: str, goal: Goal) -> Problem:
    why = "which depends on it" if goal.verb == "downgrade" else "on which it depends"
    return Problem(
        f"not started: bind {bind}, {why}, failed",
        where=f"target {target.id}",
        todo="Run the command again when that is repaired.",
    )
