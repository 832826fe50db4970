"""Tenants from a file: .txt, .csv, .json or .yaml.

Enters: a `file` source.  Leaves: a Row for each tenant, with its line.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml
from yaml.nodes import SequenceNode

from orchestrator.config import TenantSource, Where
from orchestrator.errors import ConfigError, Problem
from orchestrator.fleet.entries import Row, Rows

# libyaml reads ten thousand tenants in a tenth of the time; its wheel is not there for everybody.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


Lines = Iterator[tuple[int, Any]]
"""What a file holds: a name or a mapping for each tenant, with its line."""


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
        text = path.read_bytes().decode("utf-8-sig")
        return Rows(tuple(Row(Where(path, line), given) for line, given in reader(text)))
    except OSError as error:
        raise ConfigError(
            Problem(
                f"{path} cannot be read: {error.strerror}",
                where=str(source.where),
                key=key,
                todo="Correct the path (it is relative to databases.yaml), or write the file.",
            )
        ) from error
    except (_BadLine, UnicodeDecodeError) as error:
        line, what = (
            (error.line, error.what)
            if isinstance(error, _BadLine)
            else (error.object.count(b"\n", 0, error.start) + 1, "this is no UTF-8 text")
        )
        problem = Problem(
            f"it cannot be read as {path.suffix[1:]}: {what}", where=str(Where(path, line))
        )
        raise ConfigError(problem) from error


class _BadLine(Exception):
    """A file that cannot be read any further."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what


def names_in(text: str) -> Iterator[tuple[int, str]]:
    """One name a line, with the line's number; empty lines are left out.

    Only line feeds end a line: splitlines() would make two tenants of a name with a control
    character in it, which is to be refused.
    """
    for number, line in enumerate(text.split("\n"), 1):
        name = line.strip(" \t\r")
        if name:
            yield number, name


def _txt(text: str) -> Lines:
    return ((line, name) for line, name in names_in(text) if not name.startswith("#"))


def _csv(text: str) -> Lines:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if "tenant" not in header:
            raise _BadLine(1, "its first line names no column `tenant`")
        twice = [name for name in header if header.count(name) > 1]
        if twice:
            raise _BadLine(1, f"its first line names the column `{twice[0]}` twice")
        before = reader.line_num
        for row in reader:
            # A quoted field may hold line breaks: the entry stands where its first line does.
            line, before = before + 1, reader.line_num
            if len(row) > len(header):
                raise _BadLine(line, "it has more fields than the first line")
            if row:
                yield line, {key: value for key, value in zip(header, row, strict=False) if value}
    except csv.Error as error:
        raise _BadLine(reader.line_num, str(error)) from error


def _json(text: str) -> Lines:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        raise _BadLine(error.lineno, error.msg) from error
    except RecursionError as error:
        raise _BadLine(1, "it is nested too deep") from error
    if not isinstance(whole, list):
        raise _BadLine(1, "it holds no list")
    # Item by item once more, because json.loads() does not tell where each one stands.
    decoder = json.JSONDecoder()
    counted, line = 0, 1
    place = text.index("[") + 1
    for _ in whole:
        place = _next_item(text, place)
        line += text.count("\n", counted, place)
        counted = place
        item, place = decoder.raw_decode(text, place)
        yield line, item


def _next_item(text: str, place: int) -> int:
    """Where the next item of a valid JSON list starts."""
    while text[place] in " \t\r\n,":
        place += 1
    return place


def _yaml(text: str) -> Lines:
    # Composed first, because only nodes know their lines.
    loader = _LOADER("")
    try:
        loader = _LOADER(text)
        node = loader.get_single_node()
        if not isinstance(node, SequenceNode):
            raise _BadLine(1, "it holds no list")
        for item in node.value:
            yield item.start_mark.line + 1, loader.construct_object(item, deep=True)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _BadLine(line, f"the character U+{ord(text[error.position]):04X}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _BadLine(mark.line + 1 if mark else 1, str(error.problem)) from error
    except (ValueError, yaml.YAMLError) as error:
        raise _BadLine(1, " ".join(str(error).split())) from error
    finally:
        loader.dispose()


_READERS: Mapping[str, Callable[[str], Lines]] = {
    ".txt": _txt,
    ".csv": _csv,
    ".json": _json,
    ".yaml": _yaml,
    ".yml": _yaml,
}
