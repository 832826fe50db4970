"""What a statement of a live step does to the transaction it comes in, as far as its words tell.

Enters: the text that a driver sends.  Leaves: its Manner.  No I/O.
"""

from __future__ import annotations

import re
from typing import Literal

from orchestrator.config.flavour import Family
from orchestrator.safety.alone import session_changes, statements_of, temporary_names
from orchestrator.safety.definitions_mysql import Reading, read

Manner = Literal["plain", "session", "gone", "commits", "ends"]
"""plain: it is durable with its transaction. session: it changes the session alone, and may be run
again. gone: what it makes is gone with its session, so that it cannot be skipped later. commits: it
may commit by itself, what came before it included. ends: COMMIT."""

# What SQLAlchemy's dialects ask when an autocommit block begins (Dialect.get_isolation_level).
_ASKED_BY_SQLALCHEMY = re.compile(
    r"show transaction isolation level|SELECT @@(?:transaction|tx)_isolation", re.IGNORECASE
)
_ENDS = re.compile(r"(?:COMMIT|END)(?:\s+(?:WORK|TRANSACTION))?\s*;?\s*\Z", re.IGNORECASE)
_WRITES = re.compile(
    r"(?:INSERT|UPDATE|DELETE|REPLACE|MERGE|CREATE|ALTER|DROP|RENAME|TRUNCATE|SET|COMMENT|GRANT"
    r"|REVOKE|COMMIT|BEGIN|SAVEPOINT|RELEASE|ROLLBACK)\b",
    re.IGNORECASE,
)


def manner_of(family: Family, text: str) -> Manner:
    """The manner of a text."""
    if _ASKED_BY_SQLALCHEMY.match(text):
        return "session"
    if _ENDS.match(text.strip()):
        return "ends"
    return _postgresql(text) if family == "postgresql" else _mysql(read(text))


def _mysql(reading: Reading) -> Manner:
    if reading.kind == "session" and reading.again:
        return "session"
    if reading.makes or reading.ends or reading.locks:
        return "gone"
    return "commits" if reading.kind == "ddl" else "plain"


def _postgresql(text: str) -> Manner:
    if temporary_names(text):
        return "gone"
    changes = session_changes(text)
    return "session" if changes and len(changes) == len(list(statements_of(text))) else "plain"


def is_read(text: str) -> bool:
    """Whether a statement may give rows, as far as its words tell."""
    first = next(statements_of(text), "")
    return _WRITES.match(first) is None or "RETURNING" in first.upper()
