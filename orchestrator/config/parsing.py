"""The text of databases.yaml, or of a file like it, read into a `Document`.

Enters: the text of the file and the environment.  Leaves: a `Document` with its values, the
variables that are unset, and what is wrong with the text itself (syntax, duplicate keys, unknown
tags).

YAML is composed into nodes and not loaded, because only nodes know their lines.  Tags are those of
YAML's core; nothing in the file can make Python objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from orchestrator.config.document import Document, Items, Keys, Scalar, Table, Unset, Value, dotted
from orchestrator.config.mistake import Mistake, shown
from orchestrator.config.substitution import expand
from orchestrator.config.types import Where
from orchestrator.errors import ConfigError, Problem

# The C parser is some ten times faster and may be missing from a PyYAML built from source.
_FAST_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LOOP = "an alias stands for a value that it is part of"
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset(_TAG + name for name in ("str", "timestamp", "binary", "value"))
_CONSTRUCTORS = {
    _TAG + "bool": yaml.SafeLoader.construct_yaml_bool,
    _TAG + "int": yaml.SafeLoader.construct_yaml_int,
    _TAG + "float": yaml.SafeLoader.construct_yaml_float,
}


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a file that holds nothing to go on with. empty: it holds nothing at all.
    keys: it holds something else than keys."""

    empty: str = "Declare at least one bind under `binds:`, or run `orchestrator init`."
    keys: str = "Write keys at the top: `binds:`, and `apps:` above it."


def parse(
    text: str, file: Path, environ: Mapping[str, str], advice: Advice | None = None
) -> Document:
    """Parse a file's text. advice: databases.yaml's when it is not given.

    Raises ConfigError when there is no mapping to go on with: a syntax error, an empty file,
    another kind of value. All other problems stand in the document.
    """
    advice = advice or Advice()
    node = _compose(text, file)
    nothing = node is None or (isinstance(node, ScalarNode) and node.tag == _TAG + "null")
    if node is None or nothing:
        raise ConfigError(
            Problem(
                "the file is empty",
                where=str(Where(file, 1)),
                todo=advice.empty,
            )
        )
    if not isinstance(node, MappingNode):
        kind = "a list" if isinstance(node, SequenceNode) else "a single value"
        raise ConfigError(
            Problem(
                f"the file holds {kind}, not a mapping",
                where=str(Where(file, node.start_mark.line + 1)),
                todo=advice.keys,
            )
        )
    return _Builder(file, environ).document(node)


def _compose(text: str, file: Path) -> Node | None:
    try:
        return _first_node(_FAST_LOADER, text)
    except yaml.YAMLError:
        # PyYAML's own parser has the clearer messages, the same on every machine.
        try:
            return _first_node(yaml.SafeLoader, text)
        except yaml.YAMLError as error:
            raise ConfigError(_syntax_problem(error, text, file)) from None


def _first_node(loader_class: type, text: str) -> Node | None:
    loader = loader_class(text)
    try:
        node: Node | None = loader.get_single_node()
        return node
    finally:
        loader.dispose()


def _syntax_problem(error: yaml.YAMLError, text: str, file: Path) -> Problem:
    """Say where, and PyYAML's reason. The line itself is not shown: it may hold a password."""
    todo = "Correct the line, or the one before it."
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        what = f"not valid YAML: the character U+{ord(text[error.position]):04X} is not allowed"
        return Problem(what, where=str(Where(file, line)), todo=todo)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or "cannot be read"
    if reason.startswith("but "):  # it goes on with the sentence of the context
        reason = f"{getattr(error, 'context', '')}, {reason}"
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    written = lines[line - 1] if line <= len(lines) else ""
    if "${" in written and ("{" in written.replace("${", "") or "[" in written):
        todo = 'Inside { } and [ ], write variables in quotes: "${NAME}".'
    return Problem(
        f"not valid YAML: {reason} (column {column})", where=str(Where(file, line)), todo=todo
    )


class _Builder:
    """Turns nodes into values; collects what is wrong on the way."""

    def __init__(self, file: Path, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._resolver = yaml.SafeLoader("")
        self._open: set[int] = set()
        self._document = Document(file, Table((), 1))

    def document(self, node: MappingNode) -> Document:
        self._fill(self._document.top, node)
        return self._document

    def _complain(self, keys: Keys, line: int, mistake: Mistake) -> None:
        self._document.problems.append(
            Problem(
                mistake.what,
                where=str(Where(self._document.file, line)),
                key=dotted(keys),
                todo=mistake.todo,
            )
        )

    def _value(self, node: Node, keys: Keys) -> Value | None:
        """The value of a node; None when it is unset or was refused."""
        line = node.start_mark.line + 1
        if id(node) in self._open:
            self._complain(keys, line, Mistake(_LOOP, "Write the value out."))
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, ScalarNode):
                return self._scalar(node, keys)
            if isinstance(node, SequenceNode):
                items = Items(keys, line)
                values = (self._value(one, (*keys, i)) for i, one in enumerate(node.value))
                items.extend(value for value in values if value is not None)
                return items
            table = Table(keys, line)
            self._fill(table, node)
            return table
        except Mistake as mistake:
            self._complain(keys, line, mistake)
            return None
        finally:
            self._open.discard(id(node))

    def _fill(self, table: Table, node: Node) -> None:
        top = not table.keys_from_top
        for key, key_node, value_node in self._pairs(table, node):
            # `x-...` at the top is a place for anchors, as in Compose files, and is never used.
            if top and key.startswith("x-"):
                continue
            table.lines[key] = key_node.start_mark.line + 1
            value = self._value(value_node, (*table.keys_from_top, key))
            if value is not None:
                table[key] = value

    def _pairs(self, table: Table, node: Node) -> Iterator[tuple[str, Node, Node]]:
        """Keys and values of a mapping: its own, then those of `<<` that it does not have."""
        own: dict[str, Node] = {}
        merged: list[tuple[int, Node]] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _TAG + "merge":
                many = isinstance(value_node, SequenceNode)
                merged += ((line, one) for one in (value_node.value if many else [value_node]))
            elif not isinstance(key_node, ScalarNode):
                self._complain(
                    table.keys_from_top,
                    line,
                    Mistake("a key must be a single word", "Write name: value."),
                )
            elif key_node.value in own:
                first = own[key_node.value].start_mark.line + 1
                self._complain(
                    (*table.keys_from_top, key_node.value),
                    line,
                    Mistake(f"the key stands here twice, first in line {first}", "Remove one."),
                )
            else:
                own[key_node.value] = key_node
                yield key_node.value, key_node, value_node
        seen = set(own)
        for line, other in merged:
            yield from self._merged(table, other, line, seen)

    def _merged(
        self, table: Table, node: Node, line: int, seen: set[str]
    ) -> Iterator[tuple[str, Node, Node]]:
        """Keys of one `<<` mapping. The first mapping that has a key wins (yaml.org/type/merge)."""
        if not isinstance(node, MappingNode) or id(node) in self._open:
            self._complain(
                table.keys_from_top,
                line,
                Mistake("'<<' takes a mapping, or a list of mappings", "Write <<: *anchor."),
            )
            return
        self._open.add(id(node))
        for key, key_node, value_node in self._pairs(table, node):
            if key not in seen:
                seen.add(key)
                yield key, key_node, value_node
        self._open.discard(id(node))

    def _scalar(self, node: ScalarNode, keys: Keys) -> Scalar | None:
        """One value. Raises Mistake."""
        line = node.start_mark.line + 1
        expanded = expand(node.value, self._environ)
        if expanded.unset:
            self._document.unset.append(Unset(keys, line, expanded.unset))
            return None
        tag = node.tag
        if expanded.text != node.value and not node.style and tag == _TAG + "str":
            # Unquoted: what the variable holds is read by YAML's rules, as if it stood here.
            tag = self._resolver.resolve(ScalarNode, expanded.text, (True, False))  # type: ignore[no-untyped-call]
        return Scalar(keys, line, expanded.text, self._read(tag, expanded.text), expanded.used)

    def _read(self, tag: str, text: str) -> str | int | float | bool | None:
        if tag == _TAG + "null":
            return None
        if tag in _TEXT_TAGS or tag == _TAG + "merge":
            return text
        construct = _CONSTRUCTORS.get(tag)
        if construct is None:
            raise Mistake(
                f"the YAML tag {shown(tag.replace(_TAG, '!!'))} is not known here",
                "Remove the tag.",
            )
        try:
            value: str | int | float | bool = construct(self._resolver, ScalarNode(tag, text))
        except (ValueError, KeyError, IndexError):
            raise Mistake(
                f"this is no {tag.removeprefix(_TAG)}", "Correct the value, or quote it."
            ) from None
        return value
