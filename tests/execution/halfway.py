"""Steps that stopped half-way, as their journals tell it: written by hand, nothing was run.

Enters: a database, and what the step meant to run. Leaves: a journal with the rows of
what it began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from orchestrator.config.flavour import Family
from orchestrator.safety.journal import (
    Entry,
    Kind,
    create_journal,
    header,
    insert_rows,
    row,
    source_of,
)
from orchestrator.safety.owners import Owner

OWNER = Owner("20261122T030000-dead", "web-1", 4711)


def stop_half_way(
    url: URL,
    revision: str,
    statements: Sequence[str],
    begun: int,
    *,
    direction: str = "upgrade",
    kind: Kind = "ddl",
    before: Mapping[str, str] | None = None,
    live: bool = False,
    table: str = "orchestrator_journal",
    source: str = "",
) -> None:
    """Leave a journal behind whose last row is of the statement with the number `begun`. table: as
    it stands in SQL. before: the definitions before that statement."""
    family: Family = "postgresql" if url.get_backend_name() == "postgresql" else "mysql"
    digest = source or source_of(statements)
    planned = () if live else statements
    top = header(revision, direction, digest, planned, OWNER.label, live=live)
    entries: list[Entry] = [top]
    for number, text in enumerate(statements[:begun], 1):
        last = number == begun
        entries.append(row(top, number, kind, text, (before or {}) if last else {}))
    texts = [create_journal(family, table), *(insert_rows(family, table, [one]) for one in entries)]
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for text in texts:
            connection.exec_driver_sql(text.replace("%", "%%"))
