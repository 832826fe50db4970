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
from orchestrator.config.document import Document, dotted
from orchestrator.config.file_rules import all_problems
from orchestrator.config.parsing import parse
from orchestrator.config.reading import read_text
from orchestrator.config.types import Config, Where
from orchestrator.config.validate import validate
from orchestrator.errors import ConfigError, Problem

FILE_NAME = "databases.yaml"
_NO_FILE = "Run `orchestrator init` to lay out a project, or name the file with -c."


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
            todo=_NO_FILE,
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
    document = parse(read_text(file, _NO_FILE), file, os.environ if environ is None else environ)
    _refuse_whole_binds(document)
    sections = validate(document)
    connections = read_connections(sections, document, folder)
    config = build(sections, document, connections, folder)
    document.problems.extend(all_problems(config, document))
    if document.problems:
        raise ConfigError(sorted(document.problems, key=line_of))
    return config


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


def line_of(problem: Problem) -> int:
    """The line of its file that a problem is about; 0 when it is about no line."""
    line = problem.where.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0
