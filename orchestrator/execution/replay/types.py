"""What a replay is given, and how it can end other than well."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.fleet.sessions import Session
from orchestrator.planning.statements import Place
from orchestrator.revisions.types import Segment, Step
from orchestrator.safety.journal import HalfApplied
from orchestrator.safety.locks import Lock
from orchestrator.safety.owners import Owner
from orchestrator.safety.passing import Passing

CompiledStep = tuple[Step, Sequence[Segment]]
"""A step with its recorded segments."""


@dataclass(frozen=True, slots=True)
class Footing:
    """What a session stands on in a target.

    settings: the statements that set its session up. lock: the target's; every settings statement
    comes before it. owner: whom the journal and the server name as its holder. concurrent_timeout:
    how long a PostgreSQL statement may take that waits for others by its nature, in seconds; 0: as
    long as it likes.
    """

    place: Place
    lock: Lock
    owner: Owner
    settings: tuple[str, ...] = ()
    concurrent_timeout: float = 0.0


def _no_session() -> Session | None:
    return None


@dataclass(frozen=True, slots=True)
class Waits:
    """How a replay waits for others.

    told: hears, for people, what is waited for, from any thread. stopping: whether the run was
    asked to stop. pause: sleeps for so many seconds. beside: opens a second session to the same
    database, for looking on, which its caller closes; None when there can be none.
    """

    told: Callable[[str], None] = lambda _words: None
    stopping: Callable[[], bool] = lambda: False
    pause: Callable[[float], None] = time.sleep
    beside: Callable[[], Session | None] = _no_session


class ReplayFailed(Exception):
    """The server refused. statement: the one it refused, "" when it is not known. lost: the
    connection is gone. kept: statements of these steps that were committed and stay done (no
    transactional DDL, an autocommit block). passing: what passes by itself, so that another try may
    go well; None when it would meet the same."""

    def __init__(
        self,
        message: str,
        statement: str = "",
        *,
        lost: bool,
        kept: int = 0,
        passing: Passing | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.statement = statement
        self.lost = lost
        self.kept = kept
        self.passing = passing


class Moved(Exception):
    """The version table does not hold what the plan expects: somebody else was here, and nothing
    of this step stays done."""

    def __init__(self, rows: tuple[str, ...]) -> None:
        super().__init__(", ".join(rows) or "base")
        self.rows = rows


class Locked(Exception):
    """Another session holds the target's lock; nothing was run. holder: who, for people."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class Dirty(Exception):
    """A half-applied step that cannot be continued without a decision; nothing was run.

    half: what its journal tells. why: for people, on one line. diff: lines of a unified diff of the
    statements, when the revision was edited since.
    """

    def __init__(self, half: HalfApplied, why: str, diff: tuple[str, ...] = ()) -> None:
        super().__init__(why)
        self.half = half
        self.why = why
        self.diff = diff
