"""The arguments of one `context.configure()` call, as source that stands by itself.

Enters: a `Source` and the call in it.  Leaves: each argument's expression, with the statements of
the file that it needs, or why it cannot be had.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.revisions.layout.source import Source, Statement, Unresolved, needs_of

_Function = ast.FunctionDef | ast.AsyncFunctionDef
# Decorators that only change what they stand on.
_PURE = frozenset(
    ("asynccontextmanager", "cache", "cached_property", "contextmanager", "dataclass", "lru_cache")
)
_NOT_WRITTEN = object()


@dataclass(frozen=True, slots=True)
class Taken:
    """An expression, the statements it needs, and functions that were local to the caller."""

    text: str
    statements: frozenset[Statement] = frozenset()
    nested: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Values:
    """The arguments of one call."""

    source: Source
    call: ast.Call

    def keywords(self) -> Iterator[tuple[str, ast.expr, str]]:
        """Each keyword argument: its name, its expression, and why it cannot be read, or "".

        `**options` is opened where it is a dict written out in the same file.
        """
        for keyword in self.call.keywords:
            if keyword.arg is not None:
                yield keyword.arg, keyword.value, ""
                continue
            pairs = self._dictionary(keyword.value)
            if pairs is None:
                text = f"**{self.source.segment(keyword.value)}"
                yield text, keyword.value, "its contents are not written out in the file"
            else:
                yield from ((name, value, "") for name, value in pairs)

    def literal(self, node: ast.expr) -> Any:
        """The value of a literal, or of a name that is given one; else an object of no type."""
        try:
            return ast.literal_eval(node)
        except ValueError:
            given = self._definition(node) if isinstance(node, ast.Name) else None
        if not isinstance(given, ast.expr):
            return _NOT_WRITTEN
        try:
            return ast.literal_eval(given)
        except ValueError:
            return _NOT_WRITTEN

    def take(self, node: ast.expr) -> Taken:
        """An expression with all that it needs. Raises Unresolved."""
        try:
            ast.literal_eval(node)
            return Taken(self.source.segment(node))
        except ValueError:
            pass
        needs = needs_of(node)
        if needs & self._locals:
            return self._take_local(node, needs)
        text = self.source.segment(node)
        if "sqlalchemy.url" in text:
            raise Unresolved("it reads sqlalchemy.url; databases.yaml holds the URL now")
        return Taken(text, frozenset(self.source.closure(needs)))

    def _take_local(self, node: ast.expr, needs: frozenset[str]) -> Taken:
        caller = self._caller
        assert caller is not None
        given = self._definition(node) if isinstance(node, ast.Name) else None
        if isinstance(given, ast.expr):
            try:
                ast.literal_eval(given)
                return Taken(self.source.segment(given))
            except ValueError:
                pass
        names = ", ".join(sorted(needs & self._locals))
        if not isinstance(given, (ast.FunctionDef, ast.AsyncFunctionDef)):
            raise Unresolved(f"it uses {names}, which only {caller.name}() has")
        inner = needs_of(given) - {given.name}
        if inner & self._locals:
            names = ", ".join(sorted(inner & self._locals))
            raise Unresolved(f"{given.name}() uses {names}, which only {caller.name}() has")
        return Taken(
            given.name,
            frozenset(self.source.closure(inner)),
            (self._dedented(given),),
            inner,
        )

    def _dedented(self, function: _Function) -> str:
        first = min([function.lineno, *(one.lineno for one in function.decorator_list)])
        lines = self.source.text.splitlines()[first - 1 : function.end_lineno]
        return textwrap.dedent("\n".join(lines))

    @cached_property
    def _caller(self) -> _Function | None:
        """The innermost function that holds the call."""
        holders = [
            node
            for node in ast.walk(self.source.tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and any(inner is self.call for inner in ast.walk(node))
        ]
        return max(holders, key=lambda node: node.lineno, default=None)

    @cached_property
    def _locals(self) -> frozenset[str]:
        """The names that belong to the caller: its parameters, and what it assigns."""
        if self._caller is None:
            return frozenset()
        given = self._caller.args
        parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        return frozenset(
            {one.arg for one in parameters if one is not None}
            | {name for name, _ in _bindings(self._caller.body)}
        )

    def _definition(self, name: ast.Name) -> ast.expr | _Function | None:
        """What a name is given, when it is given one thing once, and not changed later."""
        body = self.source.tree.body
        if name.id in self._locals:
            assert self._caller is not None
            body = self._caller.body
        found = [value for bound, value in _bindings(body) if bound == name.id]
        return found[0] if len(found) == 1 and not _is_changed(body, name.id) else None

    def _dictionary(self, node: ast.expr) -> list[tuple[str, ast.expr]] | None:
        given = self._definition(node) if isinstance(node, ast.Name) else node
        match given:
            case ast.Dict(keys=keys, values=values):
                names = [
                    key.value
                    for key in keys
                    if isinstance(key, ast.Constant) and isinstance(key.value, str)
                ]
                complete = len(names) == len(values)
                return list(zip(names, values, strict=True)) if complete else None
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
                pairs = [(one.arg, one.value) for one in keywords if one.arg is not None]
                return pairs if len(pairs) == len(keywords) else None
        return None


def has_effect(node: ast.stmt) -> bool:
    """Whether a top-level statement does more than give names their values."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return any(_decorator(one) not in _PURE for one in node.decorator_list)
        case ast.Assign():
            return any(not _gives_names(one) for one in node.targets)
        case ast.AnnAssign():
            return not _gives_names(node.target)
        case ast.AugAssign() | ast.Raise() | ast.Assert() | ast.Delete():
            return True
        case ast.Expr(value=ast.Constant()):
            return False
        case ast.Expr():
            return True
    inner = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.stmt)]
    handlers = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.ExceptHandler)]
    inner += [one for handler in handlers for one in handler.body]
    return any(has_effect(one) for one in inner)


def _decorator(node: ast.expr) -> str:
    called = node.func if isinstance(node, ast.Call) else node
    return ast.unparse(called).rpartition(".")[2]


def _gives_names(target: ast.expr) -> bool:
    if isinstance(target, (ast.Tuple, ast.List)):
        return all(_gives_names(one) for one in target.elts)
    return isinstance(target, ast.Name)


def _bindings(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr | _Function | None]]:
    """Each name that statements give, blocks inside them included; None for a value not written."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node
                continue
            case ast.ClassDef(name=name):
                yield name, None
                continue
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                yield name, value
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from ((a.asname or a.name.partition(".")[0], None) for a in aliases)
            case _:
                yield from _block(node)


def _block(node: ast.stmt) -> Iterator[tuple[str, ast.expr | _Function | None]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield from _bindings([child])
        elif isinstance(child, ast.ExceptHandler):
            yield from _bindings(child.body)
        else:
            for one in ast.walk(child):
                if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
                    yield one.id, None


def _is_changed(body: list[ast.stmt], name: str) -> bool:
    """Whether something is done to a name after it is given: `x += ...`, `x[...] = ...`, x.f()."""
    for node in (one for statement in body for one in ast.walk(statement)):
        match node:
            case ast.AugAssign(target=ast.Name(id=found)) if found == name:
                return True
            case ast.Subscript(value=ast.Name(id=found), ctx=ast.Store()) if found == name:
                return True
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=found)))):
                if found == name:
                    return True
    return False
