"""What the namespaces of models modules lead to: MetaData, mappers, and tables they refer to.

Enters: imported modules, or the values in them.
Leaves: SQLAlchemy's objects, each once, in a stable order. Mappers stay as the import left them:
nothing is configured on the way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from sqlalchemy import MetaData, Table, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, registry

T = TypeVar("T")


def values_of(modules: Iterable[ModuleType]) -> list[Any]:
    """All values in the modules' namespaces."""
    return [value for module in modules for value in vars(module).values()]


def is_a(value: object, kind: type) -> bool:
    """isinstance by the real type: werkzeug's LocalProxy raises when asked for its __class__
    outside of an application context."""
    return issubclass(type(value), kind)


def metadata_of(value: Any) -> Iterator[MetaData]:
    """The MetaData that a value in a module's namespace leads to."""
    if is_a(value, MetaData):
        yield value
    elif is_a(value, Table) or is_a(value, registry):
        yield value.metadata
    elif is_a(value, type):
        metadata: Any = getattr(value, "metadata", None)
        if is_a(metadata, MetaData):
            yield metadata
    elif any(base.__module__.startswith("flask_sqlalchemy.") for base in type(value).__mro__):
        metadatas: Any = getattr(value, "metadatas", None)
        if is_a(metadatas, dict):
            yield from (one for one in metadatas.values() if is_a(one, MetaData))


def mappers_of(values: list[Any]) -> list[Mapper[Any]]:
    """All mappers of all registries that the values lead to, in a stable order."""
    registries: list[registry] = []
    for value in values:
        if is_a(value, registry):
            registries.append(value)
        elif is_a(value, type):
            mapper = inspect(value, raiseerr=False)
            if is_a(mapper, Mapper):
                registries.append(mapper.registry)
            known: Any = getattr(value, "registry", None)
            if is_a(known, registry):
                registries.append(known)
    mappers = [mapper for one in unique(registries) for mapper in one.mappers]
    return sorted(mappers, key=lambda one: (one.class_.__module__, one.class_.__qualname__))


def referred_by(table: Table) -> Iterator[Table]:
    """The tables that a table's foreign keys lead to; those that lead nowhere are left out."""
    for key in sorted(table.foreign_keys, key=lambda one: one.parent.key):
        try:
            referred = key.column.table
        except SQLAlchemyError:
            continue  # conflicts.py tells what is wrong with it
        if is_a(referred, Table):
            yield referred


def file_of(module: str) -> Path | None:
    """The file of a loaded module, None when it has none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file) if isinstance(file, str) else None


def unique(values: Iterable[T]) -> Iterator[T]:
    """Each object once, by identity, in order."""
    seen: dict[int, T] = {}
    for value in values:
        if id(value) not in seen:
            seen[id(value)] = value
            yield value
