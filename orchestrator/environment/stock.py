"""One run of a stock Alembic command over binds and targets.

Enters: a project and the Command.  Leaves: the command done on every bind and target that it is
about, or a file, or SQL.

Before each bind the ScriptDirectory that the command holds is given that bind's own revision map
and version locations.  So `head`, `+1`, `check` and `current --check-heads` mean that bind's head;
where `-x bind=NAME` narrows to one bind they are left so, and `revision` and `merge` write into its
folder.
"""

from __future__ import annotations

import configparser
import logging.config
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from alembic import context
from sqlalchemy.engine import URL, Connection

from orchestrator.config import Bind
from orchestrator.environment.command import Command, x_names, x_values
from orchestrator.errors import DatabaseError, Problem, UsageError
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
from orchestrator.revisions.tree import point_at
from orchestrator.revisions.types import Step

# Commands that write a revision file, and so must know which bind's.
_WRITES_FILE = ("revision", "merge")
# Commands that print, and so say first what they print about.
_PRINTS = ("current", "history", "show")


class Stock:
    """One run of a stock command over binds and targets."""

    def __init__(self, project: Project, command: Command) -> None:
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
        named = x_values("bind")
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
        selection = Selection(tenants=tuple(x_values("tenant")), servers=tuple(x_values("server")))
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
            drop_unowned="drop-tables" in x_names(),
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
