"""What a PyMySQL connection runs, and ending it when that takes too long.

Enters: a connection that marks when its statements begin and end.  Leaves: KILL QUERY from a second
connection, and MySQL's own words for a statement that ran too long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

# MySQL 8.4 error reference: ER_QUERY_INTERRUPTED, ER_QUERY_TIMEOUT.
_INTERRUPTED, _TOO_LONG = 1317, 3024


class Running:
    """The statement that a connection runs now. `end_overdue` and `end` come from other threads."""

    def __init__(
        self, connection: Any, again: Callable[[], Any], limit: Callable[[], float]
    ) -> None:
        """again: opens a second connection like this one. limit: seconds for a statement; 0: no
        end."""
        self._connection = connection
        self._again = again
        self._limit = limit
        self._marking = threading.Lock()
        self._since: float | None = None
        self._ended_late = False

    @property
    def needs_watching(self) -> bool:
        """Whether the server does not keep the limit itself: MySQL's max_execution_time stops only
        SELECT; MariaDB has max_statement_time."""
        return self.limit > 0 and "mariadb" not in str(self._connection.server_version).lower()

    @property
    def limit(self) -> float:
        """Seconds for a statement; 0: no end."""
        return self._limit()

    def begins(self) -> None:
        """A statement begins to run now; the one before it has ended."""
        self._mark(time.monotonic())

    def ends(self) -> None:
        """No statement runs."""
        self._mark(None)

    def _mark(self, since: float | None) -> None:
        with self._marking:
            self._since, self._ended_late = since, False

    def end(self) -> None:
        """End the statement, whatever it is."""
        helper = self._again()
        try:
            self._kill_query(helper)
        finally:
            helper.close()

    def end_overdue(self) -> None:
        """End a statement that has run longer than the limit. One that ends at this moment may
        leave its KILL to the next one in its text."""
        since = self._since
        if since is None or time.monotonic() - since < self.limit:
            return
        helper = self._again()  # It takes a while: the statement may have ended by then.
        try:
            with self._marking:
                if self._since == since:
                    self._ended_late = True
                    self._kill_query(helper)
        finally:
            helper.close()

    def _kill_query(self, helper: Any) -> None:
        # From a second session (MySQL 8.4 manual, 15.7.8.4 "KILL Statement").
        with helper.cursor() as cursor:
            cursor.execute(f"KILL QUERY {int(self._connection.thread_id())}")

    def tell(self, error: BaseException) -> None:
        """Put MySQL's own words for a statement that ran too long into the driver's error, when
        that is what it tells."""
        if self._ended_late and error.args[:1] == (_INTERRUPTED,):
            error.args = (_TOO_LONG, "Query execution was interrupted, it took too long")
