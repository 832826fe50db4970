"""A group of verbs that stand in modules of their own, each imported when it is called.

Enters: a package, and its verbs with their lines in the help.  Leaves: the verb's click command.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from orchestrator.cli import startup


class VerbGroup(click.Group):
    """Imports a verb when it is called, and lists them without importing any, so that `--help`
    needs neither SQLAlchemy nor Alembic."""

    def __init__(self, *args: Any, package: str, verbs: Mapping[str, str], **kwargs: Any) -> None:
        """package: `<package>.<verb>` holds each verb as `command`. verbs: with what the help says
        of each."""
        super().__init__(*args, **kwargs)
        self._package = package
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._verbs:
            import difflib  # A mistake alone needs it, and start-up is short of time.

            close = difflib.get_close_matches(cmd_name, self._verbs, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {cmd_name!r}.{hint}")
        with startup.imports():
            module = importlib.import_module(f"{self._package}.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(self._verbs.items()))
