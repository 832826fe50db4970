"""Where a table is defined, and which app that place belongs to.

Enters: loaded apps, the project's sources, and what the recorder saw.
Leaves: an `Origin` for any table.

A table is defined by the class that maps it; a plain table by the module-level name it is assigned
to; else where its name is written in `Table("name", ...)`; else by the line that was being
imported when it was made, or, when that was before anybody watched, the line that makes such names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.orm import Mapper

from orchestrator.config import Where
from orchestrator.discovery.importing import LoadedApp, Recorder
from orchestrator.discovery.namespaces import file_of, is_a, metadata_of, unique
from orchestrator.discovery.project import Project, module_file
from orchestrator.discovery.sources import Sources
from orchestrator.discovery.types import App


@dataclass(frozen=True, slots=True)
class Origin:
    """The module that defines a table ("" when nothing tells), its app, and the place.

    foreign: an installed library defines the table, on a MetaData that the project did not make.
    """

    module: str
    app: App | None
    where: Where
    foreign: bool = False


class Origins:
    """Tells where tables come from. mappers: every mapper that the apps lead to."""

    def __init__(
        self,
        project: Project,
        sources: Sources,
        recorder: Recorder,
        apps: tuple[LoadedApp, ...],
        mappers: list[Mapper[Any]],
    ) -> None:
        self._project = project
        self._sources = sources
        self._recorder = recorder
        self._apps = apps
        self._modules = self._project_modules()
        self._assigned = {id(value): where for value, where in self._assignments()}
        self._models = self._models_of_tables(mappers)

    def model(self, table: Table) -> type | None:
        """The class that defines the table, None for a plain one."""
        mapper = self._models.get(id(table))
        return mapper.class_ if mapper else None

    def of(self, table: Table) -> Origin:
        """Where a table comes from."""
        module, where = self._place(table)
        foreign = bool(module) and not self._is_ours(module) and self._is_library(table)
        return Origin(module, self.app_of(module), where, foreign)

    def app_of(self, module: str) -> App | None:
        """The app that lists the module, else the one with the longest package around it."""
        best: App | None = None
        for one in self._apps:
            app = one.app
            if module in app.modules:
                return app
            inside = module == app.package or module.startswith(f"{app.package}.")
            if inside and (best is None or len(app.package) > len(best.package)):
                best = app
        return best

    def _place(self, table: Table) -> tuple[str, Where]:
        site = self._recorder.site(table)
        model = self.model(table)
        file = file_of(model.__module__) if model else None
        if model is not None and file is not None:
            line = self._sources.of(file).classes.get(model.__qualname__)
            if line is not None:
                return model.__module__, Where(file, line)
            if id(table) not in self._assigned:
                seen = site is not None and site.module == model.__module__
                return model.__module__, site.where if site and seen else Where(file, 1)
        if id(table) in self._assigned:
            return self._assigned[id(table)]
        for module in self._modules:
            line = self._sources.of(module_file(module)).tables.get(table.name)
            if line is not None:
                return module.__name__, Where(module_file(module), line)
        if site is not None:
            return site.module, site.where
        return self._maker(table) or (self._library_of(table), Where(self._apps[0].app.file, 1))

    def _maker(self, table: Table) -> tuple[str, Where] | None:
        """The only place that makes tables with such a name, when there is exactly one."""
        found = [
            (module.__name__, Where(module_file(module), line))
            for module in self._modules
            for pattern, line in self._sources.of(module_file(module)).made.items()
            if re.fullmatch(pattern, table.name)
        ]
        return found[0] if len(found) == 1 else None

    def _models_of_tables(self, mappers: list[Mapper[Any]]) -> dict[int, Mapper[Any]]:
        """The mapper that defines each table: not a subclass in the same table, and rather not a
        class that borrows the table of another."""
        models: dict[int, Mapper[Any]] = {}
        for mapper in sorted(mappers, key=self._rank):
            parent = mapper.inherits
            if parent is None or parent.local_table is not mapper.local_table:
                models.setdefault(id(mapper.local_table), mapper)
        return models

    def _rank(self, mapper: Mapper[Any]) -> tuple[bool, int, str, str]:
        model = mapper.class_
        file = file_of(model.__module__)
        borrows = file is not None and model.__qualname__ in self._sources.of(file).borrowers
        app = self.app_of(model.__module__)
        position = [one.app for one in self._apps].index(app) if app else len(self._apps)
        return borrows, position, model.__module__, model.__qualname__

    def _project_modules(self) -> list[ModuleType]:
        """The loaded modules of the project and of its apps, the apps' own first."""
        own = [module for one in self._apps for module in one.modules]
        others = [
            module
            for name, module in sorted(sys.modules.items())
            if name != "__main__" and self._is_ours(name)
        ]
        return [module for module in unique([*own, *others]) if file_of(module.__name__)]

    def _assignments(self) -> Iterator[tuple[Any, tuple[str, Where]]]:
        """What the project's modules assign to a name themselves, the first name first."""
        seen: set[int] = set()
        for module in self._modules:
            file = module_file(module)
            for name, line in self._sources.of(file).assigned.items():
                value = vars(module).get(name)
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield value, (module.__name__, Where(file, line))

    def _is_ours(self, module: str) -> bool:
        file = getattr(sys.modules.get(module), "__file__", None)
        return self.app_of(module) is not None or (
            isinstance(file, str) and self._project.owns(file)
        )

    def _is_library(self, table: Table) -> bool:
        """Whether the MetaData of a table that a library defines is the library's too, and not one
        that the project handed to it."""
        model = self.model(table)
        if model is None:
            return True
        holders = [one for one in model.__mro__ if vars(one).get("metadata") is table.metadata]
        return bool(holders) and not any(self._made_here(one, table.metadata) for one in holders)

    def _made_here(self, base: type, metadata: MetaData) -> bool:
        """Whether the project makes a declarative base: by a class statement, or by a call whose
        result it assigns (declarative_base(), SQLAlchemy())."""
        if self._is_ours(base.__module__) or id(base) in self._assigned:
            return True
        return any(
            id(value) in self._assigned and metadata in list(metadata_of(value))
            for module in self._modules
            for value in vars(module).values()
            if not is_a(value, type) and not is_a(value, MetaData) and not is_a(value, Table)
        )

    def _library_of(self, table: Table) -> str:
        """The installed module whose namespace holds a table that the project does not define."""
        for name, module in list(sys.modules.items()):
            held = any(one is table for one in list(getattr(module, "__dict__", {}).values()))
            if held and not self._is_ours(name):
                return name
        return ""
