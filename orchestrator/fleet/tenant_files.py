"""Tenants from a file: .txt, .csv, .json or .yaml.

Enters: a `file` source.  Leaves: a Row for each tenant, with its line (its entry in JSON).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from orchestrator.config import TenantSource, Where
from orchestrator.errors import ConfigError, Problem
from orchestrator.fleet.entries import Row, Rows

# libyaml reads ten thousand tenants in a tenth of the time; its wheel is not there for everybody.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def file_rows(source: TenantSource, key: str) -> Rows:
    """The tenants of a file. Raises ConfigError when it cannot be read; key: the source's key."""
    path = source.path
    assert path is not None  # a `file` source has one
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(
            Problem(
                f"{path.name} is of no known kind",
                where=str(source.where),
                key=key,
                todo=f"Use a file that ends in {', '.join(_READERS)}.",
            )
        )
    try:
        # newline="": a line break inside a quoted field stays as it is.
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
        return Rows(tuple(reader(path, text)))
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


def names_in(text: str) -> Iterator[tuple[int, str]]:
    """One name a line, with the line's number; empty lines are left out.

    Only line feeds end a line: splitlines() would make two tenants of a name with a control
    character in it, which is to be refused.
    """
    for number, line in enumerate(text.split("\n"), 1):
        name = line.strip(" \t\r")
        if name:
            yield number, name


def _txt(path: Path, text: str) -> Iterator[Row]:
    for number, name in names_in(text):
        if not name.startswith("#"):
            yield Row(Where(path, number), name)


def _csv(path: Path, text: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    columns = reader.fieldnames or ()
    if "tenant" not in columns:
        raise ValueError("its first line names no column `tenant`")
    if len(set(columns)) < len(columns):
        raise ValueError("its first line names a column twice")
    for row in reader:
        if None in row:
            raise ValueError(f"line {reader.line_num} has more fields than the first line")
        # An empty field is no label; an empty tenant is a mistake that is told with its line.
        kept = {name: value for name, value in row.items() if value or name == "tenant"}
        yield Row(Where(path, reader.line_num), kept)


def _json(path: Path, text: str) -> Iterator[Row]:
    value = json.loads(text)
    if not isinstance(value, list):
        raise ValueError("it holds no list")
    for number, given in enumerate(value, 1):
        yield Row(Where(path, 0, f"entry {number}"), given)


def _yaml(path: Path, text: str) -> Iterator[Row]:
    loader = _LOADER(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.SequenceNode):
            raise ValueError("it holds no list")
        for one in node.value:
            given = loader.construct_document(one)
            yield Row(Where(path, one.start_mark.line + 1), given)
    finally:
        loader.dispose()


_READERS = {".txt": _txt, ".csv": _csv, ".json": _json, ".yaml": _yaml, ".yml": _yaml}
