"""The stock command that runs env.py: which it is, and what its user asked for.

Enters: Alembic's own proxies.  Leaves: a Command, and the values of its `-x` arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alembic import context
from alembic.runtime.environment import EnvironmentContext


@dataclass(frozen=True)
class Command:
    """The stock command that runs this env.py.

    `alembic.command` tells an env.py nothing about itself but the function it hands over, whose
    qualified name starts with the command's.
    """

    name: str
    environment: EnvironmentContext
    options: Mapping[str, Any]

    @classmethod
    def current(cls) -> Command:
        environment: EnvironmentContext = context._proxy  # type: ignore[attr-defined]
        options = dict(environment.context_opts)
        function = options.get("fn")
        mine = getattr(function, "__module__", "") == "alembic.command"
        name = function.__qualname__.partition(".")[0] if mine and function else ""
        return cls(name, environment, options)

    @property
    def offline(self) -> bool:
        return bool(self.options.get("as_sql"))

    @property
    def writes_tables(self) -> bool:
        """Whether the target must be there: created where the bind allows it."""
        return self.name in ("upgrade", "stamp", "ensure_version")

    @property
    def changes_targets(self) -> bool:
        """Whether it moves a target from one state to another, so that nobody else may."""
        return self.name in ("upgrade", "downgrade", "stamp")

    @property
    def compares(self) -> bool:
        """Whether it looks at the tables that stand in a target."""
        return self.name in ("revision", "check")

    @property
    def autogenerates(self) -> bool:
        revision = self.options.get("revision_context")
        return revision is not None and bool(revision.command_args.get("autogenerate"))

    @property
    def destinations(self) -> Sequence[str]:
        """The revisions the command names: one for upgrade and downgrade, any number for stamp."""
        named = [self.options.get("starting_rev"), *_listed(self.options.get("destination_rev"))]
        return [one for one in named if isinstance(one, str)]

    @property
    def asks_current(self) -> bool:
        """Whether `history` wants to know where a database stands."""
        given = self.environment.config.cmd_opts
        if given is None:
            return True
        range_ = getattr(given, "rev_range", None) or ""
        return bool(getattr(given, "indicate_current", False)) or "current" in range_


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, (tuple, list)) else [value]


def x_values(name: str) -> list[str]:
    """All values of a repeated `-x name=value`."""
    pairs = (argument.partition("=") for argument in context.get_x_argument())
    return [value for key, _, value in pairs if key == name]


def x_names() -> set[str]:
    """The names of all `-x` arguments, those without a value too."""
    return {argument.partition("=")[0] for argument in context.get_x_argument()}
