"""What a project's migrations/env.py adds: Alembic options and imports, read once in a process.

Enters: the project's env.py, which calls `orchestrator.environment.run_migrations(**options)`.
Leaves: `EnvironmentOptions`, and the complete keyword arguments of Alembic's `configure()` for one
target, the same for both roads (orchestrator's verbs, and stock Alembic).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from alembic.config import Config as AlembicConfig
from alembic.runtime.environment import EnvironmentContext
from alembic.util import CommandError

from orchestrator.config import Bind, Config
from orchestrator.config.ledger_tables import LEDGER_TABLES
from orchestrator.discovery.types import MetaDataSet
from orchestrator.errors import EnvironmentScriptError, OrchestratorError, Problem
from orchestrator.revisions.python_text import python_text
from orchestrator.revisions.tree import base_script_directory

COLLECTOR = "orchestrator.collector"
"""Key in `alembic.config.Config.attributes`: a callable that takes the EnvironmentOptions. When it
is set, run_migrations() hands the options over and runs nothing."""

CALL = "orchestrator.environment"
"""What an env.py of orchestrator holds, and no other tool's does."""

DECIDED_HERE = MappingProxyType(
    {
        "connection": "binds.<bind>.url",
        "url": "binds.<bind>.url",
        "dialect_name": "binds.<bind>.flavour",
        "target_metadata": "apps",
        "version_table": "binds.<bind>.version_table",
        "version_table_schema": "binds.<bind>.version_table",
        "transaction_per_migration": "binds.<bind>.transaction",
    }
)
"""Options of configure() that databases.yaml decides, with the key that decides them."""


@dataclass(frozen=True)
class EnvironmentOptions:
    """The options that a project's env.py passes to run_migrations()."""

    common: Mapping[str, Any] = field(default_factory=dict)
    per_bind: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def for_bind(self, name: str) -> dict[str, Any]:
        """The options of one bind: the common ones, overlaid by the bind's own."""
        return {**self.common, **self.per_bind.get(name, {})}

    def check(self, config: Config) -> None:
        """Raise EnvironmentScriptError for options that databases.yaml decides, and for binds that
        it does not know."""
        where = str(config.migrations / "env.py")
        problems = [
            Problem(
                f"run_migrations() was given {name}, which databases.yaml decides",
                where=where,
                todo=f"Remove it, and use `{key}` in {config.file.name}.",
            )
            for options in (self.common, *self.per_bind.values())
            for name, key in DECIDED_HERE.items()
            if name in options
        ]
        problems += [
            Problem(
                f"per_bind names the bind {name!r}, which {config.file.name} does not declare",
                where=where,
                todo=f"Use one of: {', '.join(config.binds)}.",
            )
            for name in self.per_bind
            if name not in config.binds
        ]
        if problems:
            raise EnvironmentScriptError(problems)


def load_environment(config: Config, alembic: AlembicConfig) -> EnvironmentOptions:
    """Run the project's env.py once for its imports and options; no database is touched.

    Raises EnvironmentScriptError when it is missing, fails, or is not orchestrator's.
    """
    env_py = config.migrations / "env.py"
    source = python_text(env_py.read_bytes()) if env_py.is_file() else None
    # Another tool's env.py would connect and run as soon as it is loaded: so look before.
    if source is None or CALL not in source:
        raise EnvironmentScriptError(
            Problem(
                "it does not exist"
                if source is None
                else "it does not call orchestrator.environment.run_migrations()",
                where=str(env_py),
                todo="Run `orchestrator init`: it keeps what stands there as env_before.py.",
            )
        )
    script = base_script_directory(config, alembic)
    collected: list[EnvironmentOptions] = []
    alembic.attributes[COLLECTOR] = collected.append
    try:
        with EnvironmentContext(alembic, script, fn=lambda _rev, _context: [], dont_mutate=True):
            script.run_env()
    except OrchestratorError:
        raise
    except (Exception, SystemExit) as error:
        raise EnvironmentScriptError(_failed(str(env_py), error)) from error
    finally:
        del alembic.attributes[COLLECTOR]
    if not collected:
        raise EnvironmentScriptError(
            Problem(
                "it ran to its end without a call of run_migrations()",
                where=str(env_py),
                todo="Call `orchestrator.environment.run_migrations()` on every path through it.",
            )
        )
    collected[-1].check(config)
    return collected[-1]


def _failed(env_py: str, error: BaseException) -> Problem:
    where = env_py
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == env_py:
            where = f"{env_py}:{frame.lineno}"
            break
    text = str(error) if isinstance(error, CommandError) else f"{type(error).__name__}: {error}"
    return Problem(text, where=where, todo="Correct env.py; every command runs it first.")


def hidden_tables(config: Config) -> frozenset[str]:
    """The version and journal tables of all binds, and the ledger's, which may be kept in a bind's
    database: never compared, never proposed for dropping."""
    return LEDGER_TABLES.union(
        name for bind in config.binds.values() for name in (bind.version_table, bind.journal_table)
    )


def configure_options(
    bind: Bind,
    schema: str | None,
    environment: EnvironmentOptions,
    metadata: MetaDataSet,
    *,
    hidden: Collection[str],
    drop_unowned: bool = False,
) -> dict[str, Any]:
    """All keyword arguments of Alembic's `configure()` for one target but its connection.

    schema: the tenant's PostgreSQL schema, which then holds the version table; without an explicit
    version_table_schema a search_path that ends in public would show public's version table.
    hidden: names of tables that are never compared (see `hidden_tables`).
    drop_unowned: let autogenerate propose to drop tables that no app owns.
    """
    options = environment.for_bind(bind.name)
    single = len(metadata) == 1
    options.update(
        # A set of one is given bare: some plugins look for attributes of MetaData itself.
        target_metadata=metadata[0] if single else metadata,
        version_table=bind.version_table,
        version_table_schema=schema,
        transaction_per_migration=bind.transaction == "revision",
        include_name=_include_name(
            options.get("include_name"), metadata, hidden, drop_unowned=drop_unowned
        ),
    )
    if options.get("user_module_prefix") is None:
        options["render_item"] = _render_item(options.get("render_item"))
    if any(table.schema for member in metadata for table in member.tables.values()):
        options.setdefault("include_schemas", True)
    return options


RenderItem = Callable[[str, Any, Any], Any]


def _render_item(users: RenderItem | None) -> RenderItem:
    """Import the module of a type that is not SQLAlchemy's (SQLModel's strings, the project's own).

    Alembic writes such a type with its module's name, and leaves the import to script.py.mako: the
    file would fail with a NameError (https://alembic.sqlalchemy.org/en/latest/autogenerate.html,
    "Affecting the Rendering of Types Themselves").
    """

    def render_item(kind: str, item: Any, context: Any) -> Any:
        rendered = False if users is None else users(kind, item, context)
        module = type(item).__module__
        if rendered is False and kind == "type" and not module.startswith("sqlalchemy."):
            context.imports.add(f"import {module}")
        return rendered

    return render_item


IncludeName = Callable[[str | None, str, Mapping[str, str | None]], bool]


def _include_name(
    users: IncludeName | None,
    metadata: MetaDataSet,
    hidden: Collection[str],
    *,
    drop_unowned: bool,
) -> IncludeName:
    owned = metadata.table_keys
    schemas = {key.rpartition(".")[0] for key in owned if "." in key}

    def include_name(name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
        if kind == "schema" and name is not None and name not in schemas:
            return False
        if kind == "table":
            if name in hidden:
                return False
            if parents.get("schema_qualified_table_name") not in owned and not drop_unowned:
                return False
        return users is None or users(name, kind, parents)

    return include_name
