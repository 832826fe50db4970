"""What applying gives: an Outcome for each target, and why it failed when it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.checks.types import Difference
from orchestrator.fleet.types import Target


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a target stopped.

    message: the server's, or the exception's, on one line. revision: the step it stopped in, ""
    when it stopped before one. where: file:line in the revision file. statement: the SQL that
    failed, without parameters, "" when none did.
    """

    message: str
    revision: str = ""
    where: str = ""
    statement: str = ""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did to one target.

    result: "done" (steps were taken), "unchanged" (nothing to do), "failed", "not-started" (the run
    was interrupted before or inside it). before and after: the version table's rows; after is what
    was last known to be committed. steps: revisions taken, in order. seconds: wall time. lost: its
    server was there, and was waited for in vain.
    """

    target: Target
    result: Literal["done", "unchanged", "failed", "not-started"]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    failure: Failure | None = None
    seconds: float = 0.0
    statements: int = 0
    attempts: int = 1
    waited: float = 0.0
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A target whose schema is not that of its cohort.

    when: "before" (its fingerprint changed since the rollout was started, or it never was like the
    others), "after" (equal before, and not after the same steps). like: the target that it is
    compared with, as an id: its own for one that was changed since. differences: what is expected
    is `like`'s. stops: whether the wave ends for it. problem: why there are no differences.
    """

    target: Target
    when: Literal["before", "after"]
    like: str
    differences: tuple[Difference, ...]
    stops: bool = True
    problem: str = ""
