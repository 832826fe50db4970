"""PyMySQL connections that share what TLS costs, and read no more of an answer than is wanted.

Enters: nothing.  Leaves: PyMySQL's Connection class, with one TLS context for all, and the switch
`rows_wanted`.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def connection_class() -> Any:
    """PyMySQL's Connection, with one TLS context for all whose URL says nothing of TLS. While its
    `rows_wanted` is False, of a result's rows only their number is read.

    PyMySQL 1.2 makes a context for each connection (pymysql/connections.py, `_create_ssl_ctx`),
    which reads all certificates of the system and then verifies none: 19 ms of CPU under Python's
    lock.
    """
    # The driver of this family's sessions only.
    import pymysql.connections

    from orchestrator.fleet.answers import Answer

    shared: list[Any] = []

    class Connection(pymysql.connections.Connection):
        rows_wanted = True

        def _create_ssl_ctx(self, options: Any) -> Any:
            if options:
                return super()._create_ssl_ctx(options)  # type: ignore[misc]
            if not shared:
                shared.append(super()._create_ssl_ctx(options))  # type: ignore[misc]
            return shared[0]

        def _read_query_result(self, unbuffered: bool = False) -> Any:
            if unbuffered:
                return super()._read_query_result(unbuffered)  # type: ignore[misc]
            self._result = None
            answer = Answer(self, rows_wanted=self.rows_wanted)
            answer.read()
            self._result = answer
            self.server_status = answer.server_status
            return answer.affected_rows

    return Connection
