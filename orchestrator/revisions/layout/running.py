"""What an env.py does to its connections while it runs migrations, besides running them.

Enters: a `Source`.  Leaves: the statements that orchestrator does not run in its place, each with
the text that tells it.  What makes connections and runs migrations as Alembic's own templates do
(alembic/templates/*/env.py) is left out: orchestrator does that itself.

A statement that only gives names their values is left out too, unless it works on a connection or
an engine, or calls a function of the project for something else than the engine, its URL, or the
arguments of configure().
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from orchestrator.revisions.layout.source import Source, bound_name
from orchestrator.revisions.layout.values import has_effect

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_ENGINES = frozenset(
    (
        "AsyncEngine",
        "async_engine_from_config",
        "create_async_engine",
        "create_engine",
        "engine_from_config",
    )
)
_CONNECTS = frozenset(("begin", "connect", "begin_nested", "begin_twophase"))
# Calls that make connections and transactions, run a coroutine, or read alembic.ini.
_MACHINERY = (
    _ENGINES
    | _CONNECTS
    | frozenset(
        (
            "close",
            "commit",
            "dispose",
            "get_main_option",
            "get_section",
            "get_section_option",
            "nullcontext",
            "rollback",
        )
    )
)
_WRAPPERS = frozenset(("run", "run_sync", "run_until_complete", "create_task", "gather"))
_ALEMBICS = frozenset(("configure", "run_migrations", "begin_transaction", "is_offline_mode"))
# Calls that reach the database, or every connection, whatever they are called on.
_REACH = frozenset(
    ("exec_driver_sql", "execute", "executescript", "listen", "listens_for", "scalar", "scalars")
)
# Keywords of create_engine() that say what a session is like.
_SESSION = ("connect_args", "creator", "execution_options", "isolation_level")
_NOT_THE_PROJECTS = frozenset(("alembic", "flask", "sqlalchemy"))
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Beside:
    """One such statement, and its first line."""

    node: ast.stmt
    text: str


def beside_migrations(source: Source) -> tuple[Beside, ...]:
    """The statements that are run together with the migrations, and are not part of running them.

    Those of functions of the file that make the engine or its URL are among them.
    """
    return _Reader(source).found()


@dataclass(frozen=True)
class _Reader:
    source: Source

    def found(self) -> tuple[Beside, ...]:
        """All, each once, in the order of the file."""
        starts = [one.node for one in self.source.statements if self.source.runs(one)]
        listed = [node for start in starts for node in self._in([start])]
        seen = set(self._running)
        # What the engine and its URL are made with, in functions of this file.
        waiting = [name for start in starts for name in self._helpers_in(start, listed)]
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            helper = self._functions[name]
            inside = [
                one for one in self._in(helper.body) if not isinstance(one, (ast.Raise, ast.Assert))
            ]
            listed += inside
            waiting += self._helpers_in(helper, inside)
        listed.sort(key=lambda one: one.lineno)
        return tuple(Beside(node, self._text(node)) for node in listed)

    @cached_property
    def _functions(self) -> dict[str, _Function]:
        return {
            one.node.name: one.node
            for one in self.source.statements
            if isinstance(one.node, (ast.FunctionDef, ast.AsyncFunctionDef))
        }

    @cached_property
    def _running(self) -> frozenset[str]:
        """Functions that run migrations, those inside functions and classes included."""
        inner = {
            node.name
            for node in ast.walk(self.source.tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and next(self.source.context_calls(node), None) is not None
        }
        return self.source.running | inner

    @cached_property
    def _live(self) -> frozenset[str]:
        """Names that mean a connection or an engine."""
        found = {"connection"}
        for node in ast.walk(self.source.tree):
            match node:
                case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name)):
                    given = name if _calls(value, _CONNECTS) else ""
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    given = name if _calls(value, _CONNECTS | _ENGINES) else ""
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute)):
                    given = name if attribute in _CONNECTS else ""
                case ast.FunctionDef() | ast.AsyncFunctionDef() if node.name in self._running:
                    found |= {one.arg for one in (*node.args.posonlyargs, *node.args.args)}
                    continue
                case _:
                    continue
            found |= {given} - {""}
        return frozenset(found - {"self", "cls"})

    @cached_property
    def _configured(self) -> frozenset[str]:
        """Names in the arguments of configure(), which are told by themselves."""
        return _names(self.source.context_calls(self.source.tree, ["configure"]))

    @cached_property
    def _plumbing(self) -> frozenset[str]:
        """Names that engines, connections and configure() are made with."""
        calls = (node for node in ast.walk(self.source.tree) if isinstance(node, ast.Call))
        return self._configured | _names(
            call for call in calls if _called(call) in _ENGINES | _CONNECTS
        )

    @cached_property
    def _projects(self) -> frozenset[str]:
        """Names that the file defines as functions, or imports from elsewhere than a library."""
        found = set(self._functions)
        for node in ast.walk(self.source.tree):
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            for alias in node.names:
                module = (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
                top = module.partition(".")[0]
                if top not in sys.stdlib_module_names and top not in _NOT_THE_PROJECTS:
                    found.add(bound_name(alias))
        return frozenset(found)

    def _in(self, body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
        """The statements to tell, blocks and running functions opened."""
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if node.name in self._running:
                    yield from self._in(node.body)
                elif has_effect(node):
                    yield node
                continue
            if not self._is_plain(node):
                yield node
                if isinstance(node, (ast.Expr, ast.Assign, ast.AnnAssign)):
                    continue
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.stmt):
                    yield from self._in([child])
                elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
                    yield from self._in(child.body)

    def _is_plain(self, node: ast.stmt) -> bool:
        """Whether a statement (of a block: its head) is left out."""
        match node:
            case ast.Expr(value=value):
                return self._is_standard(value)
            case ast.Assign(targets=targets, value=value):
                return self._is_plain_assignment(node, targets, value)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                return self._is_plain_assignment(node, [target], value)
            case ast.AugAssign(target=target, value=value):
                return self._is_plain_assignment(node, [target], value)
            case ast.With(items=items) | ast.AsyncWith(items=items):
                return all(self._is_standard(one.context_expr) for one in items)
            case ast.If(test=value) | ast.While(test=value) | ast.Return(value=value):
                return value is None or self._gives_value(value)
            case ast.For(iter=value) | ast.AsyncFor(iter=value) | ast.Match(subject=value):
                return self._gives_value(value)
            case ast.Raise(exc=raised):
                return raised is None
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                return all(bound_name(one) in self._used for one in aliases)
        return not isinstance(node, (ast.Assert, ast.Delete))

    @cached_property
    def _used(self) -> frozenset[str]:
        return _names([self.source.tree])

    def _is_plain_assignment(
        self, node: ast.stmt, targets: list[ast.expr], value: ast.expr
    ) -> bool:
        if "sqlalchemy.url" in ast.unparse(node):
            return self._gives_value(value)
        given: set[str] = set()
        for target in targets:
            stored = target.value if isinstance(target, ast.Subscript) else target
            if stored is not target and not _names([stored]) <= self._configured:
                return False
            if isinstance(target, ast.Attribute):
                return False
            given |= _names([target])
        if not self._gives_value(value):
            return False
        return bool(given & self._plumbing) or not self._calls_project(value)

    def _calls_project(self, value: ast.expr) -> bool:
        return any(
            isinstance(one, ast.Call)
            and _root(one.func) in self._projects
            and _called(one) not in self._running
            for one in ast.walk(value)
        )

    def _gives_value(self, value: ast.expr) -> bool:
        """Whether an expression leaves connections, engines and sessions as they are."""
        calls = (one for one in ast.walk(value) if isinstance(one, ast.Call))
        return not any(self._reaches(call) for call in calls)

    def _reaches(self, call: ast.Call) -> bool:
        name = _called(call)
        if isinstance(call.func, ast.Name) and name in self._running:
            return False
        if name in _ENGINES:
            return bool(_session_keywords(call))
        if name in _REACH:
            return True
        if name in _WRAPPERS and not self._is_wrapper(call):
            return True
        if name in _MACHINERY | _WRAPPERS | self._running or self._is_alembics(call):
            return False
        given = [*call.args, *(one.value for one in call.keywords)]
        if isinstance(call.func, ast.Attribute):
            given.append(call.func.value)
        elif name in ("getattr", "hasattr", "isinstance", "str"):
            return False
        return any(isinstance(one, ast.Name) and one.id in self._live for one in given)

    def _is_standard(self, value: ast.expr) -> bool:
        """Whether an expression that stands by itself is part of running migrations."""
        if isinstance(value, ast.Await):
            return self._is_standard(value.value)
        if not isinstance(value, ast.Call):
            return self._gives_value(value)
        name = _called(value)
        known = (
            name in _MACHINERY | self._running
            or self._is_alembics(value)
            or self._is_wrapper(value)
            or (name == "set_main_option" and "sqlalchemy.url" in ast.unparse(value))
        )
        return known and self._gives_value(value)

    def _is_alembics(self, call: ast.Call) -> bool:
        return any(one is call for one in self.source.context_calls(call, _ALEMBICS))

    def _is_wrapper(self, call: ast.Call) -> bool:
        """`asyncio.run(migrate())`, `connection.run_sync(migrate)`: of functions that run them."""
        return _called(call) in _WRAPPERS and any(
            isinstance(one, ast.Name) and one.id in self._running
            for argument in call.args
            for one in ast.walk(argument)
        )

    def _helpers_in(self, node: ast.AST, listed: list[ast.stmt]) -> Iterator[str]:
        """Functions of the file that are called outside the listed statements."""
        told = {id(inner) for one in listed if isinstance(one, ast.Expr) for inner in ast.walk(one)}
        for one in ast.walk(node):
            if isinstance(one, ast.Call) and id(one) not in told:
                name = _called(one) if isinstance(one.func, ast.Name) else ""
                if name in self._functions:
                    yield name

    def _text(self, node: ast.stmt) -> str:
        """The first line of a statement; no URL's password, and no argument of an engine."""
        head = [one for one in ast.iter_child_nodes(node) if not isinstance(one, ast.stmt)]
        for call in (inner for one in head for inner in ast.walk(one)):
            if not isinstance(call, ast.Call) or _called(call) not in _ENGINES:
                continue
            if said := ", ".join(f"{one}=..." for one in _session_keywords(call)):
                return f"{_called(call)}({said})"
        written = ast.get_source_segment(self.source.text, node) or ""
        if "\n" in written or not written:
            written = ast.unparse(node).splitlines()[0]
        return re.sub(r"://[^@\s'\"]*@", "://...@", written)[:_WIDTH]


def _session_keywords(call: ast.Call) -> list[str]:
    return [one.arg for one in call.keywords if one.arg is not None and one.arg in _SESSION]


def _called(call: ast.Call) -> str:
    """The last name of what is called: of a.b.c() it is c."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _root(node: ast.expr) -> str:
    """The first name: of a.b.c it is a."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _calls(value: ast.expr, names: frozenset[str]) -> bool:
    return any(isinstance(one, ast.Call) and _called(one) in names for one in ast.walk(value))


def _names(nodes: Iterable[ast.AST]) -> frozenset[str]:
    return frozenset(
        one.id for node in nodes for one in ast.walk(node) if isinstance(one, ast.Name)
    )
