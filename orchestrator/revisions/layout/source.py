"""A Python file taken apart: its top-level statements, what each binds, and what each needs.

Enters: the text of an env.py.  Leaves: `Source`, which gives for any names the statements they come
from, in the text of the file.  Nothing is run.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

# Names that every module has without defining them.
_GIVEN = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__", "__package__"}
# Calls of alembic.context that run migrations, or ask how they are run.
_RUNS = frozenset(("configure", "run_migrations", "begin_transaction", "is_offline_mode"))


class Unresolved(Exception):
    """Names that cannot be carried; the text says why."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One top-level statement. binds: the names it gives. needs: the module's names it uses."""

    node: ast.stmt
    binds: frozenset[str]
    needs: frozenset[str]

    @property
    def is_import(self) -> bool:
        """Whether it is an import of names (star imports count)."""
        return isinstance(self.node, (ast.Import, ast.ImportFrom))


class Source:
    """One file. Raises SyntaxError when it is no Python."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self.text = text
        self.tree = ast.parse(text)
        self.statements = tuple(_statement(node) for node in self.tree.body)

    @cached_property
    def contexts(self) -> frozenset[str]:
        """The names that mean alembic.context."""
        return frozenset(
            alias.asname or alias.name
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module == "alembic"
            for alias in node.names
            if alias.name == "context"
        )

    @cached_property
    def configs(self) -> frozenset[str]:
        """The names that mean context.config."""
        return frozenset(
            target.id
            for one in self.statements
            if isinstance(one.node, ast.Assign)
            and isinstance(one.node.value, ast.Attribute)
            and one.node.value.attr == "config"
            and self.is_context(one.node.value.value)
            for target in one.node.targets
            if isinstance(target, ast.Name)
        )

    def is_context(self, node: ast.expr) -> bool:
        """Whether an expression means alembic.context."""
        match node:
            case ast.Name(id=name):
                return name in self.contexts
            case ast.Attribute(value=ast.Name(id="alembic"), attr="context"):
                return True
        return False

    def context_calls(self, node: ast.AST, names: Iterable[str] = _RUNS) -> Iterator[ast.Call]:
        """The calls `context.<name>(...)` inside a node."""
        wanted = frozenset(names)
        for one in ast.walk(node):
            if (
                isinstance(one, ast.Call)
                and isinstance(one.func, ast.Attribute)
                and one.func.attr in wanted
                and self.is_context(one.func.value)
            ):
                yield one

    @cached_property
    def running(self) -> frozenset[str]:
        """The functions that run migrations, by themselves or through others."""
        functions = {
            one.node.name: one
            for one in self.statements
            if isinstance(one.node, (ast.FunctionDef, ast.AsyncFunctionDef))
        }
        found = {name for name, one in functions.items() if self._runs_itself(one)}
        while more := {n for n, one in functions.items() if one.needs & found} - found:
            found |= more
        return frozenset(found)

    def runs(self, statement: Statement) -> bool:
        """Whether a statement is part of running migrations."""
        return self._runs_itself(statement) or bool(
            statement.needs & self.running or statement.binds & self.running
        )

    def _runs_itself(self, statement: Statement) -> bool:
        return next(self.context_calls(statement.node), None) is not None

    def closure(self, names: Iterable[str]) -> set[Statement]:
        """The statements that give these names, and all that those need.

        Raises Unresolved when one cannot be had without running migrations, or is nowhere defined.
        """
        found: set[Statement] = set()
        waiting, seen = sorted(names), set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            givers = [one for one in self.statements if name in one.binds]
            if not givers and name in _GIVEN:
                continue
            givers = givers or self._stars()
            if not givers:
                raise Unresolved(f"it needs {name}, which is not defined at the top of the file")
            for one in givers:
                if self.runs(one):
                    raise Unresolved(f"it needs {name}, which runs migrations")
                if name == "current_app" and one.is_import:
                    raise Unresolved("it needs current_app, which only Flask's own command has")
                if one not in found:
                    found.add(one)
                    waiting += one.needs if not one.is_import else ()
        return found

    def _stars(self) -> list[Statement]:
        return [
            one
            for one in self.statements
            if isinstance(one.node, ast.ImportFrom) and one.node.names[0].name == "*"
        ]

    def text_of(self, statement: Statement, keep: frozenset[str] | None = None) -> str:
        """A statement as it is written, with the comments right above it.

        keep: of an import, only these names.
        """
        node = statement.node
        if keep is not None and isinstance(node, (ast.Import, ast.ImportFrom)):
            aliases = [alias for alias in node.names if bound_name(alias) in keep | {"*"}]
            if aliases and len(aliases) < len(node.names):
                return ast.unparse(_narrowed(node, aliases))
        others = [one.node for one in self.statements if one is not statement]
        first, last = _first_line(node), node.end_lineno or node.lineno
        if any(_first_line(one) <= last and (one.end_lineno or 0) >= first for one in others):
            return ast.unparse(node)
        floor = max((one.end_lineno or 0 for one in others if one.lineno < first), default=0)
        while first - 1 > floor and self._lines[first - 2].startswith("#"):
            first -= 1
        return "\n".join(self._lines[first - 1 : last])

    def segment(self, node: ast.expr) -> str:
        """An expression as it is written."""
        return ast.get_source_segment(self.text, node) or ast.unparse(node)


def bound_name(alias: ast.alias) -> str:
    """The name that an import gives: of `import a.b` it is a."""
    return alias.asname or alias.name.partition(".")[0]


def needs_of(node: ast.stmt | ast.expr) -> frozenset[str]:
    """The module's names that a node uses."""
    return _names(node)[1]


def _statement(node: ast.stmt) -> Statement:
    return Statement(node, *_names(node))


def _names(node: ast.stmt | ast.expr) -> tuple[frozenset[str], frozenset[str]]:
    """What Python's own compiler says of a piece of code: the names it binds, and those it uses."""
    top = symtable.symtable(ast.unparse(node), "env.py", "exec")
    binds = {one.get_name() for one in top.get_symbols() if one.is_assigned() or one.is_imported()}
    needs = {one.get_name() for one in top.get_symbols() if one.is_referenced()}
    waiting = list(top.get_children())
    while waiting:
        table = waiting.pop()
        needs |= {one.get_name() for one in table.get_symbols() if one.is_global()}
        waiting += table.get_children()
    return frozenset(binds), frozenset(needs)


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


def _narrowed(node: ast.Import | ast.ImportFrom, aliases: list[ast.alias]) -> ast.stmt:
    if isinstance(node, ast.Import):
        return ast.Import(names=aliases)
    return ast.ImportFrom(module=node.module, names=aliases, level=node.level)
