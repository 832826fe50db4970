"""What an env.py asks for, and how much of it the new one can have.

Enters: an env.py of stock Alembic, as text.  Leaves: `Carried`.  It is taken apart as text and
never run: an env.py connects and migrates as soon as it is loaded.

The rules:
- Keyword arguments of `context.configure()` become arguments of `run_migrations()`, together with
  the definitions they need; those that databases.yaml decides become its keys.
- What the file does besides (registering entities, load_dotenv(), sys.path) comes along in its
  order, and so do imports that are there for their effect.
- What makes connections and runs migrations is orchestrator's now. Everything else is told: also
  what was done to the connections around the migrations (SET ROLE, listeners).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from orchestrator.config import Where
from orchestrator.errors import Problem, UsageError
from orchestrator.revisions.layout.models import ModelFinder
from orchestrator.revisions.layout.running import beside_migrations
from orchestrator.revisions.layout.source import Source, Statement, Unresolved, bound_name, needs_of
from orchestrator.revisions.layout.types import Carried, Left
from orchestrator.revisions.layout.values import Values, has_effect

# Arguments of configure() that make a connection or say how migrations are run.
_MACHINERY = frozenset(
    (
        "connection",
        "url",
        "dialect_name",
        "dialect_opts",
        "literal_binds",
        "target_metadata",
        "as_sql",
        "starting_rev",
        "output_buffer",
        "output_encoding",
        "fn",
        "script",
    )
)
# Imported for their effect even where a name of them is used as well.
_PLUGINS = frozenset(
    ("alembic_postgresql_enum", "alembic_utils", "geoalchemy2", "pgvector", "sqlmodel")
)
_OWN = frozenset(("alembic", "sqlalchemy", "orchestrator", "logging"))
_URL_NAME = re.compile(r"(^|_)(URL|URI|DSN)(_|$)", re.IGNORECASE)
_ENVIRONMENT = frozenset(("os.environ.get", "os.getenv", "environ.get", "getenv"))


def carry(text: str, path: Path, shown: Path, finder: ModelFinder) -> Carried:
    """Read an env.py.

    path: where it stands. shown: where it will be kept, for remarks that are read then. Raises
    UsageError for one that migrates several databases with the same revision files.
    """
    try:
        source = Source(text)
    except SyntaxError as error:
        where = Where(shown, error.lineno or 1)
        return Carried(left=(Left("all of it", where, f"it is no Python: {error.msg}"),))
    return _Carrier(source, path, shown, finder).carried()


@dataclass
class _Carrier:
    """Reads one env.py."""

    source: Source
    path: Path
    shown: Path
    finder: ModelFinder
    statements: set[Statement] = field(default_factory=set)
    # Names of imports that are kept for their effect.
    effects: set[str] = field(default_factory=set)
    nested: list[str] = field(default_factory=list)
    nested_needs: set[str] = field(default_factory=set)
    options: dict[str, tuple[ast.expr, str]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)

    @cached_property
    def calls(self) -> list[ast.Call]:
        """The calls of configure(), those with a connection first: their options count."""
        found = list(self.source.context_calls(self.source.tree, ["configure"]))
        return sorted(found, key=lambda call: all(one.arg != "connection" for one in call.keywords))

    def carried(self) -> Carried:
        """Everything, in one value."""
        for call in self.calls:
            values = Values(self.source, call)
            for name, value, error in values.keywords():
                if error:
                    self._left(name, call, error)
                else:
                    self._keyword(name, value, values)
        for one in self.source.statements:
            self._statement(one)
        for beside in beside_migrations(self.source):
            self._left(beside.text, beside.node, _instead(beside.text))
        future = [one for one in self.statements if _is_future(one)]
        self.statements.difference_update(future)
        return Carried(
            future="\n".join(self.source.text_of(one) for one in future),
            code=self._code(),
            options={name: text for name, (_, text) in self.options.items()},
            settings=self.settings,
            left=tuple(sorted(self.left, key=lambda one: one.where.line)),
            url_variable=_url_variable(self.source.tree),
        )

    def _left(self, name: str, node: ast.AST, why: str) -> None:
        line: int = getattr(node, "lineno", 1)
        self.left.append(Left(name, Where(self.shown, line), why))

    def _keyword(self, name: str, value: ast.expr, values: Values) -> None:
        if name in ("upgrade_token", "downgrade_token"):
            raise UsageError(
                Problem(
                    "this tree uses Alembic's multidb template: each revision file holds the steps "
                    "of several databases, which cannot be adopted as it stands",
                    where=str(Where(self.path, value.lineno)),
                    todo="Split it into a tree for each database first: a bind has a history of "
                    "its own.",
                )
            )
        if name in _MACHINERY or self._is_setting(name, value, values):
            return
        before = self.options.get(name)
        if before is not None:
            if ast.dump(before[0]) != ast.dump(value):
                self._left(name, value, f"line {before[0].lineno} gives another value: it is taken")
            return
        try:
            taken = values.take(value)
        except Unresolved as error:
            self._left(name, value, str(error))
            return
        if taken.text != "None":
            self.options[name] = (value, taken.text)
            self.statements |= taken.statements
            self.nested += [text for text in taken.nested if text not in self.nested]
            self.nested_needs |= taken.needs

    def _is_setting(self, name: str, value: ast.expr, values: Values) -> bool:
        """Options that are keys of databases.yaml."""
        if name not in ("version_table", "version_table_schema", "transaction_per_migration"):
            return False
        found = values.literal(value)
        if name == "transaction_per_migration":
            if found is False:
                self.settings["transaction"] = "path"
            elif found is not True:
                self._left(name, value, "its value is not written there; set `transaction:`")
        elif isinstance(found, str) and name == "version_table_schema":
            self._default_schema(found, value)
        elif isinstance(found, str):
            self.settings[name] = found
        elif not (isinstance(value, ast.Constant) and value.value is None):
            self._left(
                name,
                value,
                "its value is not written there: before any upgrade, "
                + (
                    "set `version_table:` of the bind"
                    if name == "version_table"
                    else "see that `orchestrator status` finds the version table"
                ),
            )
        return True

    def _default_schema(self, schema: str, value: ast.expr) -> None:
        """Without its version table the tree would be run again from its base: so refuse."""
        if schema != "public":
            raise UsageError(
                Problem(
                    f"its version table stands in the schema {schema} (version_table_schema), and "
                    "orchestrator keeps it in the default schema",
                    where=str(Where(self.path, value.lineno)),
                    todo="Move the table there on every database (PostgreSQL: ALTER TABLE "
                    f"{schema}.alembic_version SET SCHEMA public), take version_table_schema out "
                    "of env.py, and run `orchestrator init` again.",
                )
            )

    def _statement(self, one: Statement) -> None:
        """Take a top-level statement along when it does something besides running migrations."""
        if self.source.runs(one) or "fileConfig" in ast.dump(one.node):
            return
        if one.is_import:
            self._import(one)
        elif self._changes_config(one.node):
            if "sqlalchemy.url" not in ast.unparse(one.node):
                self._left(_title(one.node), one.node, "alembic.ini is not changed from env.py")
        elif has_effect(one.node) or self._imports_for_effect(one.node):
            try:
                self.statements |= {one} | self._effect(one)
            except Unresolved as error:
                self._left(_title(one.node), one.node, str(error))

    def _effect(self, one: Statement) -> set[Statement]:
        if not self.calls:
            raise Unresolved("what it does cannot be told: configure() is called elsewhere")
        if _may_stop(one.node):
            raise Unresolved("it would stop commands that need no database")
        return self.source.closure(one.needs)

    def _changes_config(self, node: ast.stmt) -> bool:
        """`config.set_main_option(...)` and its kin, also inside an `if`; `config.x = ...`."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return False
        return any(map(self._is_change_of_config, ast.walk(node)))

    def _is_change_of_config(self, node: ast.AST) -> bool:
        match node:
            case ast.Call(func=ast.Attribute(attr="set_main_option" | "set_section_option")):
                return True
            case ast.Attribute(value=ast.Name(id=name), ctx=ast.Store()):
                return name in self.source.configs
        return False

    def _import(self, one: Statement) -> None:
        if _is_future(one):
            self.statements.add(one)
            return
        for module, alias in _imported(one.node):
            if self._is_for_its_effect(module, alias):
                self.statements.add(one)
                self.effects.add(bound_name(alias))

    def _imports_for_effect(self, node: ast.stmt) -> bool:
        """Such an import inside `try: ... except ImportError:`."""
        return isinstance(node, ast.Try) and any(
            self._is_for_its_effect(module, alias)
            for inner in ast.walk(node)
            if isinstance(inner, ast.stmt)
            for module, alias in _imported(inner)
        )

    def _is_for_its_effect(self, module: str, alias: ast.alias) -> bool:
        top = module.partition(".")[0]
        used = any(bound_name(alias) in one.needs for one in self.source.statements)
        if self.finder.owns(module):
            # Models are found by discovery, which tells a fault in them with its own words.
            inner = f"{module}.{alias.name}"
            return not (used or self.finder.has_tables(module) or self.finder.has_tables(inner))
        if top in sys.stdlib_module_names or top in _OWN:
            return False
        return not used or top in _PLUGINS

    def _code(self) -> str:
        """The statements taken along, in their order, each as it was written."""
        needed = frozenset(self.nested_needs | self.effects).union(
            *(one.needs for one in self.statements if not one.is_import),
            *(needs_of(node) for node, _ in self.options.values()),
        )
        code, last = "", None
        for one in sorted(self.statements, key=lambda one: one.node.lineno):
            text = self.source.text_of(one, needed if one.is_import else None)
            code += (_gap(last, one.node, text) if code else "") + text
            last = one.node
        for text in self.nested:
            code += ("\n\n\n" if code else "") + text
        return code


def _gap(last: ast.stmt | None, node: ast.stmt, text: str) -> str:
    """The empty lines between two statements: as they were, two around definitions."""
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    imports = (ast.Import, ast.ImportFrom)
    if isinstance(last, definitions) or isinstance(node, definitions):
        return "\n\n\n"
    if isinstance(last, imports) and isinstance(node, imports):
        return "\n"
    first = (node.end_lineno or node.lineno) - text.count("\n")
    end = last.end_lineno if last is not None else None
    return "\n" if end == first - 1 else "\n\n"


def _is_future(one: Statement) -> bool:
    return isinstance(one.node, ast.ImportFrom) and one.node.module == "__future__"


def _imported(node: ast.stmt) -> Iterator[tuple[str, ast.alias]]:
    """Each name that an import gives, with the module it comes from."""
    if isinstance(node, ast.ImportFrom):
        yield from ((node.module or "", alias) for alias in node.names)
    elif isinstance(node, ast.Import):
        yield from ((alias.name, alias) for alias in node.names)


def _may_stop(node: ast.stmt) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return False
    return any(isinstance(one, (ast.Raise, ast.Assert)) for one in ast.walk(node))


def _instead(text: str) -> str:
    """Why a statement around the migrations is gone, and the bind's key that does the same."""
    why = "it was run around the migrations, and orchestrator does not run it"
    for key in ("lock_timeout", "statement_timeout"):
        if key in text.lower():
            return f"{why}; set `{key}:` of the bind"
    return why


def _title(node: ast.stmt) -> str:
    return ast.unparse(node).splitlines()[0][:60]


def _url_variable(tree: ast.Module) -> str:
    """The environment variable that the file takes its URL from, "" when none can be seen."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=place, slice=ast.Constant(value=str(name))):
                known = ast.unparse(place) in ("os.environ", "environ")
            case ast.Call(func=place, args=[ast.Constant(value=str(name)), *_]):
                known = ast.unparse(place) in _ENVIRONMENT
            case _:
                continue
        if known and name.isidentifier() and _URL_NAME.search(name):
            return name
    return ""
