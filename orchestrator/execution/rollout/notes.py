"""What becomes of a rollout's targets, kept in the ledger at most a second behind; and what other
terminals ask, heard within a second.

Enters: rows of targets and waves as they change.  Leaves: the same in the ledger; asks and a ledger
that cannot be written, as reasons to start no new target.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from orchestrator.errors import LedgerError
from orchestrator.execution.rollout.ending import Ending
from orchestrator.ledger.rollout_types import RolloutStatus, RolloutTarget, WaveCount, WaveRow
from orchestrator.ledger.rollouts import Rollouts

EVERY_SECONDS = 0.8
AT_ONCE = 200
FAILING_SECONDS = 10.0
"""How long the ledger may fail before no new target is started."""
END_SECONDS = 60.0
"""How long what is written at the end of a wave, or of the rollout, is tried again."""

_AGAIN_SECONDS = 0.5
_Result = TypeVar("_Result")


class Notes:
    """The rows of one rollout, here and in the ledger. `start` it, and `close` it whatever happens.

    Memory is ahead of the ledger, and never the other way round.
    """

    def __init__(self, rollouts: Rollouts, rollout: str, run: str, ending: Ending) -> None:
        self._rollouts = rollouts
        self._rollout = rollout
        self._run = run
        self._ending = ending
        self._rows: dict[int, RolloutTarget] = {}
        self._new: dict[int, RolloutTarget] = {}
        # One transaction at a time: a ledger in memory is one connection.
        self._ledger = threading.Lock()
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._lost = False
        self._failing: float | None = None
        self._thread = threading.Thread(target=self._work, name="orchestrator-rollout", daemon=True)

    def start(self) -> None:
        """Read the rows, and begin to write. Raises LedgerError."""
        self._rows = {row.number: row for row in self._rollouts.targets(self._rollout)}
        self._thread.start()

    def close(self) -> None:
        """Write and hear nothing more."""
        self._closed = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    # -- rows --------------------------------------------------------------------------------

    def rows(self, wave: int | None = None) -> tuple[RolloutTarget, ...]:
        """The rows of a wave, or all, in their order."""
        numbers = sorted(self._rows)
        found = (self._rows[number] for number in numbers)
        return tuple(row for row in found if wave is None or row.wave == wave)

    def count(self, wave: int) -> WaveCount:
        """How far a wave has come."""
        counts = dict.fromkeys(("waiting", "done", "unchanged", "failed", "different"), 0)
        for row in self._rows.values():
            if row.wave == wave:
                counts[row.state] += 1
        return WaveCount(wave, **counts)

    def keep(self, row: RolloutTarget) -> None:
        """A target has another state now."""
        with self._guard:
            self._rows[row.number] = self._new[row.number] = row
            full = len(self._new) >= AT_ONCE
        if full:
            self._wake.set()

    def add(self, rows: Iterable[RolloutTarget]) -> None:
        """Rows that are in the ledger already."""
        self._rows.update({row.number: row for row in rows})

    def move(self, wave: WaveRow) -> None:
        """Write how a wave stands, and its targets before. Raises LedgerError."""
        self._surely(lambda: self._rollouts.move(self._rollout, wave))

    def settle(self, status: RolloutStatus, reason: str) -> bool:
        """Write how the rollout stands from now on, and its targets before. False when another run
        drives it. Raises LedgerError."""
        return self._surely(
            lambda: self._rollouts.settle(self._rollout, status, reason, run=self._run)
        )

    def do(self, work: Callable[[], _Result]) -> _Result:
        """Something else with the ledger. Raises LedgerError."""
        with self._ledger:
            return work()

    # -- writing -----------------------------------------------------------------------------

    def _surely(self, work: Callable[[], _Result]) -> _Result:
        """Do this after what is new is written; again, when the ledger fails for a moment."""
        until = time.monotonic() + END_SECONDS
        while True:
            try:
                with self._ledger:
                    self._write()
                    return work()
            except LedgerError:
                if time.monotonic() > until:
                    raise
            time.sleep(_AGAIN_SECONDS)

    def _work(self) -> None:
        while not self._closed:
            self._wake.wait(EVERY_SECONDS)
            self._wake.clear()
            began = time.monotonic()
            try:
                with self._ledger:
                    self._write()
                    self._listen()
                self._failing = None
            except LedgerError as error:
                self._failed(began, error)

    def _failed(self, began: float, error: LedgerError) -> None:
        since = self._failing = began if self._failing is None else self._failing
        if time.monotonic() - since >= FAILING_SECONDS:
            self._ending.ask("stopped", error.problems[0].what)
        # A full batch wakes this thread again and again.
        time.sleep(_AGAIN_SECONDS)

    def _write(self) -> None:
        with self._guard:
            batch: Sequence[RolloutTarget] = list(self._new.values())
        if not batch or self._lost:
            return
        self._rollouts.put(self._rollout, batch)
        with self._guard:
            for row in batch:
                if self._new.get(row.number) is row:
                    del self._new[row.number]

    def _listen(self) -> None:
        ask, run = self._rollouts.heard(self._rollout)
        if run != self._run:
            self._lost = True
            self._ending.ask("lost", f"run {run} drives the rollout now")
        elif ask == "pause":
            self._ending.ask("paused", "paused by `rollout pause`")
        elif ask == "abort":
            self._ending.ask("aborted", "aborted by `rollout abort`")
