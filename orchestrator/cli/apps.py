"""`orchestrator apps`: the apps found, their tables, and the bind each table belongs to.

Enters: Models and Config.
Leaves: a tree for people, or plain data for --json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.text import Text
from rich.tree import Tree

from orchestrator.cli import options
from orchestrator.cli.output import print_json, print_rich
from orchestrator.config import Config
from orchestrator.discovery import App, Models, ModelTable
from orchestrator.execution.project import Project


@click.command("apps", epilog="Example: orchestrator apps --json")
@options.as_json
@options.opened
def command(project: Project, as_json: bool) -> None:
    """Show the apps found, their tables, and the bind each table belongs to and why.

    Models are imported; no database is touched.
    """
    project.config.require(parts=["apps"], offline=project.config.binds)
    if as_json:
        print_json(tree_data(project.models, project.config))
    else:
        print_rich(render_tree(project.models, project.config))


def render_tree(models: Models, config: Config) -> Tree:
    """The apps as a tree: each with its tables, their binds, and the rule that placed them."""
    tree = Tree(Text(_summary(models), style="bold"))
    for app in models.apps:
        branch = tree.add(_app_line(app, config))
        for table in _tables_of(models, app.name):
            branch.add(_table_line(table, config))
    others = _tables_of(models, "")
    if others:
        branch = tree.add(Text("outside of every app", style="bold"))
        for table in others:
            branch.add(_table_line(table, config, file=True))
    for bind in _binds_without_tables(models, config):
        tree.add(Text(f"bind {bind} has no tables", style="yellow"))
    return tree


def tree_data(models: Models, config: Config) -> dict[str, Any]:
    """The same as plain data. Files are relative to the project's folder."""
    return {
        "apps": [
            {
                "name": app.name,
                "package": app.package,
                "file": _relative(app.file, config),
                "modules": list(app.modules),
                "tables": [_table_data(table, config) for table in _tables_of(models, app.name)],
            }
            for app in models.apps
        ],
        "tables_without_app": [_table_data(table, config) for table in _tables_of(models, "")],
        "binds": {
            bind: [table.key for table in models.tables if table.bind == bind]
            for bind in config.binds
        },
    }


def _summary(models: Models) -> str:
    counts = (
        (len(models.apps), "app"),
        (len(models.tables), "table"),
        (len(models.metadata), "bind"),
    )
    return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)


def _tables_of(models: Models, app: str) -> list[ModelTable]:
    return [table for table in models.tables if table.app == app]


def _binds_without_tables(models: Models, config: Config) -> list[str]:
    return [bind for bind in config.binds if bind not in models.metadata]


def _app_line(app: App, config: Config) -> Text:
    return Text.assemble((app.name, "bold"), "  ", (_relative(app.file, config), "dim"))


def _table_line(table: ModelTable, config: Config, file: bool = False) -> Text:
    place = f"{_relative(table.file, config)}:{table.line}" if file else f"line {table.line}"
    return Text.assemble(
        table.key,
        f" ({table.model})" if table.model else "",
        " -> ",
        (table.bind, "cyan"),
        "  ",
        (f"{table.rule}, {place}", "dim"),
    )


def _table_data(table: ModelTable, config: Config) -> dict[str, Any]:
    return {
        "table": table.key,
        "model": table.model,
        "bind": table.bind,
        "rule": table.rule,
        "file": _relative(table.file, config),
        "line": table.line,
    }


def _relative(file: Path, config: Config) -> str:
    root = config.root
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()
