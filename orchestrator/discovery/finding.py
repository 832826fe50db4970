"""Which apps there are: reads the `apps` section, and imports nothing of the models yet.

Enters: Config and Project.
Leaves: `Candidate`s in the order of the configuration, and everything that is wrong with the lists.

The rules:
- `packages`: a sub-package with a models module is an app, with or without `__init__.py`. A folder
  without one only groups apps, so its sub-packages are looked at too; below an app nothing is. The
  listed package itself is an app when it has a models module.
- `installed`: a list of packages; `apps.users.apps.UsersConfig` (Django's AppConfig) means
  `apps.users`, or what its `name` says.
- `modules`: `apps.users.models` belongs to the app `apps.users`; a module of another name is an
  app of its own, unless the package it stands in is one.
- An app's name is the last part of its package; where two would be the same, as many parts as tell
  them apart.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from orchestrator.config import Config, Where
from orchestrator.discovery.project import (
    ModuleBroken,
    ModuleMissing,
    Project,
    did_you_mean,
    module_file,
)
from orchestrator.discovery.sources import Sources
from orchestrator.errors import Problem

# Folders of a package that are never apps, even with a models module.
_NO_APPS = frozenset({"__pycache__", "migrations", "test", "tests"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """An app, before its models are imported. `where` is the place that lists it."""

    package: str
    modules: tuple[str, ...]
    where: str
    key: str
    name: str = ""


@dataclass(frozen=True)
class Finder:
    """Reads one `apps` section; `problems` fills up on the way."""

    config: Config
    project: Project
    sources: Sources
    problems: list[Problem] = field(default_factory=list)

    def find(self) -> tuple[Candidate, ...]:
        """All apps, named, each once. What is wrong stands in `problems`."""
        apps = self.config.apps
        found = [one for package in apps.packages for one in self._in_package(package)]
        found += self._installed(apps.installed) if apps.installed else []
        found += self._modules({one.package for one in found})
        if not (apps.packages or apps.installed or apps.modules):
            self._wrong(
                "no apps are listed", "apps", "Write `apps: {packages: [apps]}` in databases.yaml."
            )
        return _named(_merged(found))

    def _wrong(self, what: str, key: str, todo: str, where: str = "") -> None:
        self.problems.append(Problem(what, where or self._listed_at, key, todo))

    @property
    def _listed_at(self) -> str:
        return str(self.config.apps.where or self.config.file)

    def _import(self, name: str, key: str, missing: str, todo: str) -> ModuleType | None:
        """Import a module that a list names; None, and a problem, when that fails."""
        elsewhere = self.project.claim(name)
        if elsewhere is not None:
            self.problems.append(dataclasses.replace(elsewhere, where=self._listed_at, key=key))
            return None
        try:
            return self.project.load(name)
        except ModuleMissing:
            self._wrong(missing, key, todo)
        except ModuleBroken as broken:
            what = f"{name} cannot be imported: {broken.text}"
            self._wrong(what, key, broken.todo, broken.where)
        return None

    def _in_package(self, name: str) -> list[Candidate]:
        key = "apps.packages"
        known = [one.name for one in self.config.root.iterdir() if one.is_dir()]
        package = self._import(
            name,
            key,
            f"there is no package {name} in {self.config.root}",
            f"Write the dotted name of the folder that holds the apps.{did_you_mean(name, known)}",
        )
        if package is None:
            return []
        if not hasattr(package, "__path__"):
            self._wrong(
                f"{name} is a module, not a package", key, f"List it as `modules: [{name}]`."
            )
            return []
        places = list(package.__path__)
        found = [
            Candidate(one, (f"{one}.{self.config.apps.models}",), self._listed_at, key)
            for one in self._walk(name, places)
        ]
        if not found:
            self._wrong(
                f"no app was found in the package {name}: no sub-package has a module "
                f"{self.config.apps.models}",
                key,
                f"Add {places[0]}/<app>/{self.config.apps.models}.py, or name the module that "
                "apps keep their models in as `models:`.",
            )
        return found

    def _walk(self, name: str, places: Iterable[str]) -> Iterator[str]:
        if any(_has_models(Path(place), self.config.apps.models) for place in places):
            yield name
        for place in places:
            yield from self._below(name, Path(place))

    def _below(self, name: str, folder: Path) -> Iterator[str]:
        for child in sorted(folder.iterdir()):
            usable = child.name.isidentifier() and child.name not in _NO_APPS and child.is_dir()
            if not usable or child.name == self.config.apps.models:
                continue
            if _has_models(child, self.config.apps.models):
                yield f"{name}.{child.name}"
            else:
                yield from self._below(f"{name}.{child.name}", child)

    def _installed(self, setting: str) -> list[Candidate]:
        key = "apps.installed"
        name, _, attribute = setting.partition(":")
        if not name or not attribute:
            todo = "Write it as module:NAME, for example config.settings:INSTALLED_APPS."
            self._wrong(f"{setting!r} names no setting", key, todo)
            return []
        module = self._import(
            name,
            key,
            f"there is no module {name}",
            f"Write the dotted name of the module that holds {attribute}; "
            f"it is looked for in {self.config.root}.",
        )
        if module is None:
            return []
        file = module_file(module)
        line = self.sources.of(file).assigned.get(attribute, 1)
        entries = getattr(module, attribute, None)
        if entries is None:
            todo = f"Define it there.{did_you_mean(attribute, vars(module))}"
            self._wrong(f"{name} has no {attribute}", key, todo, str(Where(file, line)))
            return []
        if not isinstance(entries, list | tuple) or not all(isinstance(e, str) for e in entries):
            todo = 'Write a list of dotted package names: ["apps.users", "apps.orders"].'
            self._wrong(f"{attribute} is no list of names", key, todo, str(Where(file, line)))
            return []
        if not entries:
            todo = 'List the apps in it: ["apps.users", "apps.orders"].'
            self._wrong(f"{attribute} lists no app", key, todo, str(Where(file, line)))
        strings = self.sources.of(file).strings
        found = (self._entry(e, str(Where(file, strings.get(e, line))), key) for e in entries)
        return [one for one in found if one is not None]

    def _entry(self, entry: str, where: str, key: str) -> Candidate | None:
        """One entry of an INSTALLED_APPS."""
        models = self.config.apps.models
        try:
            elsewhere = self.project.claim(entry)
            if elsewhere is not None:
                self.problems.append(dataclasses.replace(elsewhere, where=where, key=key))
                return None
            module = self._package_of(entry)
            package = module.__name__
            if self.project.has(module, models):
                return Candidate(package, (f"{package}.{models}",), where, key)
        except ModuleMissing as missing:
            todo = "Correct the name, or take it out of the list."
            self._wrong(f"app {entry}: there is no module {missing}", key, todo, where)
            return None
        except ModuleBroken as broken:
            what = f"app {entry} cannot be imported: {broken.text}"
            self._wrong(what, key, broken.todo, broken.where)
            return None
        if not hasattr(module, "__path__"):
            return Candidate(package, (package,), where, key)
        self._wrong(
            f"app {package} has no {models} module",
            key,
            f"Add {next(iter(module.__path__))}/{models.replace('.', '/')}.py, or take the app "
            "out of the list (`packages` and `modules` list apps too).",
            where,
        )
        return None

    def _package_of(self, entry: str) -> ModuleType:
        """The package that an entry means: itself, or that of the AppConfig class it names."""
        try:
            return self.project.load(entry)
        except ModuleMissing:
            parent, _, attribute = entry.rpartition(".")
            if not parent:
                raise
            config = getattr(self.project.load(parent), attribute, None)
            if not isinstance(config, type):
                raise
        said = getattr(config, "name", None)
        return self.project.load(said if isinstance(said, str) else parent.removesuffix(".apps"))

    def _modules(self, packages: set[str]) -> Iterator[Candidate]:
        key, end = "apps.modules", f".{self.config.apps.models}"
        named = (name for name in self.config.apps.modules if name.endswith(end))
        packages = packages | {name.removesuffix(end) for name in named}
        for name in self.config.apps.modules:
            elsewhere = self.project.claim(name)
            if elsewhere is not None:
                self.problems.append(dataclasses.replace(elsewhere, where=self._listed_at, key=key))
                continue
            parent = name.rpartition(".")[0]
            package = parent if parent in packages else name
            yield Candidate(package, (name,), self._listed_at, key)


def _has_models(folder: Path, models: str) -> bool:
    place = folder.joinpath(*models.split("."))
    if place.with_name(f"{place.name}.py").is_file():
        return True
    return place.is_dir() and next(place.glob("*.py"), None) is not None


def _merged(found: Iterable[Candidate]) -> list[Candidate]:
    """Each package once, at its first place, with all its modules."""
    merged: dict[str, Candidate] = {}
    for one in found:
        first = merged.setdefault(one.package, one)
        modules = tuple(dict.fromkeys((*first.modules, *one.modules)))
        merged[one.package] = dataclasses.replace(first, modules=modules)
    return list(merged.values())


def _named(found: list[Candidate]) -> tuple[Candidate, ...]:
    """Give each app the shortest end of its package that no other app shares."""
    ends = collections.Counter(end for one in found for end in _ends(one.package))
    return tuple(
        dataclasses.replace(
            one, name=next((e for e in _ends(one.package) if ends[e] == 1), one.package)
        )
        for one in found
    )


def _ends(package: str) -> list[str]:
    parts = package.split(".")
    return [".".join(parts[-length:]) for length in range(1, len(parts) + 1)]
