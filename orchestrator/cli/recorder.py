"""A run written down as it goes on: what the command line plans and hears, as the ledger keeps it.

Enters: Plans and Outcomes.  Leaves: a run in the ledger; no text of it holds a password.
"""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from orchestrator import __version__
from orchestrator.cli.output import redact
from orchestrator.config import Config
from orchestrator.errors import LedgerError, OrchestratorError
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target
from orchestrator.ledger.causes import cause_of, names_of
from orchestrator.ledger.columns import kept_text, whole_text
from orchestrator.ledger.connect import ledger_file
from orchestrator.ledger.container import vanishes
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.process import who
from orchestrator.ledger.spool import spool_folder, take_in
from orchestrator.ledger.tables import NAME_LENGTH, TARGET_LENGTH
from orchestrator.ledger.types import OutcomeResult, OutcomeRow, RunResult
from orchestrator.ledger.writer import Writer, begin_run
from orchestrator.planning.plan import Plan
from orchestrator.planning.planfile import plan_document

Warn = Callable[[str], None]

BY_HAND = "by-hand"
"""The verb of a run that somebody else has done, with a bundle."""


def open_ledger(config: Config, warn: Warn) -> Ledger:
    """The ledger of a command that changes databases, with what older runs had to spool.

    Raises ConfigError (a variable of its URL is unset) and LedgerError, before anything is touched.
    """
    config.require(parts=["ledger"])
    ledger = Ledger.open(config.ledger)
    file = ledger_file(config.ledger)
    if file is not None and vanishes(file):
        warn(
            f"the ledger is a file inside this container and is lost with it: {file}; set "
            "`ledger:` in databases.yaml to a PostgreSQL or MySQL URL, or mount a volume there"
        )
    take_in(spool_folder(config.root), ledger, warn)
    return ledger


def read_ledger(config: Config, warn: Warn) -> Ledger | None:
    """The ledger of a command that looks things up; None when nothing was ever written.

    What runs had to spool is taken in first. Raises ConfigError and LedgerError.
    """
    config.require(parts=["ledger"])
    folder = spool_folder(config.root)
    if any(folder.glob("*.jsonl")):
        try:
            ledger = Ledger.open(config.ledger)
        except LedgerError as error:
            warn(f"what is in {folder} is not shown: {error.problems[0].what}")
        else:
            take_in(folder, ledger, warn)
            return ledger
    return Ledger.read(config.ledger)


class Recorder:
    """One run in the ledger. `run_id` is its id."""

    def __init__(self, writer: Writer, run_id: str, root: Path, digest: str) -> None:
        """digest: of the plan file that is run, "" where the plans themselves tell theirs."""
        self.run_id = run_id
        self._writer = writer
        self._root = root
        self._digest = digest
        self._digests: list[str] = []
        self._numbers: dict[str, int] = {}
        self._ended = False

    def planned(self, plan: Plan) -> None:
        """A stage was planned."""
        self._digests.append(plan_document(plan, self._root, {})["digest"])
        counts = Counter(target.bind.name for target in plan.targets)
        rows = [
            _row(self._number(target), target, "planned", cohort.state)
            for cohort in plan.moving
            for target in cohort.targets
        ]
        self._writer.planned(rows, counts, self._digest or _joined(self._digests))

    def ended(self, outcome: Outcome) -> None:
        """A target has its outcome."""
        if outcome.result == "unchanged" and outcome.target.id not in self._numbers:
            self._writer.unchanged(outcome.target.bind.name)
        else:
            self._writer.ended(outcome_row(self._number(outcome.target), outcome))

    def by_hand(self, outcomes: Sequence[Outcome]) -> None:
        """Targets that somebody else has brought where they are."""
        counts = Counter(outcome.target.bind.name for outcome in outcomes)
        rows = [
            _row(self._number(one.target), one.target, "planned", one.before) for one in outcomes
        ]
        self._writer.planned(rows, counts, self._digest)
        for outcome in outcomes:
            self.ended(outcome)

    def end(self, result: RunResult, error: str = "") -> None:
        """The run has ended; a second call changes nothing."""
        if not self._ended:
            self._ended = True
            self._writer.end(result, _kept(error))

    def _number(self, target: Target) -> int:
        return self._numbers.setdefault(target.id, len(self._numbers) + 1)


@contextmanager
def recorded(
    config: Config, ledger: Ledger, verb: str, warn: Warn, digest: str = ""
) -> Iterator[Recorder]:
    """A run that is written down from now on, and whose end is when the block is left. Raises
    LedgerError, before anything is touched."""
    command = _kept(shlex.join(["orchestrator", *sys.argv[1:]]))
    run = begin_run(ledger, who=_kept(who()), version=__version__, verb=verb, command=command)
    writer = Writer(ledger, run, config.root, warn)
    recorder = Recorder(writer, run.id, config.root, digest)
    writer.start()
    try:
        yield recorder
    except KeyboardInterrupt:
        recorder.end("interrupted")
        raise
    except BaseException as error:
        told = str(error) if isinstance(error, OrchestratorError) else f"defect: {error!r}"
        recorder.end("failed", told)
        raise


def outcome_row(number: int, outcome: Outcome) -> OutcomeRow:
    """An outcome as the ledger keeps it."""
    row = replace(
        _row(number, outcome.target, outcome.result, outcome.before),
        to_revisions=_kept(",".join(outcome.after)),
        steps=len(outcome.steps),
        statements=outcome.statements,
        attempts=outcome.attempts,
        waited=round(outcome.waited, 3),
        seconds=round(outcome.seconds, 3),
    )
    failure = outcome.failure
    if failure is None:
        return row
    message = redact(failure.message)
    return replace(
        row,
        error=_kept(message),
        revision=_kept(failure.revision),
        where_at=_kept(failure.where),
        statement=_kept(failure.statement),
        todo=_kept(failure.todo),
        cause=_kept(cause_of(message, names_of(outcome.target))),
    )


def _row(number: int, target: Target, result: OutcomeResult, before: tuple[str, ...]) -> OutcomeRow:
    url = target.server.url
    database = target.database or (url.database if url is not None else None)
    return OutcomeRow(
        number,
        whole_text(target.id)[:TARGET_LENGTH],
        target.bind.name[:NAME_LENGTH],
        target.server.name[:NAME_LENGTH],
        _name(target.tenant),
        _name(target.schema),
        _name(database),
        result,
        from_revisions=_kept(",".join(before)),
    )


def _name(name: str | None) -> str | None:
    return None if name is None else whole_text(name)[:NAME_LENGTH]


def _kept(text: str) -> str:
    """A text without passwords, and no longer than every server takes it."""
    return kept_text(redact(text)) if text else text


def _joined(digests: Sequence[str]) -> str:
    """The digest of a plan that was made in stages: of one its own, of several one over theirs."""
    if len(digests) == 1:
        return digests[0]
    return "sha256:" + hashlib.sha256("\n".join(digests).encode("ascii")).hexdigest()
