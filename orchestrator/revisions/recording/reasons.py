"""Why a step is live: the one table of reasons, and the exception that ends a recording.

Enters: nothing.  Leaves: `REASONS` (shown by `plan`, and in the docs) and `StepIsLive`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

ReasonName = Literal[
    "reads-result",
    "asks-offline",
    "reads-tenant",
    "differs-between-runs",
    "controls-transaction",
    "catches-errors",
    "not-a-statement",
    "opens-connection",
    "reaches-outside",
    "version-callback",
    "time-limit",
    "raises",
]

REASONS: Mapping[ReasonName, str] = MappingProxyType(
    {
        "reads-result": "it reads what the server answers: rows, a row count, a new key, or the"
        " catalogue (inspect, has_table, checkfirst)",
        "asks-offline": "it asks whether it runs offline (is_offline_mode, as_sql)",
        "reads-tenant": "its SQL depends on the tenant, schema, database or server it runs in",
        "differs-between-runs": "two recordings of it differ: it uses the clock, random values, or"
        " the order of a set",
        "controls-transaction": "it commits or rolls back in a way that a fixed list of statements"
        " cannot show",
        "catches-errors": "it catches an error of the server and goes on",
        "not-a-statement": "it sends something that is not a statement (COPY data, a large object,"
        " a change of database)",
        "opens-connection": "it opens a database connection of its own",
        "reaches-outside": "it starts a program, writes a file, or talks to the network",
        "version-callback": "env.py passes on_version_apply, which wants a connection",
        "time-limit": "recording it took too long",
        "raises": "it raises an exception, and would when it runs on a server too",
    }
)
"""Every reason with its description, which follows "this step is live: "."""


class StepIsLive(BaseException):
    """Ends the run of a revision in the recorder. Not an Exception: a revision that catches
    Exception around a query must not catch this."""
