"""Failures that pass: those after which the same statement may be tried again.

Enters: a driver's exception.  Leaves: the name of what passes, or nothing.  No I/O.
"""

from __future__ import annotations

from typing import Literal

Passing = Literal["lock timeout", "deadlock", "serialization failure", "connection lost"]

# PostgreSQL 18 manual, appendix A "PostgreSQL Error Codes".
_SQLSTATES: dict[str, Passing] = {
    "55P03": "lock timeout",
    "40P01": "deadlock",
    "40001": "serialization failure",
    "57P01": "connection lost",  # admin_shutdown
    "57P02": "connection lost",  # crash_shutdown
    "57P03": "connection lost",  # cannot_connect_now
}

# MySQL 8.4 and MariaDB error references.
_NUMBERS: dict[int, Passing] = {
    1205: "lock timeout",
    1213: "deadlock",
    1020: "serialization failure",  # MariaDB 11: ER_CHECKREAD under snapshot isolation
    1053: "connection lost",  # ER_SERVER_SHUTDOWN
    1152: "connection lost",
    1158: "connection lost",
    1159: "connection lost",
    1160: "connection lost",
    1161: "connection lost",
    1927: "connection lost",  # MariaDB: ER_CONNECTION_KILLED
    2002: "connection lost",
    2003: "connection lost",
    2006: "connection lost",
    2013: "connection lost",
    2055: "connection lost",
}


def passing(error: BaseException, *, lost: bool = False) -> Passing | None:
    """What passes by itself, None when another try would meet the same. lost: the connection is
    gone, whatever the driver says."""
    code = getattr(error, "pgcode", None)
    if code is not None:
        return _SQLSTATES.get(code, "connection lost" if lost else None)
    number = error.args[0] if error.args else None
    if isinstance(number, int) and number in _NUMBERS:
        return _NUMBERS[number]
    return "connection lost" if lost else None
