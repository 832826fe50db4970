"""Which tables there are, and which app each belongs to.

Enters: `LoadedApp`s.
Leaves: `FoundTable`s, in a stable order: by app, file and line; tables without an app last.

The rules:
- A MetaData is found when a models module leads to it: by a MetaData, Table, registry, mapped
  class, declarative base, or Flask-SQLAlchemy object in its namespace (Flask-SQLAlchemy keeps one
  MetaData for each bind in `db.metadatas`), or by a foreign key from a table already found.
- A table belongs to the app in whose package it is defined. One that is defined elsewhere in the
  project (an association table in apps/database.py) belongs to no app.
- A table that an installed library defines on a MetaData of its own is left out: SQLModel.metadata
  is shared by all that use SQLModel. It is taken in when a table of the project refers to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.orm import Mapper

from orchestrator.config import Where
from orchestrator.discovery.importing import LoadedApp, Recorder
from orchestrator.discovery.namespaces import (
    mappers_of,
    metadata_of,
    referred_by,
    unique,
    values_of,
)
from orchestrator.discovery.origins import Origins
from orchestrator.discovery.project import Project
from orchestrator.discovery.sources import Sources
from orchestrator.discovery.types import App


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table, the class that maps it (if one does), its app (if it has one), and its place."""

    table: Table
    model: type | None
    app: App | None
    where: Where

    def __str__(self) -> str:
        return f"table {self.table.key}" + (f" (app {self.app.name})" if self.app else "")


def find_tables(
    project: Project, sources: Sources, recorder: Recorder, apps: tuple[LoadedApp, ...]
) -> tuple[FoundTable, ...]:
    """All tables that the apps lead to."""
    values = values_of(module for one in apps for module in one.modules)
    mappers = mappers_of(values)
    origins = Origins(project, sources, recorder, apps, mappers)
    found = []
    for table in _reached(list(unique(_metadata(values, mappers))), origins):
        origin = origins.of(table)
        found.append(FoundTable(table, origins.model(table), origin.app, origin.where))
    order = {one.app.name: position for position, one in enumerate(apps)}
    return tuple(sorted(found, key=lambda one: _position(one, order)))


def _position(found: FoundTable, order: dict[str, int]) -> tuple[int, str, int, str]:
    position = order[found.app.name] if found.app else len(order)
    return position, str(found.where.file), found.where.line, found.table.key


def _metadata(values: list[Any], mappers: list[Mapper[Any]]) -> Iterator[MetaData]:
    for value in values:
        yield from metadata_of(value)
    for mapper in mappers:
        yield from (table.metadata for table in mapper.tables if isinstance(table, Table))


def _reached(metadata: list[MetaData], origins: Origins) -> list[Table]:
    """The tables of these MetaData, and of those that foreign keys lead to from there."""
    wanted: set[int] = set()
    while True:
        tables = [
            table
            for one in metadata
            for table in one.tables.values()
            if id(table) in wanted or not origins.of(table).foreign
        ]
        known = {id(table) for table in tables}
        new = [one for table in tables for one in referred_by(table) if id(one) not in known]
        if not new:
            return tables
        wanted |= {id(table) for table in new}
        metadata = list(unique([*metadata, *(one.metadata for one in new)]))
