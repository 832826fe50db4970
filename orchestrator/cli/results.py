"""What `run-all.sh` wrote down of the targets of a bundle, there and back.

Enters: its results.csv, with results-undo.csv beside it.  Leaves: a Claim for each target.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import Problem, UsageError
from orchestrator.execution.proving import Claim, Key

_UNDO = "-undo"

_ENDED = ("done", "already")


@dataclass(frozen=True, slots=True)
class _Told:
    """What one file tells of a target. moved: whether any of its lines says that it was brought to
    its end; the others are of its last line."""

    result: str
    started: str
    moved: bool


def read_claims(path: Path, *, given: bool) -> dict[Key, Claim]:
    """What counts of each target: the file in which it began later, as run-all.sh itself sees it.

    path: of either file; the other lies beside it, by its name with or without "-undo". given:
    whether a person named it. Raises UsageError.
    """
    there = path.with_stem(path.stem.removesuffix(_UNDO))
    back = there.with_stem(there.stem + _UNDO)
    ran = _told(there, required=given and path == there)
    undone = _told(back, required=given and path == back)
    return {
        key: _claim(ran.get(key), undone.get(key), there.name, back.name)
        for key in dict.fromkeys((*ran, *undone))
    }


def _claim(ran: _Told | None, undone: _Told | None, there: str, back: str) -> Claim:
    if undone is None or (ran is not None and undone.started < ran.started):
        return Claim(ran.result if ran else "", there)
    moved = undone.moved or (ran is not None and ran.moved)
    took_back = undone.result in _ENDED and moved
    # Both began in one second: only where the target stands tells which came later.
    sure = ran is None or ran.started < undone.started
    return Claim(undone.result if sure else "", back, back=True, undone=took_back)


def _told(path: Path, *, required: bool) -> dict[Key, _Told]:
    if not required and not path.exists():
        return {}
    found: dict[Key, _Told] = {}
    try:
        for row in csv.DictReader(_lines(path)):
            key = (row["bind"], row["server"], row["tenant"] or None)
            moved = row["result"] == "done" or (key in found and found[key].moved)
            # A line that was cut off has fewer fields.
            found[key] = _Told(row["result"] or "", row["started"] or "", moved)
    except (KeyError, csv.Error) as error:
        problem = Problem(
            f"it is not what run-all.sh writes: {error}", str(path), todo="Leave --results out."
        )
        raise UsageError(problem) from error
    return found


def _lines(path: Path) -> Iterable[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or error
        problem = Problem(f"it cannot be read: {words}", str(path), todo="Leave --results out.")
        raise UsageError(problem) from error
