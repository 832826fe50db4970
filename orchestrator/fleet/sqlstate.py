"""The code that PostgreSQL gave an error.

Enters: a driver's exception.  Leaves: its SQLSTATE.  No I/O.
"""

from __future__ import annotations


def sqlstate(error: BaseException | None) -> str | None:
    """Such as "55P03" (PostgreSQL 18 manual, appendix A "PostgreSQL Error Codes"). None for another
    family's error, and for one that the driver itself raised. psycopg2 calls it `pgcode`, psycopg 3
    `sqlstate`; MySQL's drivers may have codes of that name too, behind the error's number."""
    if error is None or (error.args and isinstance(error.args[0], int)):
        return None
    for name in ("pgcode", "sqlstate"):
        code = getattr(error, name, None)
        if isinstance(code, str):
            return code
    return None
