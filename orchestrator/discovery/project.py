"""What belongs to the project, and how its modules are imported.

Enters: the project's folder, and names of modules.
Leaves: imported modules, or `ModuleMissing` / `ModuleBroken` with the file and line at fault.
Nothing that a module prints while it is imported reaches stdout, which is kept for results.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from orchestrator.config import Where
from orchestrator.errors import Problem

# The program's own folder may lie inside the project (it does in its own repository).
_OURS = str(Path(__file__).resolve().parents[1])
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]*(@)|(\bpassword\s*=\s*)('[^']*'|\S+)", re.IGNORECASE)


class ModuleMissing(Exception):
    """There is no module of this name."""


@dataclass(eq=False)
class ModuleBroken(Exception):
    """A module is there, but its import fails.

    where: the last line of the project that ran. text: the exception, in words.
    files: the project's files that were being imported when it happened.
    """

    where: str
    text: str
    todo: str
    files: tuple[str, ...]


# Text, and not Path: this is asked of every module that is loaded, and there are a thousand.
def _within(file: str, folder: str) -> bool:
    return file == folder or file.startswith(folder.rstrip(os.sep) + os.sep)


def _real(file: str) -> str:
    """A file's path without symbolic links: like os.path.realpath, but each folder once."""
    if os.path.islink(file):  # noqa: PTH114
        return os.path.realpath(file)
    folder, top, name = file.rpartition(os.sep)
    return os.path.join(_real_folder(folder or top), name)  # noqa: PTH118


_real_folder = functools.cache(os.path.realpath)


@dataclass(frozen=True, slots=True)
class Project:
    """The project's folder."""

    root: Path

    def owns(self, file: str | Path) -> bool:
        """Whether a file is the project's own: under its folder, and not an installed package."""
        text, root = str(file), str(self.root)
        if not text or text.startswith("<"):
            return False
        real, folder = _real(text), _real_folder(root)
        for one, within in ((text, root), (real, folder)):
            if _within(one, within) and not _within(real, _OURS):
                return _INSTALLED.isdisjoint(Path(one.removeprefix(within)).parts)
        return False

    def enter(self) -> None:
        """Put the project's folder at the front of sys.path, once."""
        root = str(self.root)
        if sys.path[:1] != [root]:
            sys.path[:] = [root, *(entry for entry in sys.path if entry != root)]
        importlib.invalidate_caches()

    def claim(self, module: str) -> Problem | None:
        """Make sure that a module's top package is the project's own, when the project has one.

        Leaves a Problem when another package of that name has already been imported.
        """
        top = module.partition(".")[0]
        ours = PathFinder.find_spec(top, [str(self.root)])
        if ours is None or not _has_python(ours):
            return None
        loaded = sys.modules.get(top)
        if loaded is not None:
            if _places(loaded.__spec__) & _places(ours):
                return None
            return Problem(
                f"the package {top} was imported from {_told(loaded.__spec__)}, "
                f"not from {_told(ours)}",
                todo=f"Rename one of the two, or start in an environment without the other {top}.",
            )
        if ours.origin is None and not _places(importlib.util.find_spec(top)) & _places(ours):
            # A folder without __init__.py loses against a regular package anywhere on sys.path
            # (https://docs.python.org/3/reference/import.html#namespace-packages).
            sys.modules[top] = importlib.util.module_from_spec(ours)
        return None

    def load(self, name: str) -> ModuleType:
        """Import a module. Raises ModuleMissing or ModuleBroken; SystemExit counts as broken."""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return importlib.import_module(name)
        except (Exception, SystemExit) as error:
            frames = self._frames(error)
            if (
                not frames
                and isinstance(error, ModuleNotFoundError)
                and _leads_to(error.name, name)
            ):
                raise ModuleMissing(name) from error
            raise self._explain(name, error, frames) from error

    def has(self, package: ModuleType, name: str) -> bool:
        """Whether an imported package holds the module `name` (dotted names are possible).

        Raises ModuleBroken when a package on the way cannot be imported.
        """
        head, _, rest = name.partition(".")
        if not hasattr(package, "__path__"):
            return False
        whole = f"{package.__name__}.{head}"
        if importlib.util.find_spec(whole) is None:
            return False
        return self.has(self.load(whole), rest) if rest else True

    def _frames(self, error: BaseException) -> list[tuple[str, int]]:
        """The project's own lines in a traceback, outermost first."""
        return [
            (frame.f_code.co_filename, line)
            for frame, line in traceback.walk_tb(error.__traceback__)
            if self.owns(frame.f_code.co_filename)
        ]

    def _explain(
        self, name: str, error: BaseException, frames: list[tuple[str, int]]
    ) -> ModuleBroken:
        text = f"{type(error).__name__}: {error}"
        where = frames[-1] if frames else _last_line(error)
        files = [file for file, _ in frames]
        if isinstance(error, SyntaxError) and not error.filename and not frames:
            # Python names no file for a source with null bytes; nothing of it has run.
            spec = importlib.util.find_spec(name)
            where = ((spec.origin if spec else None) or name, 1)
        if isinstance(error, SyntaxError) and error.filename:
            text = f"{type(error).__name__}: {error.msg}"
            where = (error.filename, error.lineno or 1)
            files.append(error.filename)
        return ModuleBroken(
            where=str(Where(Path(where[0]), where[1])) if where else name,
            text=_PASSWORD.sub(r"\1\3***\2", " ".join(text.split())),
            todo=self._advice(name, error),
            files=tuple(files),
        )

    def _advice(self, name: str, error: BaseException) -> str:
        if isinstance(error, ModuleNotFoundError) and error.name:
            top = error.name.partition(".")[0]
            if PathFinder.find_spec(top, [str(self.root)]) is not None:
                return f"There is no module {error.name} in {self.root}: correct the import."
            return (
                f"Install {top} in the environment that runs orchestrator ({sys.prefix}), "
                "or correct the import."
            )
        if isinstance(error, ImportError):
            return "Correct the import." + _spelled_better(error)
        if isinstance(error, SyntaxError):
            return "Correct the syntax."
        if isinstance(error, SystemExit):
            return "A module must not exit while it is imported: move that into a function."
        return f'Correct it; `python -c "import {name}"` in {self.root} shows the traceback.'


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean x?`, with a leading space, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""


def module_file(module: ModuleType) -> Path:
    """A module's file; for a package without __init__.py its folder."""
    file = getattr(module, "__file__", None)
    return Path(file) if file else Path(next(iter(module.__path__)))


def _spelled_better(error: ImportError) -> str:
    match = re.search(r"cannot import name '(\w+)'", str(error))
    source = sys.modules.get(error.name or "")
    return did_you_mean(match[1], dir(source)) if match and source else ""


def _leads_to(missing: str | None, wanted: str) -> bool:
    return missing is not None and (wanted == missing or wanted.startswith(f"{missing}."))


def _last_line(error: BaseException) -> tuple[str, int] | None:
    lines = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith("<")
    ]
    return lines[-1] if lines[1:] else None


def _places(spec: ModuleSpec | None) -> frozenset[Path]:
    """Where a module comes from: its folders when it is a package, else its file."""
    if spec is None:
        return frozenset()
    found = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    return frozenset(Path(one).resolve() for one in found if one)


def _told(spec: ModuleSpec | None) -> str:
    return ", ".join(sorted(str(one) for one in _places(spec))) or "elsewhere"


def _has_python(spec: ModuleSpec) -> bool:
    """A folder without any Python (such as config/ with YAML alone) is nobody's package."""
    if spec.origin is not None:
        return True
    return any(next(folder.rglob("*.py"), None) is not None for folder in _places(spec))
