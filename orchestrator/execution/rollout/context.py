"""What the parts of one process that drives a rollout share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.execution.project import Project
from orchestrator.execution.rollout.ending import Ending
from orchestrator.execution.rollout.notes import Notes
from orchestrator.execution.rollout.remaining import Remaining
from orchestrator.execution.rollout.types import RolloutObserver
from orchestrator.execution.run import Runner
from orchestrator.execution.verifying import Verifier
from orchestrator.ledger.rollout_types import RolloutRow


@dataclass
class Signals:
    """What a signal's handler has to do with what runs now."""

    runner: Runner | None = None
    stopped: bool = False

    def stop(self) -> None:
        """Let running steps end."""
        self.stopped = True
        if self.runner is not None:
            self.runner.stop()

    def cancel(self) -> None:
        """Cancel the running statements on their servers."""
        if self.runner is not None:
            self.runner.cancel()

    def use(self, runner: Runner | None) -> None:
        """This is what runs now."""
        self.runner = runner
        if runner is not None and self.stopped:
            runner.stop()


@dataclass(frozen=True)
class Context:
    """One process that drives one rollout.

    run: the ledger's run that drives it. verifier: None when no fingerprints are compared.
    now: the time on the ledger's clock.
    """

    project: Project
    row: RolloutRow
    run: str
    remaining: Remaining
    notes: Notes
    ending: Ending
    observer: RolloutObserver
    verifier: Verifier | None
    now: Callable[[], datetime]
    signals: Signals = field(default_factory=Signals)
