"""What discovery found: apps, the tables of their models, and a MetaData set for each bind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import MetaData


class MetaDataSet(tuple[MetaData, ...]):
    """The MetaData objects of one bind, in a stable order.

    Alembic takes a sequence of MetaData as target_metadata; it reads `naming_convention` from
    target_metadata itself (alembic/operations/schemaobj.py) to name unnamed constraints, so the
    convention is passed through when all members agree on one.
    """

    __slots__ = ()

    def __new__(cls, members: Iterable[MetaData] = ()) -> MetaDataSet:
        return super().__new__(cls, tuple(members))

    @property
    def naming_convention(self) -> Mapping[str, object]:
        """The convention that all members share, else SQLAlchemy's default."""
        conventions = [member.naming_convention for member in self]
        if conventions and all(one == conventions[0] for one in conventions):
            return conventions[0]
        return MetaData().naming_convention

    @property
    def table_keys(self) -> frozenset[str]:
        """Keys ("table" or "schema.table") of all tables of the bind."""
        return frozenset(key for member in self for key in member.tables)


@dataclass(frozen=True, slots=True)
class App:
    """One app: a package with a models module. `file` is the models module's file."""

    name: str
    package: str
    modules: tuple[str, ...]
    file: Path


@dataclass(frozen=True, slots=True)
class ModelTable:
    """One table, with the app that owns it and the bind it belongs to.

    key: SQLAlchemy's table key. model: the mapped class's name, or None for a plain Table.
    app: "" for a table that stands outside of every app.
    rule: which rule placed it, in words ("__bind_key__", "apps of bind audit", ...).
    """

    key: str
    app: str
    bind: str
    model: str | None
    file: Path
    line: int
    rule: str


@dataclass(frozen=True, slots=True)
class Models:
    """The result of discovery. `metadata` has an entry for every bind that has models."""

    apps: tuple[App, ...]
    tables: tuple[ModelTable, ...]
    metadata: Mapping[str, MetaDataSet]

    def of(self, bind: str) -> MetaDataSet:
        """The MetaData set of one bind (empty when it has no models)."""
        return self.metadata.get(bind, MetaDataSet())
