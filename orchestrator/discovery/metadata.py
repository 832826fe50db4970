"""A MetaData set for each bind.

Enters: `PlacedTable`s.
Leaves: for each bind the MetaData objects with its tables, in the order of the tables.

A MetaData whose tables all belong to one bind is used as it is. One that several binds share is
divided into a `BindMetaData` for each, which holds the very same Table objects. They are not copied
with `Table.to_metadata`: a copy loses prefixes, the info of indexes, DDL conditions and, on
SQLAlchemy 2.1, the schema of an enum; listeners that add to a table when it is made (GeoAlchemy2's
spatial indexes) run a second time; and a foreign key to a column of another MetaData comes out as a
name that leads nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import MetaData, Sequence, Table, event
from sqlalchemy.sql.functions import next_value
from sqlalchemy.sql.sqltypes import SchemaType
from sqlalchemy.sql.visitors import iterate

from orchestrator.discovery.namespaces import unique
from orchestrator.discovery.placing import PlacedTable
from orchestrator.discovery.types import MetaDataSet


class BindMetaData(MetaData):
    """The tables of one shared MetaData that belong to one bind.

    The tables keep their own `metadata`, the shared one. Schema, naming convention and info are the
    same here. Types and sequences that are attached to the shared MetaData come along when a table
    here uses them; create_all() makes them too.
    """

    def __init__(self, shared: MetaData, tables: Iterable[Table], sequences: Iterable[Sequence]):
        super().__init__(
            schema=shared.schema, naming_convention=shared.naming_convention, info=dict(shared.info)
        )
        self.shared = shared
        for table in tables:
            # SQLAlchemy has no public way to put a finished table into a MetaData.
            self._add_table(table.name, table.schema, table)
        for sequence in sequences:
            self._sequences[sequence._key] = sequence
        types = (one for table in self.tables.values() for one in _named_types(table))
        for one in unique(types):
            event.listen(self, "before_create", one._on_metadata_create)
            event.listen(self, "after_drop", one._on_metadata_drop)


def metadata_sets(
    placed: tuple[PlacedTable, ...], default_bind: str | None
) -> Mapping[str, MetaDataSet]:
    """The MetaData set of every bind that has tables.

    default_bind: where sequences of a shared MetaData go that no table uses, unless their
    info["bind_key"] names a bind.
    """
    shared: dict[int, MetaData] = {}
    tables: dict[int, dict[str, list[Table]]] = {}
    for one in placed:
        metadata = one.found.table.metadata
        shared[id(metadata)] = metadata
        tables.setdefault(id(metadata), {}).setdefault(one.bind, []).append(one.found.table)
    sets: dict[str, list[MetaData]] = {}
    for key, metadata in shared.items():
        for bind, members in tables[key].items():
            whole = len(members) == len(metadata.tables)
            others = [table for name in tables[key] if name != bind for table in tables[key][name]]
            part = metadata if whole else _part(metadata, bind, members, others, default_bind)
            sets.setdefault(bind, []).append(part)
    return {bind: MetaDataSet(members) for bind, members in sets.items()}


def _part(
    metadata: MetaData,
    bind: str,
    members: list[Table],
    others: list[Table],
    default_bind: str | None,
) -> BindMetaData:
    """One bind's part of a shared MetaData, its tables in the order of their definition."""
    ids = {id(table) for table in members}
    tables = [table for table in metadata.tables.values() if id(table) in ids]
    used = {sequence._key for table in tables for sequence in _sequences_of(table)}
    elsewhere = {sequence._key for table in others for sequence in _sequences_of(table)}
    # MetaData has no public list of its sequences (2.1's get_schema_objects is not in 2.0).
    sequences = [
        sequence
        for key, sequence in metadata._sequences.items()
        if key in used
        or (key not in elsewhere and sequence.info.get("bind_key", default_bind or bind) == bind)
    ]
    return BindMetaData(metadata, tables, sequences)


def _named_types(table: Table) -> Iterable[SchemaType]:
    """The types of a table that its MetaData makes (enums, domains), those inside arrays too."""
    for column in table.columns:
        for one in (column.type, getattr(column.type, "item_type", None)):
            # Boolean is a SchemaType too, but nothing that a database makes: it has no metadata.
            if isinstance(one, SchemaType) and hasattr(one, "metadata"):
                yield one


def _sequences_of(table: Table) -> Iterable[Sequence]:
    """The sequences that a table's defaults draw from."""
    for column in table.columns:
        if isinstance(column.default, Sequence):
            yield column.default
        for default in (column.default, column.server_default):
            expression = getattr(default, "arg", None)
            if hasattr(expression, "get_children"):
                for part in iterate(expression):
                    if isinstance(part, next_value):
                        yield part.sequence
