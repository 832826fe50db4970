"""PyMySQL connections that share what TLS costs.

Enters: nothing.  Leaves: PyMySQL's Connection class, with one TLS context for all.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def shared_tls() -> Any:
    """PyMySQL's Connection, with one TLS context for all whose URL says nothing of TLS.

    PyMySQL 1.2 makes one for each connection (pymysql/connections.py, `_create_ssl_ctx`), which
    reads all certificates of the system and then verifies none: 19 ms of CPU under Python's lock.
    """
    import pymysql.connections  # the driver of this session only

    shared: list[Any] = []

    class Connection(pymysql.connections.Connection):
        def _create_ssl_ctx(self, options: Any) -> Any:
            if options:
                return super()._create_ssl_ctx(options)  # type: ignore[misc]
            if not shared:
                shared.append(super()._create_ssl_ctx(options))  # type: ignore[misc]
            return shared[0]

    return Connection
