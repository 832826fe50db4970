"""Which Alembic tree a project has.

Enters: the project's folder.  Leaves: a `Tree`, or None for a project without one.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
import tomllib
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from alembic.config import Config as AlembicConfig

from orchestrator.errors import ConfigError, Problem, UsageError
from orchestrator.revisions.layout.types import Tree

INI = "alembic.ini"
_PYPROJECT = "pyproject.toml"
_DEPTH = 3
_USUAL = ("migrations", "alembic")
NOT_OURS = frozenset(
    (
        "node_modules",
        "site-packages",
        "dist-packages",
        "venv",
        "env",
        "__pycache__",
        "build",
        "dist",
    )
)
"""Folders that hold other people's files."""


def find_tree(root: Path, named: Path | None) -> Tree | None:
    """The project's Alembic tree.

    named: the alembic.ini to take (--alembic-ini). Raises UsageError when there are several and
    none is named, or the named one is not there; ConfigError when one cannot be read.
    """
    if named is not None:
        if not named.is_file():
            raise UsageError(Problem(f"there is no file {named}", key="--alembic-ini"))
        return _from_file(root, named)
    found = list(_config_files(root))
    if len(found) > 1:
        names = [str(file.relative_to(root)) for file in found]
        raise UsageError(
            Problem(
                f"there are {len(found)} Alembic trees: {', '.join(names)}",
                where=str(root),
                todo=f"Say which one this project is about: --alembic-ini {names[0]}.",
            )
        )
    if found and found[0].parent not in (root, *(root / one for one in _USUAL)):
        folder, name = found[0].parent.relative_to(root), found[0].relative_to(root)
        raise UsageError(
            Problem(
                f"the Alembic tree stands further down, in {folder}",
                where=str(root),
                todo=f"Run `orchestrator init {folder}` to make that the project's folder, or "
                f"`orchestrator init --alembic-ini {name}` to keep databases.yaml here.",
            )
        )
    if found:
        return _from_file(root, found[0])
    usual = [root / one for one in _USUAL if (root / one / "env.py").is_file()]
    return Tree(usual[0], (usual[0] / "versions",)) if usual else None


def _config_files(root: Path) -> Iterator[Path]:
    """alembic.ini, here and in folders below, and a pyproject.toml with [tool.alembic] here."""
    if not (root / INI).is_file() and "script_location" in _tool_alembic(root / _PYPROJECT):
        yield root / _PYPROJECT
    for folder in folders_below(root, _DEPTH):
        if (folder / INI).is_file():
            yield folder / INI


def folders_below(root: Path, depth: int) -> Iterator[Path]:
    """A folder and those below it, down to a depth, other people's files left out."""
    if not root.is_dir():
        return
    for folder, names, _files in os.walk(root):
        here = Path(folder)
        level = len(here.relative_to(root).parts)
        names[:] = sorted(
            name
            for name in names
            if level < depth
            and not name.startswith(".")
            and name not in NOT_OURS
            # A virtual environment under any name (PEP 405).
            and not (here / name / "pyvenv.cfg").exists()
        )
        yield here


def longest_id(folders: Iterable[Path]) -> int:
    """The length of the longest revision id of these folders' files, 0 without any.

    The files are read and never imported; one that is no Python is told by other commands.
    """
    return max((len(one) for folder in folders for one in _ids(folder)), default=0)


def _ids(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*.py"):
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in tree.body:
            match node:
                case (
                    ast.Assign(targets=[ast.Name(id="revision")], value=ast.Constant(str(found)))
                    | ast.AnnAssign(target=ast.Name(id="revision"), value=ast.Constant(str(found)))
                ):
                    yield found


def _tool_alembic(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        section = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("alembic", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(Problem(f"it cannot be read: {error}", where=str(file))) from error
    return section if isinstance(section, dict) else {}


def _from_file(root: Path, file: Path) -> Tree:
    ini = file if file.name != _PYPROJECT else None
    toml = root / _PYPROJECT if ini is None or _tool_alembic(root / _PYPROJECT) else None
    alembic = AlembicConfig(str(ini) if ini else None, toml_file=str(toml) if toml else None)
    base = file.parent
    with warnings.catch_warnings():
        # A missing path_separator is Alembic's business with the user, not this command's.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            location = alembic.get_alembic_option("script_location")
            versions = alembic.get_version_locations_list()
            paths = alembic.get_prepend_sys_paths_list()
        except (configparser.Error, ValueError, KeyError) as error:
            what = " ".join(str(error).split())
            raise ConfigError(Problem(f"it cannot be read: {what}", where=str(file))) from error
    if not location and not (base / "env.py").is_file():
        raise ConfigError(
            Problem(
                "it has no script_location, so the Alembic tree it means cannot be found",
                where=str(file),
                key="script_location",
                todo="Write `script_location = migrations` (or the folder of env.py) under "
                "[alembic], and run `orchestrator init` again.",
            )
        )
    folder = _resolved(location, root, base) if location else base
    return Tree(
        folder,
        tuple(_resolved(one, root, base) for one in versions or ()) or (folder / "versions",),
        ini,
        tuple(_resolved(one, root, base) for one in paths or ()),
        _url(ini) if ini else None,
        unsaid=not location,
    )


def _resolved(location: str, root: Path, base: Path) -> Path:
    """A folder as Alembic means it: `folder`, or `package.module:folder`.

    Alembic reads relative ones from the working directory, which for most is the ini's folder.
    """
    package, colon, rest = location.partition(":")
    if colon and not Path(location).is_absolute() and re.fullmatch(r"[\w.]+", package):
        location = str(Path(*package.split("."), rest))
    for start in (base, root):
        found = Path(os.path.abspath(start / location))  # noqa: PTH100 - keeps symbolic links
        if found.exists():
            return found
    return Path(os.path.abspath(base / location))  # noqa: PTH100


def _url(ini: Path) -> str | None:
    """sqlalchemy.url without interpolation, which may ask for values that only a program has."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(ini, encoding="utf-8")
        return parser.get("alembic", "sqlalchemy.url", fallback=None)
    except configparser.Error:
        return None
