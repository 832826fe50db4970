"""Which failures are one and the same to whoever repairs them.

Enters: a failure's message, and the names of the target it came from.  Leaves: the message without
what differs from target to target.  No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.fleet.types import Target

# What differs between two failures of one cause: quoted values, numbers, parenthesised keys.
_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|=\([^)]*\)|\b\d+\b")


def cause_of(message: str, names: Iterable[str | None]) -> str:
    """The cause group of a message. names: what the target is called (tenant, schema, database)."""
    for name in sorted({one for one in names if one}, key=len, reverse=True):
        # As a whole word: a tenant "a" must not split the groups of every message.
        message = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "<target>", message)
    return _VARIABLE.sub("_", message)


def names_of(target: Target) -> tuple[str | None, ...]:
    """What a server's message may call a target."""
    return target.schema, target.database, target.tenant
