"""The face that Alembic sees: migrations/env.py calls `run_migrations()`.

Enters: whatever command stock Alembic is running, with its `-x` arguments.  Leaves: that command
done on every bind and target, as its users expect of one database.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alembic import context
from alembic.util import CommandError

from orchestrator.config.load import find_config, load_config
from orchestrator.environment.command import Command, x_values
from orchestrator.environment.stock import Stock
from orchestrator.errors import OrchestratorError
from orchestrator.execution.project import Project
from orchestrator.revisions.options import COLLECTOR, EnvironmentOptions

__all__ = ["run_migrations"]


def run_migrations(
    *, per_bind: Mapping[str, Mapping[str, Any]] | None = None, **options: Any
) -> None:
    """Run the current Alembic command on every bind of databases.yaml. Call it from env.py.

    options: what Alembic's `EnvironmentContext.configure()` takes (compare_type, include_object,
    render_item, process_revision_directives, on_version_apply, user_module_prefix, ...), for all
    binds; per_bind overlays them by the bind's name. What databases.yaml decides (connection,
    target_metadata, version_table, ...) is refused here.

    On the command line, `-x bind=NAME`, `-x tenant=GLOB` and `-x server=NAME` narrow; they may be
    repeated. Raises alembic.util.CommandError, which Alembic prints as its own.
    """
    given = EnvironmentOptions(options, per_bind or {})
    collector = context.config.attributes.get(COLLECTOR)
    if collector is not None:
        collector(given)
        return
    try:
        project = Project(load_config(_config_file()), alembic=context.config, environment=given)
        given.check(project.config)
        Stock(project, Command.current()).run()
    except OrchestratorError as error:
        raise CommandError(str(error)) from error


def _config_file() -> Path:
    """databases.yaml as `-x config=FILE` names it, else beside alembic.ini or above it."""
    named = x_values("config")
    if named:
        return Path(named[-1]).absolute()
    ini = context.config.config_file_name
    return find_config(Path(ini).absolute().parent if ini else Path.cwd())
