"""databases.yaml -> Config.

Enters: the path of the file, and the environment.  Leaves: a `Config`, or one `ConfigError` with
every mistake of the file, in the order of its lines.  No database is touched.

The way: `document` (YAML with lines, variables), `validate` (keys and types), `connections` (URLs),
`build` (frozen types), `file_rules` (what keys say about each other).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from orchestrator.config.build import build
from orchestrator.config.connections import read_connections
from orchestrator.config.document import Document, dotted, parse
from orchestrator.config.file_rules import all_problems
from orchestrator.config.types import Config, Where
from orchestrator.config.validate import validate
from orchestrator.errors import ConfigError, Problem

FILE_NAME = "databases.yaml"


def find_config(start: Path) -> Path:
    """databases.yaml in this folder, or in the nearest one above it.

    Raises ConfigError when there is none.
    """
    folder = Path(os.path.abspath(start))  # noqa: PTH100 - resolve() would follow symbolic links
    for candidate in (folder, *folder.parents):
        path = candidate / FILE_NAME
        if path.is_file():
            return path
    raise ConfigError(
        Problem(
            f"there is no {FILE_NAME} in {folder} or above it",
            todo="Run `orchestrator init` to lay out a project, or name the file with -c.",
        )
    )


def load_config(
    path: Path, *, root: Path | None = None, environ: Mapping[str, str] | None = None
) -> Config:
    """Read databases.yaml.

    root: the project's folder, where relative paths start; by default the file's own.
    environ: the variables for `${X}`; by default the process's.
    Raises ConfigError with all problems together. A variable that is unset, or a url_file that is
    not there, is no error yet: it stands in `Config.deferred` (see `Config.require`).
    """
    file = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow symbolic links
    folder = Path(os.path.abspath(root)) if root is not None else file.parent  # noqa: PTH100
    document = parse(_text(file), file, os.environ if environ is None else environ)
    _refuse_whole_binds(document)
    sections = validate(document)
    connections = read_connections(sections, document, folder)
    config = build(sections, document, connections, folder)
    document.problems.extend(all_problems(config, document))
    if document.problems:
        raise ConfigError(sorted(document.problems, key=_line))
    return config


_LARGEST = 8 * 1_048_576
"""Bytes of a databases.yaml, at most: -c may name something that never ends (/dev/zero)."""


def _text(file: Path) -> str:
    todo = "Run `orchestrator init` to lay out a project, or name the file with -c."
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
        if len(data) <= _LARGEST:
            return data.decode("utf-8-sig")
        what = f"it is larger than {_LARGEST // 1_048_576} MiB"
    except FileNotFoundError:
        what = "there is no such file"
    except UnicodeDecodeError as error:
        what = f"it is no UTF-8 text (byte {error.start + 1})"
        todo = "Save it as UTF-8."
    except OSError as error:
        what, todo = f"it cannot be read: {error.strerror}", "Correct the path, or its permissions."
    raise ConfigError(Problem(what, where=str(Where(file, 1)).removesuffix(":1"), todo=todo))


def _refuse_whole_binds(document: Document) -> None:
    """An unset variable in place of a whole bind: no value of it could ever be right."""
    for one in [one for one in document.unset if one.keys[0] == "binds" and len(one.keys) < 3]:
        document.unset.remove(one)
        document.problems.append(
            Problem(
                "must be a mapping, not a variable",
                where=str(Where(document.file, one.line)),
                key=dotted(one.keys),
                todo="Write its keys here, and variables as their values: url: ${NAME}.",
            )
        )


def _line(problem: Problem) -> int:
    line = problem.where.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0
