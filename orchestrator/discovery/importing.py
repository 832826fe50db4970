"""Imports the models of every app.

Enters: `Candidate`s.
Leaves: `LoadedApp`s with their imported modules, the places where tables were made while they
were imported, and one problem for each fault (not one for each app that meets it).
"""

from __future__ import annotations

import pkgutil
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from sqlalchemy import MetaData, Table, event

from orchestrator.config import Where
from orchestrator.discovery.finding import Candidate
from orchestrator.discovery.project import ModuleBroken, ModuleMissing, Project, module_file
from orchestrator.discovery.sources import Sources
from orchestrator.discovery.types import App
from orchestrator.errors import Problem

# SQLAlchemy's words in sqlalchemy/sql/schema.py, Table._new.
_DEFINED_TWICE = re.compile(r"Table '([^']+)' is already defined for this MetaData")


@dataclass(frozen=True, slots=True)
class LoadedApp:
    """An app whose models modules are imported, in the order of import."""

    app: App
    modules: tuple[ModuleType, ...]
    where: str
    key: str


@dataclass(frozen=True, slots=True)
class Site:
    """The module-level line that made a table, and the module it stands in."""

    module: str
    where: Where


class Recorder:
    """Notes which module's import makes which table, for tables that no name leads to.

    It sees only what is imported while it is open; what env.py imported before is found in the
    sources alone.
    """

    def __init__(self) -> None:
        self._sites: dict[int, tuple[Table, Site]] = {}

    def __enter__(self) -> Recorder:
        event.listen(Table, "after_parent_attach", self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        event.remove(Table, "after_parent_attach", self._note)

    def site(self, table: Table) -> Site | None:
        """Where the table was made, if that was seen."""
        return self._sites[id(table)][1] if id(table) in self._sites else None

    def _note(self, table: Table, parent: Any) -> None:
        if not isinstance(parent, MetaData):
            return
        frame = sys._getframe()
        while frame.f_back is not None:
            frame = frame.f_back
            if frame.f_code.co_name == "<module>":
                where = Where(Path(frame.f_code.co_filename), frame.f_lineno)
                site = Site(str(frame.f_globals.get("__name__")), where)
                # The table is kept with its site, so that no other can take its id meanwhile.
                self._sites[id(table)] = (table, site)
                return


@dataclass(slots=True)
class _Failure:
    """One fault, and the apps that cannot be imported because of it."""

    apps: list[str]
    broken: ModuleBroken


@dataclass(frozen=True)
class Importer:
    """Imports apps in order; `problems()` tells what failed."""

    project: Project
    sources: Sources
    recorder: Recorder = field(default_factory=Recorder)
    _failures: list[_Failure] = field(default_factory=list)
    _missing: list[Problem] = field(default_factory=list)

    def load(self, candidates: tuple[Candidate, ...]) -> tuple[LoadedApp, ...]:
        """Import every app's models; an app that fails does not stop the others."""
        with self.recorder:
            loaded = [self._app(one) for one in candidates]
        return tuple(one for one in loaded if one is not None)

    def problems(self) -> list[Problem]:
        """What could not be imported: each fault once, naming every app that meets it."""
        return [*self._missing, *(self._told(one) for one in self._failures)]

    def _app(self, one: Candidate) -> LoadedApp | None:
        try:
            roots = [self.project.load(name) for name in one.modules]
            modules = [module for root in roots for module in self._with_submodules(root)]
        except ModuleMissing as missing:
            todo = "Correct the name; it is looked for in " + str(self.project.root) + "."
            self._missing.append(
                Problem(f"app {one.name}: there is no module {missing}", one.where, one.key, todo)
            )
            return None
        except ModuleBroken as broken:
            self._failed(one.name, broken)
            return None
        names = tuple(dict.fromkeys(module.__name__ for module in modules))
        app = App(one.name, one.package, names, module_file(modules[0]))
        return LoadedApp(app, tuple(modules), one.where, one.key)

    def _with_submodules(self, module: ModuleType) -> Iterator[ModuleType]:
        """A module and, when it is a package, all that is in it: `__init__` need not import it."""
        yield module
        for name in _children(module):
            yield from self._with_submodules(self.project.load(f"{module.__name__}.{name}"))

    def _failed(self, app: str, broken: ModuleBroken) -> None:
        """Note a failure, or add the app to the failure that it follows from.

        A module that failed is imported anew by the next app that needs it, and may then fail in
        another way ("Table 'users' is already defined"): the first fault is the one to tell.
        """
        for earlier in self._failures:
            if broken.files and broken.files[-1] in earlier.broken.files:
                earlier.apps.append(app)
                return
        self._failures.append(_Failure([app], broken))

    def _told(self, failure: _Failure) -> Problem:
        broken = failure.broken
        noun = "app" if len(failure.apps) == 1 else "apps"
        twice = _DEFINED_TWICE.search(broken.text)
        if twice:
            first = self._first_definition(twice[1], broken.where)
            return Problem(
                f"{noun} {', '.join(failure.apps)} defines the table {twice[1]} again"
                + (f"; it is defined first in {first}" if first else ""),
                broken.where,
                todo="Keep one definition and import it, or give one of the two another name.",
            )
        what = f"{noun} {', '.join(failure.apps)} cannot be imported: {broken.text}"
        return Problem(what, broken.where, todo=broken.todo)

    def _first_definition(self, key: str, second: str) -> str:
        name = key.rpartition(".")[2]
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if file and self.project.owns(file):
                line = self.sources.of(Path(file)).tables.get(name)
                place = str(Where(Path(file), line)) if line else ""
                if place and place.rpartition(":")[0] != second.rpartition(":")[0]:
                    return place
        return ""


def _children(module: ModuleType) -> list[str]:
    """The names of a package's own modules and packages, sorted.

    pkgutil does not list folders without __init__.py, which Python imports all the same.
    """
    places = [Path(place) for place in getattr(module, "__path__", ())]
    found = {one.name for one in pkgutil.iter_modules([str(place) for place in places])}
    for place in places:
        for child in place.iterdir():
            if child.name.isidentifier() and child.name != "__pycache__" and child.is_dir():
                found |= {child.name} if next(child.rglob("*.py"), None) else set()
    return sorted(name for name in found if name != "__main__")
