"""Where things are defined: reads the project's source files, and runs none of them.

Enters: a Python file.
Leaves: the lines of its classes, of the names it assigns, and of the table names it writes.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Definitions:
    """What one file defines, each with its line.

    classes: by qualified name. assigned: names that the module itself assigns (imports do not
    count). tables: table names written as `Table("name", ...)` or `__tablename__ = "name"`.
    borrowers: classes that map a table made elsewhere (`__table__ = Other.__table__`).
    made: tables whose name is put together (`Table(f"log_{year}", ...)`), as a pattern.
    strings: every string literal.
    """

    classes: dict[str, int] = field(default_factory=dict)
    assigned: dict[str, int] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)
    borrowers: set[str] = field(default_factory=set)
    made: dict[str, int] = field(default_factory=dict)
    strings: dict[str, int] = field(default_factory=dict)


class Sources:
    """Reads each file once. A file that cannot be read or parsed defines nothing."""

    def __init__(self) -> None:
        self._read: dict[Path, Definitions] = {}

    def of(self, file: Path) -> Definitions:
        """What a file defines."""
        if file not in self._read:
            reader = _Reader()
            try:
                reader.visit(ast.parse(file.read_bytes(), str(file)))
            except (OSError, SyntaxError, ValueError):
                reader = _Reader()
            self._read[file] = reader.found
        return self._read[file]


class _Reader(ast.NodeVisitor):
    """Walks one file. The first definition of a name counts."""

    def __init__(self) -> None:
        self.found = Definitions()
        self._scope: list[str] = []
        self._in_function = 0

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        name = ".".join([*self._scope, node.name])
        self.found.classes.setdefault(name, node.lineno)
        self._scope.append(node.name)
        for statement in node.body:
            self._class_statement(statement, name, node.lineno)
        self.generic_visit(node)
        self._scope.pop()

    def _class_statement(self, statement: ast.stmt, name: str, line: int) -> None:
        match statement:
            case ast.Assign(targets=[ast.Name(id="__tablename__")], value=ast.Constant(str(table))):
                self.found.tables.setdefault(table, line)
            case ast.Assign(targets=[ast.Name(id="__table__")], value=value) if not isinstance(
                value, ast.Call
            ):
                self.found.borrowers.add(name)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._scope += [node.name, "<locals>"]
        self._in_function += 1
        self.generic_visit(node)
        self._in_function -= 1
        del self._scope[-2:]

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store) and not self._scope and not self._in_function:
            self.found.assigned.setdefault(node.id, node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        name: str = getattr(called, "attr", "") or getattr(called, "id", "")
        match node.args:
            case [ast.Constant(str(table)), *_] if name.endswith("Table"):
                self.found.tables.setdefault(table, node.lineno)
            case [made, _, *_] if name.endswith("Table"):
                self.found.made.setdefault(_pattern(made), node.lineno)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.found.strings.setdefault(node.value, node.lineno)


def _pattern(name: ast.expr) -> str:
    """A regular expression for the values of an expression: of an f-string, what is fixed in it."""
    if not isinstance(name, ast.JoinedStr):
        return ".+"
    return "".join(
        re.escape(part.value)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
        else ".+"
        for part in name.values
    )
