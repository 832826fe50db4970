"""Where the names of tenants come from.

Enters: a bind's TenantSource.  Leaves: TenantEntry values, in the order of the source.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestrator.config import Bind, TenantEntry, TenantSource, Where
from orchestrator.errors import ConfigError, Problem

FILE_KINDS = (".txt", ".csv", ".json", ".yaml", ".yml")


def tenants_of(bind: Bind) -> tuple[TenantEntry, ...]:
    """The tenants of a bind, from its source.

    Raises ConfigError when the source cannot be read, with every bad entry and its line.
    """
    source = bind.tenants
    if source is None:
        return ()
    if source.kind == "list":
        return source.entries
    if source.kind == "file":
        return _from_file(bind, source)
    raise ConfigError(
        Problem(
            f"tenants from `{source.kind}` are not supported by this version",
            where=str(source.where),
            key=f"binds.{bind.name}.tenants.{source.kind}",
            todo="Use `list` or `file`.",
        )
    )


def _from_file(bind: Bind, source: TenantSource) -> tuple[TenantEntry, ...]:
    path = source.path
    key = f"binds.{bind.name}.tenants.file"
    if path is None:
        raise ConfigError(Problem("no path is given", where=str(source.where), key=key))
    readers = {".txt": _lines, ".csv": _csv, ".json": _json, ".yaml": _yaml, ".yml": _yaml}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(
            Problem(
                f"{path.name} is of no known kind",
                where=str(source.where),
                key=key,
                todo=f"Use a file that ends in {', '.join(FILE_KINDS)}.",
            )
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = list(reader(text))
    except OSError as error:
        raise ConfigError(
            Problem(
                f"{path} cannot be read: {error.strerror}",
                where=str(source.where),
                key=key,
                todo="Correct the path (it is relative to databases.yaml), or write the file.",
            )
        ) from error
    except (ValueError, csv.Error, yaml.YAMLError) as error:
        raise ConfigError(
            Problem(
                f"it cannot be read as {path.suffix[1:]}: {' '.join(str(error).split())}",
                where=str(path),
            )
        ) from error
    return _entries(path, rows)


def _entries(path: Path, rows: Iterable[tuple[int, Any]]) -> tuple[TenantEntry, ...]:
    found, problems = [], []
    for line, row in rows:
        where = Where(path, line)
        fields = {"tenant": row} if not isinstance(row, Mapping) else dict(row)
        name = fields.pop("tenant", None)
        server = fields.pop("server", None)
        if not isinstance(name, str) or not name:
            problems.append(
                Problem(
                    "this entry has no tenant name",
                    where=str(where),
                    todo="Give it a `tenant` that is a non-empty text (quote numbers).",
                )
            )
            continue
        labels = {str(key): _label(value) for key, value in fields.items() if value is not None}
        found.append(TenantEntry(name, str(server) if server else None, labels, where))
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def _label(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _lines(text: str) -> Iterable[tuple[int, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def _csv(text: str) -> Iterable[tuple[int, Any]]:
    reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
    if "tenant" not in (reader.fieldnames or ()):
        raise ValueError("its first line names no column `tenant`")
    for row in reader:
        if None in row:
            raise ValueError(f"line {reader.line_num} has more fields than the first line")
        yield reader.line_num, {key: value for key, value in row.items() if value}


def _json(text: str) -> Iterable[tuple[int, Any]]:
    return _items(json.loads(text))


def _yaml(text: str) -> Iterable[tuple[int, Any]]:
    return _items(yaml.safe_load(text))


def _items(value: object) -> Iterable[tuple[int, Any]]:
    if not isinstance(value, list):
        raise ValueError("it holds no list")
    return enumerate(value, 1)
