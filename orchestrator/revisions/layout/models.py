"""Where a project keeps its apps and models, read from its source files.

Enters: the project's folder and the folders it puts on sys.path.  Leaves: `FoundApps`.
Nothing is imported: a file that fails on import must not stop the layout, and is told later by the
discovery, with its line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from orchestrator.config import Where
from orchestrator.revisions.layout.trees import folders_below
from orchestrator.revisions.layout.types import FoundApps

_MODELS = "models"
_SETTING = "INSTALLED_APPS"
# Tried in this order; the first that assigns INSTALLED_APPS is taken.
_SETTINGS = (
    "config/settings.py",
    "settings.py",
    "core/settings.py",
    "app/settings.py",
    "*/settings.py",
    "*/settings/__init__.py",
    "*/settings/base.py",
    "*/core/settings.py",
    "config.py",
    "*/config.py",
)
_DEPTH = 4
_MOST_MODULES = 20
_NO_APPS = frozenset(("migrations", "alembic", "tests", "test", "docs", "examples", "scripts"))


@dataclass(frozen=True, slots=True)
class _Setting:
    """An INSTALLED_APPS: its file, its entries with their lines, None when it is put together."""

    file: Path
    dotted: str
    entries: tuple[tuple[str, int], ...] | None
    line: int


@dataclass(frozen=True)
class ModelFinder:
    """Looks through one project. paths: sys.path entries of its own beside the root."""

    root: Path
    paths: Sequence[Path] = ()
    _asts: dict[Path, ast.Module | None] = field(default_factory=dict)

    def find(self) -> FoundApps:
        """The apps, by the first rule that fits.

        An INSTALLED_APPS whose entries are the project's own; packages that hold several apps;
        single modules with models. When nothing is found, `packages: [apps]` is a guess.
        """
        setting = self._setting()
        notes: list[str] = []
        if setting is not None:
            usable, said = self._judge(setting)
            notes += said
            if usable:
                return FoundApps(
                    installed=f"{setting.dotted}:{_SETTING}",
                    notes=tuple(notes),
                    sqlmodel=self._sqlmodel,
                )
        packages, modules = self._by_place(self._named)
        if not packages and not modules:
            packages, modules = self._by_place((self.root,))
        if not packages and not modules:
            modules = self._tables_anywhere()
        return FoundApps(
            packages=packages or (() if modules else ("apps",)),
            modules=modules,
            notes=tuple(notes),
            guessed=not packages and not modules,
            sqlmodel=self._sqlmodel,
        )

    def owns(self, module: str) -> bool:
        """Whether a module's top package is the project's own."""
        top = module.partition(".")[0]
        return any(
            (start / f"{top}.py").is_file() or (start / top).is_dir() for start in self._starts
        )

    def has_tables(self, module: str) -> bool:
        """Whether a module of the project, or any file of that package, defines tables."""
        for start in self._starts:
            place = start.joinpath(*module.split("."))
            files = [place.with_name(f"{place.name}.py"), *place.rglob("*.py")]
            if any(self._defines_tables(file) for file in files if file.is_file()):
                return True
        return False

    @cached_property
    def _named(self) -> tuple[Path, ...]:
        """The folders that the tree puts on sys.path; beside them may stand other projects."""
        found = [path for path in self.paths if path.is_relative_to(self.root) and path.is_dir()]
        # The more specific first: with src on sys.path, src/app/models.py is app.models.
        return tuple(sorted(dict.fromkeys(found), key=lambda one: -len(one.parts)))

    @cached_property
    def _starts(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys([*self._named, self.root]))

    def _parsed(self, file: Path) -> ast.Module | None:
        if file not in self._asts:
            try:
                self._asts[file] = ast.parse(file.read_bytes(), str(file))
            except (OSError, SyntaxError, ValueError):
                self._asts[file] = None
        return self._asts[file]

    def _dotted(self, place: Path) -> str:
        """The dotted name of a module or package, "" when its path is no name."""
        start = next(one for one in self._starts if place.is_relative_to(one))
        parts = place.relative_to(start).with_suffix("").parts
        parts = parts[:-1] if parts[-1:] == ("__init__",) else parts
        return ".".join(parts) if parts and all(part.isidentifier() for part in parts) else ""

    def _setting(self) -> _Setting | None:
        for start in self._starts:
            for pattern in _SETTINGS:
                for file in sorted(start.glob(pattern)):
                    found = self._in_settings(file)
                    if found is not None:
                        return found
        return None

    def _in_settings(self, file: Path) -> _Setting | None:
        tree = self._parsed(file)
        for node in tree.body if tree else ():
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AnnAssign):
                targets = [node.target]
            if not any(isinstance(one, ast.Name) and one.id == _SETTING for one in targets):
                continue
            assert isinstance(node, (ast.Assign, ast.AnnAssign))
            value = node.value
            entries: tuple[tuple[str, int], ...] | None = None
            if isinstance(value, (ast.List, ast.Tuple)) and all(
                isinstance(one, ast.Constant) and isinstance(one.value, str) for one in value.elts
            ):
                entries = tuple((ast.literal_eval(one), one.lineno) for one in value.elts)
            return _Setting(file, self._dotted(file), entries, node.lineno)
        return None

    def _judge(self, setting: _Setting) -> tuple[bool, list[str]]:
        """Whether a setting can be named in databases.yaml, and what is wrong with its entries.

        An entry that does not exist is a mistake to correct; one of another package, or one
        without models, is right for its reader and not for this purpose.
        """
        where = Where(setting.file, setting.line)
        if setting.entries is None:
            return False, [f"{where}: {_SETTING} is put together by code: apps are listed anew"]
        if not setting.entries:
            return False, [f"{where}: {_SETTING} is empty: apps are listed anew"]
        notes, usable = [], True
        for entry, line in setting.entries:
            at = Where(setting.file, line)
            if not self.owns(entry):
                notes.append(f"{at}: {entry} is not this project's: apps are listed anew")
                usable = False
            elif (package := self._package(entry)) is None:
                notes.append(f"{at}: {_SETTING} lists {entry}, which does not exist: correct it")
            elif not _has_models(package) and package.is_dir():
                notes.append(f"{at}: {entry} has no models: apps are listed anew")
                usable = False
        return usable, notes

    def _package(self, entry: str) -> Path | None:
        """The place of an entry (of Django's `apps.users.apps.UsersConfig`: apps/users)."""
        names = [entry]
        parent, _, last = entry.rpartition(".")
        if parent and last[:1].isupper():
            names.append(parent.removesuffix(".apps"))
        for name in names:
            for start in self._starts:
                place = start.joinpath(*name.split("."))
                if place.is_dir():
                    return place
                if place.with_name(f"{place.name}.py").is_file():
                    return place.with_name(f"{place.name}.py")
        return None

    def _by_place(self, starts: Sequence[Path]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Packages and modules, by where modules called `models` stand below these folders."""
        by_top: dict[str, list[str]] = {}
        for place in self._models_places(starts):
            dotted = self._dotted(place)
            if dotted:
                by_top.setdefault(dotted.partition(".")[0], []).append(dotted)
        packages, modules = [], []
        for top, found in by_top.items():
            if top != _MODELS and (len(found) > 1 or top == "apps"):
                packages.append(_common(found))
            else:
                modules += found
        return tuple(packages), tuple(modules)

    def _models_places(self, starts: Sequence[Path]) -> Iterator[Path]:
        seen: set[Path] = set()
        for start in starts:
            for folder in self._folders(start):
                for place in (folder / f"{_MODELS}.py", folder / _MODELS):
                    if place not in seen and self._holds_tables(place):
                        yield place
                    seen.add(place)

    def _folders(self, start: Path) -> Iterator[Path]:
        for folder in folders_below(start, _DEPTH):
            parts = folder.relative_to(start).parts
            if _NO_APPS.isdisjoint(parts) and _MODELS not in parts:
                yield folder

    def _holds_tables(self, place: Path) -> bool:
        files = [place] if place.is_file() else sorted(place.rglob("*.py"))
        # In apps/ a models module is one by convention, even while it cannot be parsed.
        if files and "apps" in place.parts[:-1]:
            return True
        return any(self._defines_tables(file) for file in files)

    def _defines_tables(self, file: Path) -> bool:
        tree = self._parsed(file)
        return tree is not None and any(_makes_table(node) for node in ast.walk(tree))

    def _tables_anywhere(self) -> tuple[str, ...]:
        found = [
            self._dotted(file)
            for folder in self._folders(self.root)
            for file in sorted(folder.glob("*.py"))
            if self._defines_tables(file)
        ]
        return tuple(name for name in found if name)[:_MOST_MODULES]

    @cached_property
    def _sqlmodel(self) -> bool:
        return any(
            tree is not None and any(_imports_sqlmodel(node) for node in ast.walk(tree))
            for file in [
                file
                for folder in self._folders(self.root)
                for place in (folder / f"{_MODELS}.py", folder / _MODELS)
                for file in ([place] if place.is_file() else place.rglob("*.py"))
            ]
            for tree in [self._parsed(file)]
        )


def _has_models(package: Path) -> bool:
    place = package / _MODELS
    return place.with_name(f"{_MODELS}.py").is_file() or any(place.glob("*.py"))


def _common(names: list[str]) -> str:
    """The innermost package that holds all of these modules' apps."""
    holders = [name.split(".")[:-2] or name.split(".")[:1] for name in names]
    shared = holders[0]
    for holder in holders[1:]:
        while holder[: len(shared)] != shared:
            shared = shared[:-1]
    return ".".join(shared)


def _makes_table(node: ast.AST) -> bool:
    match node:
        case ast.ClassDef():
            return any(
                keyword.arg == "table" and isinstance(keyword.value, ast.Constant)
                for keyword in node.keywords
            ) or any(isinstance(one, ast.Attribute) and one.attr == "Model" for one in node.bases)
        case ast.Assign(targets=[ast.Name(id="__tablename__" | "__table__")]):
            return True
        case ast.Call(func=ast.Name(id="Table") | ast.Attribute(attr="Table")):
            return len(node.args) > 1
    return False


def _imports_sqlmodel(node: ast.AST) -> bool:
    match node:
        case ast.ImportFrom(module=str(name)):
            return name.partition(".")[0] == "sqlmodel"
        case ast.Import():
            return any(alias.name.partition(".")[0] == "sqlmodel" for alias in node.names)
    return False
