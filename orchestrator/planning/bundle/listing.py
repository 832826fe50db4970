"""`targets.csv`: which script is for which target.

Enters: targets with their scripts.  Leaves: text.  No I/O.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

from orchestrator.fleet.types import Target
from orchestrator.planning.bundle.types import joined
from orchestrator.planning.plan import Cohort
from orchestrator.planning.statements import states_along
from orchestrator.revisions.types import Direction

NAME = "targets.csv"


@dataclass(frozen=True, slots=True)
class Line:
    """One target. stage: binds of a higher one depend on binds of a lower one. client: psql, mysql
    or mariadb. state, end: where it stands and where it is to stand, rows joined by commas. make:
    "yes" where the database may be missing, and is to be made. scripts, undo: separated by spaces,
    in the order in which they are run, there and back."""

    bind: str
    stage: str
    server: str
    client: str
    host: str
    port: str
    database: str
    schema: str
    tenant: str
    state: str
    end: str
    make: str
    scripts: str
    undo: str


def line_of(
    target: Target, cohort: Cohort, stage: int, there: Iterable[str], back: Iterable[str]
) -> Line:
    """The line of one target. No user, and no password."""
    end = states_along(cohort.state, [one.step.changes for one in cohort.steps])[-1]
    url = target.server.migration_url
    query = url.normalized_query if url is not None else {}
    # PyMySQL takes a socket before a host.
    socket = next(iter(query.get("unix_socket", ())), "")
    host = (
        socket or (url.host if url is not None else None) or next(iter(query.get("host", ())), "")
    )
    database = target.database or (url.database if url is not None else None) or ""
    return Line(
        target.bind.name,
        str(stage),
        target.server.name,
        "psql" if cohort.flavour.family == "postgresql" else cohort.flavour.name,
        host,
        str(url.port) if url is not None and url.port else "",
        database,
        target.schema or "",
        target.tenant or "",
        joined(cohort.state) or "base",
        joined(end) or "base",
        "yes" if _to_be_made(target, cohort) else "",
        " ".join(there),
        " ".join(back),
    )


def _to_be_made(target: Target, cohort: Cohort) -> bool:
    """Whether the runner makes the database; a schema is made by its script."""
    up = bool(cohort.steps) and cohort.steps[0].step.direction is Direction.UPGRADE
    return target.bind.create and target.database is not None and up and not cohort.state


def write_lines(lines: Iterable[Line]) -> str:
    """The text of `targets.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(one.name for one in fields(Line))
    writer.writerows(astuple(one) for one in lines)
    return text.getvalue()
