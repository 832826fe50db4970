"""A run: a plan applied to its targets, one outcome each.

Enters: TargetPlans and a Goal.  Leaves: Outcomes as they come.  A failure stops its target only,
and the targets of binds that depend on its bind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from orchestrator.errors import DatabaseError, Problem
from orchestrator.execution.apply import Job
from orchestrator.execution.pool import SerialPool, Work
from orchestrator.execution.project import Project
from orchestrator.execution.provision import ensure_exists
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target
from orchestrator.planning.paths import Goal, TargetPlan


class Run:
    """One run of a plan. `stop` and `cancel` may be called from a signal handler."""

    def __init__(
        self,
        project: Project,
        plans: Sequence[TargetPlan],
        goal: Goal,
        *,
        purge: bool = False,
        on_start: Callable[[Target], None] = lambda _target: None,
        on_step: Callable[[Target, str], None] = lambda _target, _revision: None,
    ) -> None:
        self._project = project
        self._plans = plans
        self._goal = goal
        self._purge = purge
        self._failed_binds: set[str] = set()
        self._pool = SerialPool(on_start=on_start, on_step=on_step, on_end=self._ended)

    def outcomes(self) -> Iterator[Outcome]:
        """Apply, in the order of the plans; targets with nothing to do are told first in turn."""
        # Every app is imported and env.py is run before the first target is touched.
        _ = self._project.models, self._project.environment
        yield from self._pool.run(self._work())

    def stop(self) -> None:
        """Let the running step end, and start nothing new."""
        self._pool.stop()

    def cancel(self) -> None:
        """Cancel the running statement."""
        self._pool.cancel()

    def _ended(self, outcome: Outcome) -> None:
        if outcome.result == "failed":
            self._failed_binds.add(outcome.target.bind.name)

    def _work(self) -> Iterator[Work]:
        for plan in self._plans:
            yield plan.target, self._preparation(plan)

    def _preparation(self, plan: TargetPlan) -> Callable[[], Job | Outcome]:
        def prepare() -> Job | Outcome:
            target, goal = plan.target, self._goal
            if plan.problem is not None:
                raise DatabaseError(plan.problem)
            waited_for = [name for name in target.bind.depends_on if name in self._failed_binds]
            if waited_for:
                raise DatabaseError(
                    Problem(
                        f"not started: bind {waited_for[0]}, on which it depends, failed",
                        where=f"target {target.id}",
                        todo="Run the command again when that is repaired.",
                    )
                )
            if not plan.steps and not self._purge:
                revisions = plan.state.revisions
                return Outcome(target, "unchanged", revisions, revisions)
            if goal.verb != "downgrade":
                ensure_exists(target)
            history = self._project.history(target.bind.name)
            return self._project.job(
                target,
                goal.migrations(history),
                destination=goal.destinations[target.bind.name],
                purge=self._purge,
            )

        return prepare
