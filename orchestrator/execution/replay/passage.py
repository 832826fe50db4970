"""What is sent to a PostgreSQL session, transaction by transaction.

Enters: statements, as they are added.  Leaves: each transaction in one round trip, with what goes
behind its COMMIT; and how many statements of the migration stay done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.fleet.sessions import PostgreSQLSession, SendError


class Passage:
    """The statements of the next transaction, until it is committed.

    kept: how many statements of the migration were committed and stay done. sent: those of the
    transaction that was sent last, with what goes around them.
    """

    def __init__(self, session: PostgreSQLSession, first: Iterable[str], kept: int = 0) -> None:
        self.kept = kept
        self.sent: Sequence[str] = ()
        self._session = session
        self._open = list(first)
        self._counted = 0

    def add(self, statements: Sequence[str], *, counted: bool = False) -> None:
        """These go into the next transaction. counted: they are the migration's own."""
        self._open += statements
        self._counted += len(statements) if counted else 0

    def commit(self, behind: Sequence[str] = ()) -> None:
        """Send what was added, if anything. behind: sent after the COMMIT, in the same round trip.
        Raises SendError."""
        if self._open:
            self._begin()
            self._session.batch(["BEGIN", *self.sent, "COMMIT", *behind])
            self._end()

    def commit_and_ask(self, behind: Sequence[str]) -> tuple[Any, ...]:
        """The same; gives the row of the last statement behind the COMMIT. Raises SendError."""
        self._begin()
        texts = ["BEGIN", *self.sent, "COMMIT"] if self.sent else []
        try:
            found = self._session.rows("\n;\n".join([*texts, *behind]))
        except SendError as error:
            raise SendError(error.error) from error
        self._end()
        return found[0]

    def drop(self) -> None:
        """Forget the transaction that failed."""
        self.sent, self._counted = (), 0

    def _begin(self) -> None:
        self.sent, self._open = self._open, []

    def _end(self) -> None:
        self.sent = ()
        self.kept += self._counted
        self._counted = 0
