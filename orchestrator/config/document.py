"""databases.yaml as a tree of values that know where they stand.

Enters: `Table`, `Items` and `Scalar`, each with its line and its keys from the top, with variables
replaced; the variables that are unset; and what is wrong with the text itself (`parsing.py` reads
all of these from it).  Leaves: a `Document`, which finds a value by its keys, and says the line of
each in a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.config.mistake import NOT_SHOWN, secretive
from orchestrator.config.types import Where
from orchestrator.errors import Problem

Keys = tuple[str | int, ...]
"""Keys from the top of the file: ("binds", "shop", "tenants", "list", 2)."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value: as written (`text`) and as YAML reads it (`value`).

    The text is kept so that a tenant called `no` or `007` stays what was written. variables: the
    environment variables whose values stand in it.
    """

    keys: Keys
    line: int
    text: str = field(repr=False)
    value: str | int | float | bool | None = field(repr=False)
    variables: tuple[str, ...] = ()


class Table(dict[str, "Value"]):
    """A mapping. lines: the line of every key that was written, taken out of the dict or not."""

    def __init__(self, keys: Keys, line: int) -> None:
        super().__init__()
        self.keys_from_top = keys
        self.line = line
        self.lines: dict[str, int] = {}

    def given(self, key: str) -> bool:
        """Whether the file gives this key a value, even one that is unset or was refused."""
        value = self.get(key)
        if isinstance(value, Scalar) and value.value is None:
            return bool(value.variables)
        return key in self.lines


class Items(list["Value"]):
    """A list."""

    def __init__(self, keys: Keys, line: int) -> None:
        super().__init__()
        self.keys_from_top = keys
        self.line = line


Value = Scalar | Table | Items


@dataclass(frozen=True, slots=True)
class Unset:
    """A value that cannot be known, because these variables are not set."""

    keys: Keys
    line: int
    names: tuple[str, ...]


@dataclass(slots=True)
class Document:
    """A parsed file. Values that are unset, or were refused, are taken out of `top`."""

    file: Path
    top: Table
    unset: list[Unset] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def at(self, keys: Keys) -> Value | None:
        """The value at these keys; None when there is none."""
        value: Value | None = self.top
        for key in keys:
            if isinstance(value, Table) and isinstance(key, str):
                value = value.get(key)
            elif isinstance(value, Items) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return None
        return value

    def table(self, *keys: str | int) -> Table:
        """The mapping at these keys; an empty one when there is none."""
        value = self.at(keys)
        return value if isinstance(value, Table) else Table(keys, 1)

    def place(self, keys: Keys) -> tuple[Keys, int]:
        """As many of these keys as the file has, as they were written, and the line."""
        value: Value = self.top
        written, line = self.top.keys_from_top, self.top.line
        for key in keys:
            if isinstance(value, Table) and isinstance(key, str) and key in value.lines:
                written, line = (*value.keys_from_top, key), value.lines[key]
                if key not in value:
                    break
                value = value[key]
            elif isinstance(value, Items) and isinstance(key, int) and key < len(value):
                value = value[key]
                written, line = _keys(value), value.line
            else:
                break
        return written, line

    def where(self, *keys: str | int) -> Where:
        """The line of the value at these keys, or of the last one before them that exists."""
        return Where(self.file, self.place(keys)[1])

    def problem(self, keys: Keys, what: str, todo: str = "") -> Problem:
        """A problem of the value at these keys."""
        written, line = self.place(keys)
        return Problem(what, where=str(Where(self.file, line)), key=dotted(written), todo=todo)

    def existing(self, keys: Keys) -> Keys:
        """As many of these keys as lead to a value."""
        while keys and self.at(keys) is None:
            keys = keys[:-1]
        return keys

    def remove(self, keys: Keys) -> None:
        """Take the value at these keys out. It stays known as given (`Table.given`)."""
        holder = self.at(keys[:-1])
        if isinstance(holder, Table):
            holder.pop(str(keys[-1]), None)
        elif isinstance(holder, Items):
            del holder[int(keys[-1])]


def dotted(keys: Keys) -> str:
    """Keys as messages show them: `binds.shop.tenants.list[2]`."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f".{NOT_SHOWN if secretive(key) else key}"
    return text.removeprefix(".")


def _keys(value: Value) -> Keys:
    return value.keys if isinstance(value, Scalar) else value.keys_from_top
