"""How a target that could not be worked on is told, whichever way it was tried.

Enters: why it could not.  Leaves: a Failure.  No I/O.
"""

from __future__ import annotations

from orchestrator.config import Bind
from orchestrator.execution.replay.types import Dirty, Locked
from orchestrator.execution.types import Failure
from orchestrator.fleet.types import Target


def held(bind: Bind, locked: Locked) -> Failure:
    """Somebody else kept the target's lock for too long."""
    return Failure(
        f"its lock was held for {bind.lock_wait:g} s by {locked.holder}",
        todo="See `orchestrator locks`; wait longer with --lock-wait.",
    )


def dirty(target: Target, found: Dirty, file: str = "") -> Failure:
    """The target cannot be continued without a decision. file: of the revision."""
    doubt = found.half.in_doubt
    return Failure(
        "\n".join((f"dirty: {found.why}", *found.diff)),
        found.half.revision,
        file,
        doubt.statement.strip() if doubt else "",
        f"Run `orchestrator repair {target.options}`: it shows what is known and takes"
        " the decision.",
    )
