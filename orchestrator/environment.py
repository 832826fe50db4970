"""The face that Alembic sees: migrations/env.py calls `run_migrations()`.

Enters: whatever command stock Alembic is running, with its `-x` arguments.  Leaves: that command
done on every bind and target, as its users expect of one database.

The mechanism: before each bind the ScriptDirectory that the command holds is given that bind's own
revision map and version locations.  So `head`, `+1`, `check` and `current --check-heads` mean that
bind's head; where `-x bind=NAME` narrows to one bind they are left so, and `revision` and `merge`
write into its folder.
"""

from __future__ import annotations

import configparser
import logging.config
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import context
from alembic.runtime.environment import EnvironmentContext
from alembic.util import CommandError
from sqlalchemy.engine import URL, Connection

from orchestrator.config import Bind
from orchestrator.config.load import find_config, load_config
from orchestrator.errors import DatabaseError, OrchestratorError, Problem, UsageError
from orchestrator.execution.apply import ensure_version_table
from orchestrator.execution.comparison import neighbours
from orchestrator.execution.poolers import Poolers
from orchestrator.execution.project import Project
from orchestrator.execution.provision import ensure_exists
from orchestrator.execution.scripting import record_paths, script_flavours, target_script
from orchestrator.execution.stock_lock import locked
from orchestrator.fleet.engines import connect
from orchestrator.fleet.targets import Selection, all_targets, select_targets, unknown_bind
from orchestrator.fleet.types import Target
from orchestrator.revisions.history import History
from orchestrator.revisions.options import COLLECTOR, EnvironmentOptions
from orchestrator.revisions.tree import point_at
from orchestrator.revisions.types import Step

__all__ = ["run_migrations"]

# Commands that write a revision file, and so must know which bind's.
_WRITES_FILE = ("revision", "merge")
# Commands that print, and so say first what they print about.
_PRINTS = ("current", "history", "show")


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
        _Stock(project, _Command.current()).run()
    except OrchestratorError as error:
        raise CommandError(str(error)) from error


def _config_file() -> Path:
    """databases.yaml as `-x config=FILE` names it, else beside alembic.ini or above it."""
    named = _x("config")
    if named:
        return Path(named[-1]).absolute()
    ini = context.config.config_file_name
    return find_config(Path(ini).absolute().parent if ini else Path.cwd())


@dataclass(frozen=True)
class _Command:
    """The stock command that runs this env.py.

    `alembic.command` tells an env.py nothing about itself but the function it hands over, whose
    qualified name starts with the command's.
    """

    name: str
    environment: EnvironmentContext
    options: Mapping[str, Any]

    @classmethod
    def current(cls) -> _Command:
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


class _Stock:
    """One run of a stock command over binds and targets."""

    def __init__(self, project: Project, command: _Command) -> None:
        self.project = project
        self.command = command
        self._poolers = Poolers()

    def run(self) -> None:
        """Refuse what cannot be done, then do it bind by bind."""
        binds = self._binds()
        histories = self.project.histories()
        if self.command.name in _WRITES_FILE:
            self._write_file(self._only(binds), histories)
            return
        knowing = [bind for bind in binds if self._known(histories[bind.name])]
        if not knowing:
            raise UsageError(
                Problem(
                    f"no bind knows the revision {', '.join(self.command.destinations)}",
                    where=", ".join(bind.name for bind in binds),
                    todo="See `alembic history`.",
                )
            )
        _configure_logging()
        work = [(bind, self._targets(bind)) for bind in self.project.ordered(knowing)]
        if not any(targets for _bind, targets in work):
            raise UsageError(Problem("-x tenant= and -x server= name no target"))
        if self.command.offline:
            self._write_scripts(work)
            return
        crowd = sum(len(targets) for _bind, targets in work) > 1
        for bind, targets in work:
            self._point(histories[bind.name])
            if self.command.name == "history" and not self.command.asks_current:
                self._heading(bind.name, shown=len(work) > 1)
                self._without_connection(bind)
                continue
            for target in targets:
                self._heading(target.id, shown=crowd)
                self._one(target)

    def _binds(self) -> tuple[Bind, ...]:
        config = self.project.config
        named = _x("bind")
        unknown = [name for name in named if name not in config.binds]
        if unknown:
            raise UsageError([unknown_bind(config, name) for name in unknown])
        return tuple(bind for bind in config.binds.values() if not named or bind.name in named)

    def _only(self, binds: Sequence[Bind]) -> Bind:
        """The one bind that a new file belongs to; one bind in all needs no narrowing."""
        if len(binds) == 1:
            return binds[0]
        verb = self.command.name
        names = ", ".join(bind.name for bind in binds)
        flags = "revision -m MESSAGE --autogenerate" if verb == "revision" else "merge heads"
        raise UsageError(
            Problem(
                f"`alembic {verb}` must name one bind: there are {names}",
                todo=f"Run `alembic -x bind={binds[0].name} {flags}`"
                + (
                    ", or `orchestrator revision -m MESSAGE` for every bind that changed."
                    if verb == "revision"
                    else f", or `orchestrator merge --bind {binds[0].name}`."
                ),
            )
        )

    def _known(self, history: History) -> bool:
        return all(history.resolves(revision) for revision in self.command.destinations)

    def _targets(self, bind: Bind) -> tuple[Target, ...]:
        selection = Selection(tenants=tuple(_x("tenant")), servers=tuple(_x("server")))
        if not selection.given:
            return all_targets(self.project.config, [bind])
        narrowed = Selection(
            binds=(bind.name,), tenants=selection.tenants, servers=selection.servers
        )
        return select_targets(self.project.config, narrowed, allow_empty=True)

    def _point(self, history: History) -> None:
        script = self.command.environment.script
        script.revision_map = history.script.revision_map
        point_at(
            script,
            history.script.version_locations,
            recursive=history.script.recursive_version_locations,
        )

    def _write_file(self, bind: Bind, histories: Mapping[str, History]) -> None:
        self._point(histories[bind.name])
        # Without autogenerate the file is written from the map alone: no database is asked.
        if self.command.autogenerates:
            targets = self._targets(bind)
            if not targets:
                raise UsageError(Problem("-x tenant= and -x server= name no target"))
            self._one(targets[0])

    def _one(self, target: Target) -> None:
        """Run the command on one target, with options of its own."""
        options = self.project.options(
            target.bind,
            target.schema,
            drop_unowned="drop-tables" in _x_names(),
            hidden=neighbours(self.project, target) if self.command.compares else (),
        )
        self.project.config.require(binds=[target.bind.name])
        if self.command.writes_tables:
            ensure_exists(target)
        if self.command.autogenerates:
            options["process_revision_directives"] = _no_empty_file(
                options.get("process_revision_directives"), target.bind.name, self.command.name
            )
        with connect(target) as connection, self._alone(connection, target):
            if self.command.writes_tables:
                ensure_version_table(connection, target.bind, target.schema)
            self._configure(connection=connection, **options)
            with context.begin_transaction():
                context.run_migrations()

    def _alone(self, connection: Connection, target: Target) -> AbstractContextManager[None]:
        """The target's lock, for a command that changes it. Raises DatabaseError."""
        if not self.command.changes_targets:
            return nullcontext()
        refused = self._poolers.refused([target])
        if refused:
            raise DatabaseError(refused[target.id])
        return locked(connection, target)

    def _write_scripts(self, work: Sequence[tuple[Bind, Sequence[Target]]]) -> None:
        """--sql: the same scripts that orchestrator's own verbs write.

        Alembic's offline text would drop Python-side defaults of bulk_insert, change tabs into
        spaces, and fail for JSON.
        """
        if self.command.name not in ("upgrade", "downgrade", "stamp"):
            raise UsageError(
                Problem(
                    f"`alembic {self.command.name} --sql` is not available on this tree",
                    todo="Write SQL with upgrade, downgrade or stamp.",
                )
            )
        flavours = script_flavours(self.project, [bind for bind, _targets in work])
        starts: dict[str, tuple[str, ...]] = {}
        paths: dict[str, tuple[Step, ...]] = {}
        for bind, _targets in work:
            history = self.project.history(bind.name)
            self._point(history)
            start = self.command.options.get("starting_rev") or "base"
            found = history.script.get_revisions(start)
            starts[bind.name] = tuple(script.revision for script in found if script is not None)
            paths[bind.name] = history.path(starts[bind.name], self.command.options["fn"])
        stamp = self.command.name == "stamp"
        recordings = record_paths(self.project, paths, flavours, stamp=stamp)
        for bind, targets in work:
            for target in targets:
                name = bind.name
                _write(
                    target_script(
                        target,
                        self.command.name,
                        flavours[name],
                        starts[name],
                        paths[name],
                        recordings[name],
                    )
                )

    def _without_connection(self, bind: Bind) -> None:
        """`history` calls its function inside a migration context, but reads no database."""
        self._configure(
            url=URL.create("sqlite"),
            as_sql=True,
            target_metadata=None,
            version_table=bind.version_table,
        )
        context.run_migrations()

    def _configure(self, **options: Any) -> None:
        """configure() adds to what the last one left: start each from what the command gave."""
        self.command.environment.context_opts = dict(self.command.options)
        context.configure(**options)

    def _heading(self, text: str, *, shown: bool) -> None:
        if shown and self.command.name in _PRINTS:
            context.config.print_stdout("%s:", text)


def _write(text: str) -> None:
    """To wherever Alembic writes its --sql; as bytes where that can be, because binary literals on
    MySQL are no text."""
    stream = context.config.output_buffer or sys.stdout
    stream.flush()
    raw = getattr(stream, "buffer", None)
    if raw is None:
        stream.write(text)
        return
    raw.write(text.encode("utf-8", "surrogateescape"))
    raw.flush()


def _x(name: str) -> list[str]:
    """All values of a repeated `-x name=value`."""
    pairs = (argument.partition("=") for argument in context.get_x_argument())
    return [value for key, _, value in pairs if key == name]


def _x_names() -> set[str]:
    return {argument.partition("=")[0] for argument in context.get_x_argument()}


def _no_empty_file(users: Any, bind: str, command: str) -> Any:
    """process_revision_directives that runs the project's own, and writes nothing for no change."""

    def process(migration: Any, revision: Any, directives: list[Any]) -> None:
        if users is not None:
            users(migration, revision, directives)
        if (
            command == "revision"
            and directives
            and all(ops.is_empty() for ops in directives[0].upgrade_ops_list)
        ):
            directives[:] = []
            context.config.print_stdout("bind %s: no changes, no file written", bind)

    return process


def _configure_logging() -> None:
    """The [loggers] of alembic.ini, for the `alembic` command only.

    A program that calls alembic.command has its own logging, and fileConfig's default would switch
    that off.
    """
    file = context.config.config_file_name
    if (
        context.config.cmd_opts is None
        or file is None
        or not hasattr(context.config.cmd_opts, "cmd")
    ):
        return
    parser = configparser.RawConfigParser()
    parser.read(file, encoding="utf-8")
    if parser.has_section("loggers"):
        logging.config.fileConfig(file, disable_existing_loggers=False)
