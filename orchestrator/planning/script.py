"""A target's steps as a script for psql, or for the mysql and mariadb clients.

Enters: compiled steps and the names of a target.  Leaves: text; encode it as UTF-8 with
"surrogateescape" (binary literals on MySQL are bytes, not text).  No I/O.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.planning.client_text import mariadb_text, mysql_text, psql_text
from orchestrator.planning.statements import (
    Place,
    create_version_table,
    literal,
    transactions,
    version_statements,
)
from orchestrator.revisions.types import Direction, Recording, Segment, Step

# Not START TRANSACTION on MySQL, which the first DDL statement would end: the data and the version
# rows behind it belong together, as under the driver's own transactions.
_BEGIN = ("BEGIN;", "SET autocommit = 0;")
_COMMIT = "COMMIT;"
_CLIENT = "--default-character-set=utf8mb4 --comments"

Recordings = Mapping[tuple[str, Direction], Recording]


def write_script(
    place: Place,
    steps: Sequence[Step],
    recordings: Recordings,
    *,
    title: str,
    new_version_table: bool,
) -> str:
    """The whole script: encoding, schema or database, then each step with its version rows.

    title: one line for the reader, without line breaks. new_version_table: the script starts from
    base, so it makes the version table first. Every step must be compiled.
    """
    dialect = _DIALECTS[place.flavour.name]
    blocks = [*dialect.opening(place, title)]
    if new_version_table:
        blocks.extend(dialect.step([], [create_version_table(place)]))
    for step in steps:
        recording = recordings[step.revision, step.direction]
        blocks.append(_comment(step))
        blocks.extend(dialect.step(recording.segments, [*version_statements(place, step.changes)]))
    blocks.extend(dialect.closing())
    blocks.append(f"-- end: {len(steps)} step{'s' * (len(steps) != 1)}\n")
    return "\n".join(_joined(blocks) if place.one_transaction else blocks)


def _joined(blocks: Sequence[str]) -> list[str]:
    """The blocks without each COMMIT that nothing but comments parts from the next BEGIN."""
    kept: list[str] = []
    commit: int | None = None
    for block in blocks:
        if block in _BEGIN and commit is not None:
            del kept[commit]
            commit = None
            continue
        if block == _COMMIT:
            commit = len(kept)
        elif not all(line.startswith("--") for line in block.splitlines() if line):
            commit = None
        kept.append(block)
    return kept


def _comment(step: Step) -> str:
    message = " ".join(step.message.split())
    file = f"\n-- file {step.file.name}" if step.file.name else ""  # a stamp has none
    return f"\n-- {step.direction} {step.revision}: {message}{file}"


class _Dialect(ABC):
    """What differs between the clients."""

    @abstractmethod
    def opening(self, place: Place, title: str) -> Iterator[str]:
        """What every script starts with."""

    def closing(self) -> Iterator[str]:
        """What gives the session back as it was."""
        yield from ()

    @abstractmethod
    def statement(self, text: str) -> str:
        """One statement as the client must read it to send exactly this text."""

    @abstractmethod
    def step(self, segments: Sequence[Segment], rows: Sequence[str]) -> Iterator[str]:
        """One step: its segments, its version rows with the last transaction of them."""


class _PostgreSQL(_Dialect):
    def opening(self, place: Place, title: str) -> Iterator[str]:
        yield f"-- {title}\n-- Run it with: psql -X -v ON_ERROR_STOP=1 -f THIS_FILE"
        yield "\\set ON_ERROR_STOP on"
        # The texts below were quoted for exactly these two settings.
        settings = "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;"
        yield settings
        if place.database is not None:
            yield from self._database(place, place.database)
            yield settings
        if place.schema is not None and place.create:
            yield self.statement(f"CREATE SCHEMA IF NOT EXISTS {place.quote(place.schema)}")
        path = (*([place.schema] if place.schema else []), *place.search_path)
        if path:
            names = ", ".join(place.quote(name) for name in path)
            yield self.statement(f"SET search_path = {names}")

    def _database(self, place: Place, name: str) -> Iterator[str]:
        """Go into a tenant's database, from whichever one psql was started in."""
        if place.create:
            # CREATE DATABASE knows no IF NOT EXISTS (PostgreSQL 18 manual, "psql", \\gexec).
            create = literal(f"CREATE DATABASE {place.quote(name)}")
            there = f"SELECT FROM pg_catalog.pg_database WHERE datname = {literal(name)}"
            yield f"SELECT {create} WHERE NOT EXISTS ({there}) \\gexec"
        # Escaped twice: a value of a connection string, inside an argument of psql, which takes
        # double quotes away even inside single ones (dequote_downcase_identifier in psql's lexer).
        value = name.replace("\\", "\\\\").replace("'", "\\'")
        argument = f"dbname='{value}'".replace("\\", "\\\\").replace("'", "''")
        argument = argument.replace('"', '""""')
        yield f"\\connect -reuse-previous=on '{argument}'"

    def statement(self, text: str) -> str:
        return psql_text(text)

    def step(self, segments: Sequence[Segment], rows: Sequence[str]) -> Iterator[str]:
        for segment in transactions(segments, rows):
            yield from self._segment(segment.statements, transactional=segment.transactional)

    def _segment(self, statements: Sequence[str], *, transactional: bool) -> Iterator[str]:
        yield from (_BEGIN[0],) * transactional
        yield from (self.statement(text) for text in statements)
        yield from (_COMMIT,) * transactional


class _MySQL(_Dialect):
    def opening(self, place: Place, title: str) -> Iterator[str]:
        client = place.flavour.name
        yield f"-- {title}\n-- Run it with: {client} {_CLIENT} < THIS_FILE"
        yield "SET NAMES utf8mb4;"
        if place.database is not None:
            if place.create:
                yield self.statement(f"CREATE DATABASE IF NOT EXISTS {place.quote(place.database)}")
            yield self.statement(f"USE {place.quote(place.database)}")

    def statement(self, text: str) -> str:
        return mysql_text(text)

    def step(self, segments: Sequence[Segment], rows: Sequence[str]) -> Iterator[str]:
        """DDL commits by itself; data and rows are kept in one transaction as the driver does."""
        yield _BEGIN[1]
        for segment in segments:
            yield from (self.statement(text) for text in segment.statements)
        yield from (self.statement(text) for text in rows)
        yield _COMMIT

    def closing(self) -> Iterator[str]:
        yield "SET autocommit = 1;"


class _MariaDB(_MySQL):
    def statement(self, text: str) -> str:
        return mariadb_text(text)


_DIALECTS: Mapping[str, _Dialect] = {
    "postgresql": _PostgreSQL(),
    "mysql": _MySQL(),
    "mariadb": _MariaDB(),
}
