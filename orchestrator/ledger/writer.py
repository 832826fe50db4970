"""Writing a run down while it goes on: a thread, batches, and a spool where the ledger fails.

Enters: what a run plans, and outcomes as they come.  Leaves: rows in the ledger at most a second
behind, and a sign of life every few seconds; in a spool from the first failure on.  Nothing here
raises into the run, or makes it wait before its end.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from orchestrator.errors import LedgerError, Problem
from orchestrator.ledger.connect import place_of, reason
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.process import HEARTBEAT_SECONDS, git_commit, this_process
from orchestrator.ledger.spool import Spool, spool_folder
from orchestrator.ledger.types import Batch, BindCount, OutcomeRow, Run, RunResult

EVERY_SECONDS = 1.0
AT_ONCE = 200
AGAIN_SECONDS = 0.5
END_SECONDS = 60.0
"""How long the end of a run waits for its last words to be written."""

_ID_TRIES = 20


def begin_run(ledger: Ledger, *, who: str, version: str, verb: str, command: str) -> Run:
    """Write a new run into the ledger. Raises LedgerError."""
    now, here = ledger.now(), this_process()
    for _ in range(_ID_TRIES):
        run = Run(
            id=run_id(now),
            who=who,
            host=here.host,
            pid=here.pid,
            birth=here.birth,
            version=version,
            verb=verb,
            command=command,
            started=now,
            seen=now,
        )
        if ledger.begin(run):
            return run
    raise LedgerError(Problem("no free id for a run was found", where=place_of(ledger.url)))


def run_id(now: datetime) -> str:
    """An id that sorts by time, such as 20261122T210313-4f2a."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


@dataclass
class _News:
    """What has come since the last batch. rows: by number, because a target may be planned and end
    in one batch. counts: of all binds, whole."""

    rows: dict[int, OutcomeRow]
    counts: dict[str, BindCount]
    changed: bool = False
    digest: str = ""
    commit: str = ""


class Writer:
    """Writes one run that has begun. `start` it, and `end` it whatever happens."""

    def __init__(self, ledger: Ledger, run: Run, root: Path, warn: Callable[[str], None]) -> None:
        """root: the project's folder. warn: hears, from another thread, when the ledger or the
        spool fails; once each."""
        self._ledger = ledger
        self._run = run
        self._root = root
        self._warn = warn
        self._news = _News({}, {})
        self._idle: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._end: tuple[datetime, RunResult, str] | None = None
        self._spool: Spool | None = None
        self._unwritten: list[Batch] = []
        self._lost = False
        self._thread = threading.Thread(target=self._work, name="orchestrator-ledger", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def planned(
        self, rows: Iterable[OutcomeRow], counts: Mapping[str, int], digest: str = ""
    ) -> None:
        """A stage was planned. rows: of targets that have steps to take. counts: targets by bind.
        digest: of all that is planned so far."""
        with self._changed:
            self._news.rows.update((row.number, row) for row in rows)
            for bind, count in counts.items():
                known = self._news.counts.get(bind, BindCount(bind))
                self._news.counts[bind] = replace(known, planned=known.planned + count)
            self._news.digest = digest
            self._news.changed = True
            self._changed.notify()

    def ended(self, row: OutcomeRow) -> None:
        """A target has ended with something to tell."""
        with self._changed:
            if row.result == "unchanged":
                self.unchanged(row.bind)
            else:
                field = row.result.replace("-", "_")
                known = self._news.counts.get(row.bind, BindCount(row.bind))
                counted = replace(known, **{field: getattr(known, field) + 1})
                self._news.counts[row.bind] = counted
            self._news.changed = True
            self._news.rows[row.number] = row
            if len(self._news.rows) >= AT_ONCE:
                self._changed.notify()

    def unchanged(self, bind: str) -> None:
        """A target had nothing to do. Without the lock, and nothing is made: there may be a
        hundred thousand of them."""
        self._idle[bind] += 1

    def end(self, result: RunResult, error: str = "") -> None:
        """The run has ended; what is left is written now."""
        with self._changed:
            self._end = (self._ledger.now(), result, error)
            self._changed.notify()
        self._thread.join(END_SECONDS)
        if self._thread.is_alive():
            self._warn(
                f"the ledger {place_of(self._ledger.url)} does not answer: "
                "the end of this run is not written"
            )

    def _work(self) -> None:
        self._news.commit = git_commit(self._root)
        seen, told = time.monotonic(), Counter[str]()
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._end is not None or len(self._news.rows) >= AT_ONCE, EVERY_SECONDS
                )
                idle, ended = self._idle.copy(), self._end is not None
                news = ended or self._news.changed or idle != told or bool(self._news.commit)
                if not news and time.monotonic() - seen < HEARTBEAT_SECONDS:
                    continue
                batch = self._batch(idle)
            seen, told = time.monotonic(), idle
            self._keep(batch)
            if ended:
                break
        if self._spool is not None:
            self._spool.close()
        self._ledger.engine.dispose()

    def _batch(self, idle: Mapping[str, int]) -> Batch:
        """All that is new, and the end when it has come. idle: targets that had nothing to do."""
        news = self._news
        for bind, count in idle.items():
            known = news.counts.get(bind, BindCount(bind))
            news.counts[bind] = replace(known, unchanged=count)
        self._news = _News({}, news.counts)
        at, result, error = self._end or (None, None, "")
        return Batch(
            self._ledger.now(),
            tuple(news.rows.values()),
            tuple(news.counts.values()),
            news.commit,
            news.digest,
            at,
            result,
            error,
        )

    def _keep(self, batch: Batch) -> None:
        if self._spool is None:
            try:
                self._write_ledger(batch)
            # A defect of this program, too, must not take the run with it.
            except Exception as error:
                self._spool = Spool(spool_folder(self._root), self._run)
                self._warn(
                    f"the ledger {place_of(self._ledger.url)} cannot be written: {reason(error)}; "
                    f"what becomes of the targets is kept in {self._spool.path} instead, and the "
                    "next run takes it in"
                )
            else:
                return
        self._unwritten.append(batch)
        self._write_spool(self._spool)

    def _write_ledger(self, batch: Batch) -> None:
        """Twice when need be: a server that was started anew, or a deadlock, is gone by then."""
        for last in (False, True):
            try:
                with self._ledger.engine.begin() as connection:
                    self._ledger.write(connection, self._run.id, batch)
                return
            except DBAPIError:
                if last:
                    raise
                time.sleep(AGAIN_SECONDS)

    def _write_spool(self, spool: Spool) -> None:
        while self._unwritten:
            try:
                spool.write(self._unwritten[0])
            except Exception as error:
                if not self._lost:
                    self._lost = True
                    self._warn(
                        f"{spool.path} cannot be written either: {reason(error)}; the run goes on, "
                        "and what becomes of its targets is told at its end"
                    )
                return
            del self._unwritten[0]
