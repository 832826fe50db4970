"""A project opened for work: its configuration, and what is loaded from it when it is needed.

Enters: the path of databases.yaml.  Leaves: Config, histories, models and env.py's options, each
loaded once; and Jobs, ready to be applied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path

from alembic.config import Config as AlembicConfig

from orchestrator.config import Bind, Config
from orchestrator.config.load import find_config, load_config
from orchestrator.discovery import Models
from orchestrator.execution.apply import Job
from orchestrator.fleet.types import Target
from orchestrator.revisions.history import History, MigrationsFunction, load_histories
from orchestrator.revisions.options import (
    EnvironmentOptions,
    configure_options,
    hidden_tables,
    load_environment,
)
from orchestrator.revisions.tree import alembic_config, enter


class Project:
    """One project in one process. Nothing is read before it is asked for."""

    def __init__(
        self,
        config: Config,
        *,
        alembic: AlembicConfig | None = None,
        environment: EnvironmentOptions | None = None,
    ) -> None:
        """alembic and environment: given by a run of stock Alembic, which has both already."""
        self.config = config
        self._alembic = alembic
        self._environment = environment
        self._histories: dict[str, History] = {}

    @classmethod
    def open(cls, config_file: Path | None = None, root: Path | None = None) -> Project:
        """Read databases.yaml: the given file, else the one in root, or above the working
        directory. Raises ConfigError."""
        return cls(load_config(config_file or find_config(root or Path.cwd()), root=root))

    @cached_property
    def alembic(self) -> AlembicConfig:
        """The project's Alembic configuration."""
        return self._alembic or alembic_config(self.config)

    @cached_property
    def environment(self) -> EnvironmentOptions:
        """What the project's env.py adds; it is run now. Raises EnvironmentScriptError."""
        return self._environment or load_environment(self.config, self.alembic)

    @cached_property
    def models(self) -> Models:
        """The project's models; every app is imported now. Raises DiscoveryError.

        env.py runs first where there is one: what it imports, puts on sys.path and sets on the
        models' MetaData (a naming convention) must be there when their tables are read.
        """
        # Few commands look at models, and finding them takes SQLAlchemy's ORM and more.
        from orchestrator.discovery.discover import discover

        enter(self.config, self.alembic)
        if (self.config.migrations / "env.py").is_file():
            _ = self.environment
        return discover(self.config)

    def histories(self, binds: Iterable[str] | None = None) -> Mapping[str, History]:
        """The histories of these binds (all by default). Raises HistoryError."""
        wanted = list(self.config.binds if binds is None else binds)
        missing = [name for name in wanted if name not in self._histories]
        if missing:
            self._histories.update(load_histories(self.config, self.alembic, missing))
        return {name: self._histories[name] for name in wanted}

    def history(self, bind: str) -> History:
        """The history of one bind. Raises HistoryError."""
        return self.histories([bind])[bind]

    def options(
        self,
        bind: Bind,
        schema: str | None,
        *,
        drop_unowned: bool = False,
        hidden: Collection[str] = (),
    ) -> dict[str, object]:
        """configure()'s keyword arguments for one target of a bind; hidden: more tables that are
        never compared."""
        return configure_options(
            bind,
            schema,
            self.environment,
            self.models.of(bind.name),
            hidden=hidden_tables(self.config).union(hidden),
            drop_unowned=drop_unowned,
        )

    def job(
        self,
        target: Target,
        migrations: MigrationsFunction,
        *,
        destination: str = "",
        purge: bool = False,
    ) -> Job:
        """A Job that runs these steps on a target."""
        return Job(
            target,
            self.history(target.bind.name),
            self.alembic,
            migrations,
            self.options(target.bind, target.schema),
            destination,
            purge,
        )

    def ordered(self, binds: Iterable[Bind]) -> tuple[Bind, ...]:
        """Binds in the order they are applied: as declared, but each after those it depends on."""
        wanted = {bind.name: bind for bind in binds}
        placed: dict[str, Bind] = {}

        def place(bind: Bind) -> None:
            for name in bind.depends_on:
                if name in wanted and name not in placed:
                    place(wanted[name])
            placed.setdefault(bind.name, bind)

        for name, bind in self.config.binds.items():
            if name in wanted:
                place(bind)
        return tuple(placed.values())

    def in_order(self, targets: Iterable[Target]) -> tuple[Target, ...]:
        """Targets bind by bind, in the order they are applied."""
        known = list(targets)
        order = self.ordered({target.bind.name: target.bind for target in known}.values())
        places = {bind.name: place for place, bind in enumerate(order)}
        return tuple(sorted(known, key=lambda target: places[target.bind.name]))
