"""The spool: a file for what a run could not write into the ledger, and its way back.

Enters: a Run and its Batches.  Leaves: lines of JSON in `.orchestrator/spool/<run>.jsonl`, one that
tells the run and one for each batch; later the same in the ledger, and no file.  A process holds a
lock on its file as long as it writes, so that nobody takes in half of it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from orchestrator.ledger.connect import reason
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.types import Batch, BindCount, OutcomeRow, Run

FORMAT = 1
_TIMES = ("started", "seen", "ended")


def spool_folder(root: Path) -> Path:
    """Where the spools of a project are."""
    return root / ".orchestrator" / "spool"


class Spool:
    """The file of one run that is going on."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.path = folder / f"{run.id}.jsonl"
        self._run = run
        self._file: IO[str] | None = None
        self._torn = False

    def write(self, batch: Batch) -> None:
        """Add a batch. Raises OSError; the same batch may then be written again."""
        if self._file is None:
            self._file = _locked(self.path)
        # Each with the run, so that a first line that was lost takes nothing with it.
        line = {"format": FORMAT, "run": asdict(self._run), "batch": asdict(batch)}
        text = json.dumps(line, default=_time) + "\n"
        try:
            self._file.write("\n" + text if self._torn else text)
            self._file.flush()
        except OSError:
            self._forget()
            raise
        self._torn = False

    def _forget(self) -> None:
        """Give up what is in the buffer, and start anew behind the torn line."""
        self._torn = True
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except OSError:
            return

    def close(self) -> None:
        """Let others take it in."""
        if self._file is not None:
            self._file.close()


def _locked(path: Path) -> IO[str]:
    """The file, made where there is none, and locked. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = path.open("a", encoding="ascii", buffering=1)
        fcntl.flock(file, fcntl.LOCK_EX)
        # Somebody may have taken it in, and removed it, before the lock was ours.
        if _is_there(file, path):
            return file
        file.close()


def _is_there(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def take_in(folder: Path, ledger: Ledger, warn: Callable[[str], None]) -> int:
    """Write the spools of runs that have ended into the ledger, and remove them. Gives how many.

    One that cannot be read or written is told, and stays where it is.
    """
    taken = 0
    for path in sorted(folder.glob("*.jsonl")):
        try:
            taken += _take(path, ledger)
        # Whatever a file holds, it must not stop the run that meets it.
        except Exception as error:
            warn(f"{path} is not taken into the ledger: {reason(error)}")
    return taken


def _take(path: Path, ledger: Ledger) -> bool:
    try:
        file = path.open(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if not _is_there(file, path):
            return False
        found = list(_lines(file))
        if found:
            ledger.take_in(found[0][0], [batch for _run, batch in found])
        elif path.stat().st_size:
            raise ValueError("no line of it is whole; remove it")
        path.unlink(missing_ok=True)
    return bool(found)


def _lines(file: IO[str]) -> Iterator[tuple[Run, Batch]]:
    """What each whole line tells; a full disk or a kill may have torn some."""
    for line in file:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if told.get("format") != FORMAT:
            raise ValueError(f"it has format {told.get('format')}, and this is {FORMAT}")
        yield Run(**_timed(told["run"])), _batch(told["batch"])


def _batch(told: Mapping[str, Any]) -> Batch:
    outcomes = tuple(OutcomeRow(**one) for one in told["outcomes"])
    counts = tuple(BindCount(**one) for one in told["counts"])
    return Batch(**(_timed(told) | {"outcomes": outcomes, "counts": counts}))


def _timed(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name in _TIMES and value else value
        for name, value in told.items()
    }
