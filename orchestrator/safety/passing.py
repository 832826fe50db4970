"""Failures that pass: those after which the same statement may be tried again.

Enters: a driver's exception.  Leaves: the name of what passes, or nothing.  No I/O.
"""

from __future__ import annotations

from typing import Literal

from orchestrator.fleet.sqlstate import sqlstate

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
    code = sqlstate(error)
    if code is not None:
        return _SQLSTATES.get(code, "connection lost" if lost else None)
    number = error.args[0] if error.args else None
    if isinstance(number, int) and number in _NUMBERS:
        return _NUMBERS[number]
    return "connection lost" if lost else None


def answered(error: BaseException) -> bool:
    """Whether a server said it. That there is no connection, or none any more, is said by the
    driver alone; the numbers of MySQL's client library are 2000 to 2999 (MySQL 8.4 error reference,
    "Client Error Message Reference"), and PyMySQL has 0 for a connection that it has closed."""
    if sqlstate(error) is not None:
        return True
    number = error.args[0] if error.args else None
    return isinstance(number, int) and number > 0 and not 2000 <= number < 3000


# MySQL 8.4 and MariaDB error references: ER_QUERY_TIMEOUT, ER_STATEMENT_TIMEOUT.
_TOO_LONG = (3024, 1969)


def limit_words(error: BaseException, limit: float) -> str:
    """What a message begins with when a statement was ended because it ran longer than `limit`
    seconds: "statement_timeout of 30 s: ". "" for every other error, and without a limit."""
    code = sqlstate(error)
    # PostgreSQL has one code for every reason to cancel a statement.
    late = code == "57014" and "statement timeout" in str(error)
    late = late or (code is None and error.args[:1] in [(number,) for number in _TOO_LONG])
    return f"statement_timeout of {limit:g} s: " if late and limit else ""
