"""What a recording was made from beside the revision file itself: modules, data files, variables.

Enters: the project's root.  Leaves: `Inputs`, with a digest for each file of the project that was
imported or read in this process, and for each environment variable that the project's own code
read.  A recording may be used again while all of them are unchanged.

A variable that a library reads on the project's behalf is not seen, and neither is the listing of
a folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orchestrator
from orchestrator.config import Config

_ABSENT = ""
_WRITES = os.O_WRONLY | os.O_RDWR
_NOT_THE_PROJECTS = tuple(
    str(Path(folder)) + os.sep
    for folder in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *orchestrator.__path__,
    }
)


@dataclass(frozen=True, slots=True)
class InputDigests:
    """Digests by name: files (relative to the root where they stand below it) and variables. What
    does not exist has an empty digest."""

    files: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def __or__(self, other: InputDigests) -> InputDigests:
        return InputDigests({**self.files, **other.files}, {**self.variables, **other.variables})


def file_digest(path: Path | str) -> str:
    """SHA-256 of a file's bytes, "" when it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - called for every revision at every start
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return _ABSENT


def variable_digest(name: str) -> str:
    """SHA-256 of an environment variable's value, "" when it is not set."""
    value = os.environ.get(name)
    return _ABSENT if value is None else hashlib.sha256(os.fsencode(value)).hexdigest()


def keyed_files(config: Config) -> tuple[Path, ...]:
    """The files that stand in the key of every recording, so that only what matters in them
    counts."""
    tenants = [bind.tenants.path for bind in config.binds.values() if bind.tenants]
    return (
        config.file,
        config.root / "alembic.ini",
        config.root / "pyproject.toml",
        config.migrations / "env.py",
        *(path for path in tenants if path is not None),
    )


class Inputs:
    """What this process took from the project since `watch`.

    ignored: files that do not count, because whoever keeps the recordings looks at them himself.
    """

    def __init__(self, root: Path, ignored: Collection[Path]) -> None:
        self._root = str(root)
        self._ignored = {str(path) for path in ignored}
        self._opened: set[str] = set()
        self._read: set[str] = set()
        self._told: set[str] = set()

    def watch(self) -> None:
        """Notice files and variables from now on; there is no end to it in this process."""
        sys.addaudithook(self._heard)
        note = self._read.add

        class Watched(type(os.environ)):  # type: ignore[misc]
            def __getitem__(self, key: str) -> str:
                if _asked_by_project():
                    note(key)
                value: str = super().__getitem__(key)
                return value

        os.environ.__class__ = Watched

    def news(self) -> InputDigests:
        """What was not told before."""
        files = {*self._modules(), *self._opened} - self._told
        variables = {f"${name}" for name in self._read} - self._told
        self._told |= files | variables
        return InputDigests(
            {self._named(path): file_digest(path) for path in sorted(files)},
            {name[1:]: variable_digest(name[1:]) for name in sorted(variables)},
        )

    def _modules(self) -> Iterator[str]:
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and is_projects(path) and path not in self._ignored:
                yield path

    def _heard(self, event: str, details: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(details[0], (str, os.PathLike, bytes)):
            return
        if isinstance(details[2], int) and details[2] & _WRITES:
            return
        path = os.path.abspath(os.fsdecode(details[0]))  # noqa: PTH100 - runs at every open()
        # Python files count as modules: Alembic opens all revision files, whichever it runs.
        if path.endswith((".py", ".pyc")) or path in self._ignored:
            return
        if path.startswith(self._root + os.sep) and is_projects(path):
            self._opened.add(path)

    def _named(self, path: str) -> str:
        return path.removeprefix(self._root + os.sep)


def is_projects(path: str) -> bool:
    """Whether a file belongs to the project: not to Python, an installed package, or this one."""
    return (
        path.startswith(os.sep)
        and not path.startswith(_NOT_THE_PROJECTS)
        and f"{os.sep}site-packages{os.sep}" not in path
        and f"{os.sep}dist-packages{os.sep}" not in path
    )


def _asked_by_project() -> bool:
    """Whether the project's own code reads os.environ now, maybe through get() or os.getenv()."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__") in _BETWEEN:
        frame = frame.f_back
    return is_projects(frame.f_code.co_filename)


_BETWEEN = ("os", "_collections_abc", "collections.abc")
