"""A target's steps as a script for psql, or for the mysql and mariadb clients.

Enters: compiled steps and the names of a target.  Leaves: text; encode it as UTF-8 with
"surrogateescape" (binary literals on MySQL are bytes, not text).  No I/O.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.config import Flavour
from orchestrator.revisions.types import Direction, Recording, Segment, Step, VersionChange

Recordings = Mapping[tuple[str, Direction], Recording]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a script is meant to run.

    target: its id, for the reader. schema: a PostgreSQL tenant's. database: a MySQL database, or a
    PostgreSQL tenant's. create: make the schema or database when it is missing.
    """

    target: str
    flavour: Flavour
    schema: str | None = None
    database: str | None = None
    search_path: tuple[str, ...] = ()
    version_table: str = "alembic_version"
    version_num_length: int = 32
    create: bool = False


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
    dialect = _POSTGRESQL if place.flavour.family == "postgresql" else _MYSQL
    blocks = [*dialect.opening(place, title)]
    if new_version_table:
        blocks.append(dialect.statement(_create_version_table(dialect, place)))
    for step in steps:
        recording = recordings[step.revision, step.direction]
        blocks.append(_comment(step))
        blocks.extend(dialect.step(recording.segments, _changes(dialect, place, step.changes)))
    blocks.append(f"-- end: {len(steps)} step{'s' * (len(steps) != 1)}\n")
    return "\n".join(blocks)


def _comment(step: Step) -> str:
    message = " ".join(step.message.split())
    return f"\n-- {step.direction} {step.revision}: {message}\n-- file {step.file.name}"


def _create_version_table(dialect: _Dialect, place: Place) -> str:
    """As Alembic defines it (alembic/ddl/impl.py, version_table_impl)."""
    return (
        f"CREATE TABLE IF NOT EXISTS {dialect.version_table(place)} (\n"
        f"    version_num VARCHAR({place.version_num_length}) NOT NULL, \n"
        f"    CONSTRAINT {dialect.quote(place.version_table + '_pkc')} PRIMARY KEY (version_num)\n)"
    )


def _changes(dialect: _Dialect, place: Place, changes: Sequence[VersionChange]) -> Iterator[str]:
    table = dialect.version_table(place)
    for change in changes:
        old, new = (_literal(name) for name in (change.old, change.new))
        if change.kind == "insert":
            yield f"INSERT INTO {table} (version_num) VALUES ({new})"
        elif change.kind == "delete":
            yield f"DELETE FROM {table} WHERE version_num = {old}"
        else:
            yield f"UPDATE {table} SET version_num = {new} WHERE version_num = {old}"


def _literal(revision: str | None) -> str:
    return "'" + (revision or "").replace("'", "''") + "'"


class _Dialect(ABC):
    """What differs between the clients."""

    mark: str

    def quote(self, name: str) -> str:
        """A name as a quoted identifier."""
        return self.mark + name.replace(self.mark, self.mark * 2) + self.mark

    def version_table(self, place: Place) -> str:
        """The version table's name, with the schema that holds it."""
        name = self.quote(place.version_table)
        return f"{self.quote(place.schema)}.{name}" if place.schema else name

    @abstractmethod
    def opening(self, place: Place, title: str) -> Iterator[str]:
        """What every script starts with."""

    @abstractmethod
    def statement(self, text: str) -> str:
        """One statement as the client must read it to send exactly this text."""

    @abstractmethod
    def step(self, segments: Sequence[Segment], changes: Iterator[str]) -> Iterator[str]:
        """One step: its segments, its version rows with the last transaction of them."""


class _PostgreSQL(_Dialect):
    mark = '"'

    def opening(self, place: Place, title: str) -> Iterator[str]:
        yield f"-- {title}\n-- Run it with: psql -X -v ON_ERROR_STOP=1 -f THIS_FILE"
        yield "\\set ON_ERROR_STOP on"
        if place.database is not None:
            yield f"-- for the database {place.database!r}"
        # The texts below were quoted for exactly these two settings.
        yield "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;"
        if place.schema is not None:
            if place.create:
                yield self.statement(f"CREATE SCHEMA IF NOT EXISTS {self.quote(place.schema)}")
            path = ", ".join(self.quote(name) for name in (place.schema, *place.search_path))
            yield self.statement(f"SET search_path = {path}")

    def statement(self, text: str) -> str:
        return _closed(text)

    def step(self, segments: Sequence[Segment], changes: Iterator[str]) -> Iterator[str]:
        """One transaction a transactional segment; the rows go with the last one, or, after an
        autocommit block, into a transaction of their own."""
        pending = list(segments)
        last = pending.pop() if pending and pending[-1].transactional else None
        for segment in pending:
            yield from self._segment(segment.statements, transactional=segment.transactional)
        rows = [*(last.statements if last else ()), *changes]
        yield from self._segment(rows, transactional=True)

    def _segment(self, statements: Sequence[str], *, transactional: bool) -> Iterator[str]:
        if not statements:
            return
        yield from ("BEGIN;",) * transactional
        yield from (self.statement(text) for text in statements)
        yield from ("COMMIT;",) * transactional


class _MySQL(_Dialect):
    mark = "`"

    def opening(self, place: Place, title: str) -> Iterator[str]:
        client = place.flavour.name
        yield f"-- {title}\n-- Run it with: {client} --default-character-set=utf8mb4 < THIS_FILE"
        yield "SET NAMES utf8mb4;"
        if place.database is not None:
            if place.create:
                yield self.statement(f"CREATE DATABASE IF NOT EXISTS {self.quote(place.database)}")
            yield self.statement(f"USE {self.quote(place.database)}")

    def statement(self, text: str) -> str:
        bare = _closed(text)
        if ";" not in bare.rstrip().removesuffix(";"):
            return bare
        # The client would cut the text at its first semicolon (MySQL 8.4 manual, 27.1).
        delimiter = "//"
        while delimiter in text:
            delimiter += "/"
        return f"DELIMITER {delimiter}\n{text.rstrip()}\n{delimiter}\nDELIMITER ;"

    def step(self, segments: Sequence[Segment], changes: Iterator[str]) -> Iterator[str]:
        """DDL commits by itself; data and rows are kept in one transaction as the driver does."""
        yield "START TRANSACTION;"
        for segment in segments:
            yield from (self.statement(text) for text in segment.statements)
        yield from (self.statement(text) for text in changes)
        yield "COMMIT;"


_POSTGRESQL = _PostgreSQL()
_MYSQL = _MySQL()

_ENDING = re.compile(r"[\s;]*\Z")


def _closed(text: str) -> str:
    """A statement with exactly one semicolon behind it; on a line of its own when the last line may
    end in a comment."""
    last = text.rstrip().rpartition("\n")[2]
    if "--" in last or "#" in last:
        return f"{text.rstrip()}\n;"
    return _ENDING.sub("", text) + ";"
