"""A process that drives a rollout, for tests that watch it, ask it, or kill it.

Enters: a project's folder, and what to do.  Leaves: one JSON line on stdout for each thing that
happens, the last one with how the rollout was left.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from orchestrator.checks.differences import words
from orchestrator.errors import OrchestratorError
from orchestrator.execution.planner import Planner, Request
from orchestrator.execution.project import Project
from orchestrator.execution.rollout.begin import begin, moving_targets
from orchestrator.execution.rollout.controller import Controller
from orchestrator.execution.rollout.types import CheckResult, Mismatch
from orchestrator.execution.scopes import scope_of
from orchestrator.execution.types import Outcome
from orchestrator.execution.verifying import Verifier
from orchestrator.fleet.selections import selection_data
from orchestrator.fleet.targets import Selection
from orchestrator.fleet.types import Target
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutView, WaveCount, WaveRow
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.ledger.writer import Writer, begin_run
from orchestrator.planning.plan import Plan
from orchestrator.planning.planfile import plan_document
from orchestrator.planning.waves import split

_guard = threading.Lock()


def tell(event: str, **values: object) -> None:
    """One line, whichever thread it comes from."""
    with _guard:
        print(json.dumps({"event": event, **values}), flush=True)


class Teller:
    """Tells everything that an observer hears."""

    def wave_started(self, wave: WaveRow, count: WaveCount, plan: Plan) -> None:
        tell("wave", wave=wave.name, count=asdict(count), left=len(list(plan.targets)))

    def started(self, target: Target) -> None:
        tell("started", target=target.id)

    def step(self, target: Target, revision: str) -> None:
        pass

    def waiting(self, target: Target, words: str) -> None:
        pass

    def ended(self, outcome: Outcome) -> None:
        tell("ended", target=outcome.target.id, result=outcome.result)

    def differs(self, mismatch: Mismatch) -> None:
        tell(
            "differs",
            target=mismatch.target.id,
            when=mismatch.when,
            stops=mismatch.stops,
            like=mismatch.like,
            words=[words(one) for one in mismatch.differences],
        )

    def check_started(self, wave: WaveRow, name: str) -> None:
        tell("checking", wave=wave.name, name=name)

    def checked(self, wave: WaveRow, result: CheckResult) -> None:
        tell("checked", wave=wave.name, **asdict(result))

    def soaking(self, wave: WaveRow, seconds_left: float) -> None:
        tell("soaking", wave=wave.name, left=seconds_left)

    def wave_ended(self, wave: WaveRow, count: WaveCount) -> None:
        tell("wave-ended", wave=wave.name, state=wave.state, count=asdict(count))


def started(project: Project, ledger: Ledger) -> RolloutView:
    """A new rollout of all targets to head."""
    selection = Selection(everything=True)
    plan = Planner.of(project, Request(selection, "upgrade", ("head",))).plan()
    rules = project.config.rollout
    depends = {name: bind.depends_on for name, bind in project.config.binds.items()}
    waves = split(moving_targets(plan), rules, depends)
    verifier = Verifier(scope_of(project)) if rules.verify else None
    for mismatch in verifier.before(plan) if verifier else ():
        Teller().differs(mismatch)
    document = plan_document(plan, project.config.root, selection_data(selection))
    return begin(
        ledger,
        plan,
        document,
        waves,
        rules,
        who="test",
        verify=rules.verify,
        before=verifier.digests if verifier else {},
    )


def drive(root: Path, what: str, options: list[str]) -> int:
    """Do it, and give the exit code."""
    project = Project.open(root / "databases.yaml", root)
    ledger = Ledger.open(project.config.ledger)
    rollouts = Rollouts(ledger)
    try:
        view = started(project, ledger) if what == "start" else rollouts.view(None)
    except OrchestratorError as error:
        tell("refused", what=str(error))
        return 2
    tell("rollout", id=view.row.id, digest=view.row.digest)
    run = begin_run(ledger, who="test", version="0", verb="rollout", command=what)
    writer = Writer(ledger, run, root, lambda words: tell("warning", words=words))
    writer.start()
    controller = Controller(
        project,
        rollouts,
        view,
        run.id,
        Teller(),
        retry=what == "retry",
        include_new="new" in options,
        accept_different="accept" in options,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: controller.stop())
    try:
        ended = controller.run()
    except OrchestratorError as error:
        writer.end("failed")
        tell("refused", what=str(error))
        return 2
    writer.end("done")
    new = [target.id for target in ended.new]
    tell("end", status=ended.status, reason=ended.reason, failed=ended.failed, new=new)
    return 0


if __name__ == "__main__":
    sys.exit(drive(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
