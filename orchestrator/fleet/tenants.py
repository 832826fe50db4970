"""Where the names of tenants come from.

Enters: a bind's TenantSource.  Leaves: TenantEntry values, in the order of the source.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import SequenceNode

from orchestrator.config import Bind, TenantEntry, TenantSource, Where
from orchestrator.errors import ConfigError, Problem

Rows = Iterable[tuple[int, Any]]
"""What a file holds: a name or a mapping for each tenant, with its line."""


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
        rows = list(reader(path.read_bytes().decode("utf-8-sig")))
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
    return _entries(path, rows)


class _BadLine(Exception):
    """A file that cannot be read any further."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what


def _entries(path: Path, rows: Rows) -> tuple[TenantEntry, ...]:
    found, problems = [], []
    for line, row in rows:
        where = Where(path, line)
        fields = {"tenant": row} if not isinstance(row, Mapping) else dict(row)
        name = fields.pop("tenant", None)
        server = fields.pop("server", None)
        fault = _fault(name, server, fields)
        if fault is not None:
            what, todo = fault
            problems.append(Problem(what, where=str(where), todo=todo))
            continue
        labels = {str(key): _label(value) for key, value in fields.items() if value is not None}
        found.append(TenantEntry(name, str(server) if server else None, labels, where))
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def _fault(name: object, server: object, labels: Mapping[Any, object]) -> tuple[str, str] | None:
    """What is wrong with an entry, and what to do about it."""
    if not isinstance(name, str) or not name:
        return (
            "this entry has no tenant name",
            "Give it a `tenant` that is a non-empty text (quote numbers).",
        )
    nested = [key for key, value in labels.items() if isinstance(value, (list, Mapping))]
    if nested:
        return (
            f"the label {nested[0]} of the tenant {name!r} holds more than one value",
            "Give it a single value.",
        )
    if not isinstance(server, (str, type(None))):
        return f"the server of the tenant {name!r} is no name", "Name a server of the bind."
    return None


def _label(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _lines(text: str) -> Iterator[tuple[int, Any]]:
    # Not splitlines(): a control character inside a name is a mistake to tell, not a new line.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip(" \t\r")


def _csv(text: str) -> Iterator[tuple[int, Any]]:
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


def _json(text: str) -> Iterator[tuple[int, Any]]:
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
    place = text.index("[") + 1
    for _ in whole:
        place = _next_item(text, place)
        line = text.count("\n", 0, place) + 1
        item, place = decoder.raw_decode(text, place)
        yield line, item


def _next_item(text: str, place: int) -> int:
    """Where the next item of a valid JSON list starts."""
    while text[place] in " \t\r\n,":
        place += 1
    return place


def _yaml(text: str) -> Iterator[tuple[int, Any]]:
    # Composed first, because only nodes know their lines.
    loader = yaml.SafeLoader("")
    try:
        loader = yaml.SafeLoader(text)
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


_READERS: Mapping[str, Callable[[str], Rows]] = {
    ".txt": _lines,
    ".csv": _csv,
    ".json": _json,
    ".yaml": _yaml,
    ".yml": _yaml,
}
