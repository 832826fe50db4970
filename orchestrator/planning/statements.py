"""The statements around a migration's own: names, the version table, and what runs together.

Enters: a Place and the steps of a path.  Leaves: texts for one dialect, used by the scripts and by
the replay alike, so that both send the same.  No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.config import Flavour
from orchestrator.fleet.types import Target
from orchestrator.revisions.types import Segment, VersionChange


@dataclass(frozen=True)
class Place:
    """Where statements are meant to run.

    target: its id, for the reader. schema: a PostgreSQL tenant's. database: a MySQL database, or a
    PostgreSQL tenant's. create: make the schema or database when it is missing. one_transaction:
    the whole path in one (`transaction: path`), as far as its autocommit blocks allow.
    """

    target: str
    flavour: Flavour
    schema: str | None = None
    database: str | None = None
    search_path: tuple[str, ...] = ()
    version_table: str = "alembic_version"
    version_num_length: int = 32
    create: bool = False
    one_transaction: bool = False
    journal_table: str = "orchestrator_journal"

    def quote(self, name: str) -> str:
        """A name as a quoted identifier."""
        mark = '"' if self.flavour.family == "postgresql" else "`"
        return mark + name.replace(mark, mark * 2) + mark

    @cached_property
    def versions(self) -> str:
        """The version table's quoted name, with the schema that holds it."""
        return self._inside(self.version_table)

    @cached_property
    def journal(self) -> str:
        """The journal's quoted name, with the schema that holds it."""
        return self._inside(self.journal_table)

    def _inside(self, table: str) -> str:
        name = self.quote(table)
        return f"{self.quote(self.schema)}.{name}" if self.schema else name


def place_of(target: Target, flavour: Flavour) -> Place:
    """The place of a target."""
    bind, url = target.bind, target.server.url
    database = target.database
    if database is None and flavour.family == "mysql" and url is not None:
        database = url.database
    return Place(
        target.id,
        flavour,
        target.schema,
        database,
        bind.search_path,
        bind.version_table,
        bind.version_num_length,
        bind.create and target.tenant is not None,
        bind.transaction == "path",
        bind.journal_table,
    )


def create_version_table(place: Place) -> str:
    """As Alembic defines it (alembic/ddl/impl.py, version_table_impl)."""
    return (
        f"CREATE TABLE IF NOT EXISTS {place.versions} (\n"
        f"    version_num VARCHAR({place.version_num_length}) NOT NULL, \n"
        f"    CONSTRAINT {place.quote(place.version_table + '_pkc')} PRIMARY KEY (version_num)\n)"
    )


def version_statements(place: Place, changes: Sequence[VersionChange]) -> Iterator[str]:
    """What a step does to the version table's rows, one statement a change."""
    for change in changes:
        old, new = (literal(name) for name in (change.old, change.new))
        if change.kind == "insert":
            yield f"INSERT INTO {place.versions} (version_num) VALUES ({new})"
        elif change.kind == "delete":
            yield f"DELETE FROM {place.versions} WHERE version_num = {old}"
        else:
            yield f"UPDATE {place.versions} SET version_num = {new} WHERE version_num = {old}"


def literal(revision: str | None) -> str:
    """A revision id as a string literal (Alembic allows no backslash in ids)."""
    return "'" + (revision or "").replace("'", "''") + "'"


def transactions(segments: Sequence[Segment], rows: Sequence[str]) -> list[Segment]:
    """The segments of a step with its version rows: with the last transaction, or, after an
    autocommit block, in a transaction of their own."""
    done = list(segments)
    last = done.pop() if done and done[-1].transactional else Segment(())
    ended = [*done, Segment((*last.statements, *rows))]
    return [segment for segment in ended if segment.statements]


def states_along(
    state: Sequence[str], changes: Sequence[Sequence[VersionChange]]
) -> list[tuple[str, ...]]:
    """The version table's rows before each step and after the last, sorted."""
    rows = set(state)
    found = [tuple(sorted(rows))]
    for step in changes:
        for change in step:
            rows.discard(change.old or "")
            rows |= {change.new} if change.new else set()
        found.append(tuple(sorted(rows)))
    return found
