"""What a journal holds of a target, and what a live step gathers for its next row.

Enters: a connection to a target; the texts that a step sends.  Leaves: the step that it is half-way
through; a digest of several statements, for the one row of a transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy.engine import Connection

from orchestrator.fleet.borrowed import borrowed
from orchestrator.fleet.sessions import SendError
from orchestrator.planning.statements import Place, literal
from orchestrator.safety import journal
from orchestrator.safety.journal import HalfApplied

# MySQL 8.4 error reference: ER_NO_SUCH_TABLE.
_NO_SUCH_TABLE = 1146


def half_applied_in(connection: Connection, place: Place) -> HalfApplied | None:
    """What a target's journal tells. The connection is outside a transaction, and stays so. Raises
    SendError."""
    with borrowed(connection) as session:
        if place.flavour.family == "postgresql":
            there = session.rows(f"SELECT to_regclass({literal(place.journal)}) IS NOT NULL")
            return (
                journal.half_applied(session.rows(journal.read_rows(place.journal)))
                if there[0][0]
                else None
            )
        try:
            return journal.half_applied(session.rows(journal.read_rows(place.journal)))
        except SendError as error:
            if error.error.args and error.error.args[0] == _NO_SUCH_TABLE:
                return None
            raise


@dataclass
class Segment:
    """Statements since the last commit. read: somebody fetched what one of them gave."""

    count: int = 0
    first: str = ""
    read: bool = False
    digest: Any = field(default_factory=sha256)

    def add(self, text: str) -> None:
        """One more."""
        self.count += 1
        self.first = self.first or text
        self.digest.update(journal.digest_of(text).encode())

    @property
    def shown(self) -> str:
        """What a row keeps of them for people."""
        more = f"\n-- and {self.count - 1} more in one transaction" if self.count > 1 else ""
        return self.first[: journal.SHOWN - len(more)] + more
