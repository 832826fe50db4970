"""A bind's revision history: which revisions there are, and the path from a state to another.

Enters: a bind's ScriptDirectory.  Leaves: `History`, which answers questions about paths as plain
values (`Step`), and hands out the functions that Alembic's MigrationContext runs.
"""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import HeadMaintainer, MigrationStep, RevisionStep, StampStep
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError

from orchestrator.config import Bind, Config
from orchestrator.errors import HistoryError, Problem
from orchestrator.revisions.tree import base_script_directory, bind_script_directory
from orchestrator.revisions.types import Direction, Step, VersionChange

# As Alembic reads "+1", "ae10-2" and "branch@head-1" (alembic/script/revision.py).
_RELATIVE = re.compile(r"[+-]\d+$")
_TWICE = re.compile(r"Revision (\S+) is present more than once")

MigrationsFunction = Callable[[Any, Any], Iterable[RevisionStep | StampStep]]


@dataclass(frozen=True)
class History:
    """One bind's revisions. `script` is Alembic's ScriptDirectory, narrowed to this bind."""

    bind: Bind
    script: ScriptDirectory

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads as the version table would hold them after all upgrades: a head that another
        revision names in depends_on is not among them (Alembic's effective heads)."""
        # What get_heads(consider_depends_on=True) gives, which Alembic has from 1.18.5 on.
        return tuple(sorted(self.script.revision_map._real_heads))

    @property
    def bases(self) -> tuple[str, ...]:
        """The revisions without a down_revision."""
        return tuple(sorted(self.script.get_bases()))

    def scripts(self) -> list[Script]:
        """All revisions, base first."""
        return list(reversed(list(self.script.walk_revisions())))

    def knows(self, revision: str) -> bool:
        """Whether a full revision id is in this history."""
        if not revision:
            return False  # Alembic asserts that there is one
        try:
            return any(
                script is not None and script.revision == revision
                for script in self.script.get_revisions(revision)
            )
        except CommandError:
            return False

    def unknown(self, state: Sequence[str]) -> tuple[str, ...]:
        """Those revisions of a state that no revision file of this bind has."""
        return tuple(revision for revision in state if not self.knows(revision))

    def resolves(self, revision: str) -> bool:
        """Whether a symbol (id, partial id, label, head, +1 ...) means something in this history.

        A relative symbol means something everywhere.
        """
        branch, at, symbol = _RELATIVE.sub("", revision).rpartition("@")
        if not revision or (at and not branch):
            return False
        if symbol in ("", "head"):
            symbol = "heads"  # "head" is refused where there are several; that is told later
        if not at and symbol in ("heads", "base"):
            return True
        try:
            self.script.get_revisions(f"{branch}{at}{symbol}")
        except CommandError:
            return False
        return True

    def at_head(self, state: Sequence[str]) -> bool:
        """Whether a state is this history's heads, neither more nor less."""
        return set(state) == set(self.heads)

    def behind(self, state: Sequence[str]) -> int:
        """How many upgrade steps lead from a state to the heads."""
        return len(self.path(state, self.upgrade("heads")))

    def upgrade(self, destination: str) -> MigrationsFunction:
        """The function that yields Alembic's upgrade steps to a destination (see `path`)."""
        # Alembic's own command.upgrade hands exactly this function to its EnvironmentContext.
        return lambda heads, _context: self.script._upgrade_revs(destination, heads)

    def downgrade(self, destination: str) -> MigrationsFunction:
        """The function that yields Alembic's downgrade steps to a destination."""
        return lambda heads, _context: self.script._downgrade_revs(destination, heads)

    def stamp(self, destination: Sequence[str]) -> MigrationsFunction:
        """The function that yields Alembic's stamp steps to a destination."""
        return lambda heads, _context: self.script._stamp_revs(tuple(destination), heads)

    def revert(self, start: Sequence[str], end: Sequence[str]) -> MigrationsFunction:
        """The function that yields the downgrade steps to where a target was, from where upgrades
        took it. Its state may be any on the way (see `between`)."""
        make = MigrationStep.downgrade_from_script
        return lambda heads, _context: [
            make(self.script.revision_map, script) for script in self.between(start, end, heads)
        ]

    def between(
        self, start: Sequence[str], end: Sequence[str], state: Sequence[str]
    ) -> tuple[Script, ...]:
        """The revisions that a state has and the start does not, the newest first.

        Raises HistoryError for a state that is not on the way from start to end, and for revisions
        that no file has.
        """
        below, reached, most = (self._with_all_below(rows) for rows in (start, state, end))
        if not below <= reached <= most:
            names = [", ".join(rows) or "base" for rows in (state, start, end)]
            raise HistoryError(
                Problem(
                    "it stands at {}, which is not on the way from {} to {}".format(*names),
                    where=f"bind {self.bind.name}",
                    todo="Somebody moved it since: look at it, and use `orchestrator downgrade` "
                    "where that is right.",
                )
            )
        above, heads = reached - below, self.script.get_revisions(tuple(state))
        order = self.script.revision_map._topological_sort(list(above), list(heads))
        return tuple(self._script(revision) for revision in order)

    def _with_all_below(self, state: Sequence[str]) -> set[Any]:
        """The revisions of a state, with all that they come after or depend on."""
        unknown = self.unknown(state)
        if unknown:
            name = self.bind.name
            what = f"bind {name} has no file for {', '.join(unknown)}"
            raise HistoryError(
                Problem(what, where=f"bind {name}", todo="Deploy the code that has this revision.")
            )
        heads = [self.script.revision_map.get_revision(revision) for revision in state]
        return set(self.script.revision_map._get_ancestor_nodes(heads))

    def _script(self, revision: str) -> Script:
        found = self.script.get_revision(revision)
        assert found is not None, "it is in the map"
        return found

    def one_step(self, revision: str, direction: Direction) -> MigrationsFunction:
        """The function that yields the one step that takes a revision, or takes it back. The state
        must be the one before it."""
        make = (
            MigrationStep.upgrade_from_script
            if direction is Direction.UPGRADE
            else MigrationStep.downgrade_from_script
        )
        return lambda _heads, _context: [
            make(self.script.revision_map, self.script.get_revision(revision))
        ]

    def path(self, state: Sequence[str], migrations: MigrationsFunction) -> tuple[Step, ...]:
        """The steps that `upgrade`, `downgrade` or `stamp` would take from a state.

        Raises HistoryError when a revision is unknown, the destination is not on the way, or
        "head" is not one.
        """
        steps = self._run(lambda: list(migrations(tuple(state), None)))
        rows = _Rows(state)
        found = []
        for step in steps:
            before = len(rows.changes)
            rows.update_to_step(step)
            found.append(self._step(step, tuple(rows.changes[before:])))
        return tuple(found)

    def _step(self, step: RevisionStep | StampStep, changes: tuple[VersionChange, ...]) -> Step:
        up = step.is_upgrade
        direction = Direction.UPGRADE if up else Direction.DOWNGRADE
        if isinstance(step, RevisionStep):
            script = step.revision
            return Step(script.revision, direction, script.doc or "", Path(script.path), changes)
        names = step.to_revisions_no_deps if up else step.from_revisions_no_deps
        return Step(", ".join(names), direction, "stamp", Path(), changes)

    def _run(self, ask: Callable[[], list[Any]]) -> list[Any]:
        try:
            return ask()
        except (CommandError, RevisionError) as error:
            raise HistoryError(
                Problem(
                    str(error).strip(),
                    where=f"bind {self.bind.name}",
                    todo=f"See `orchestrator history --bind {self.bind.name}` for its revisions.",
                )
            ) from error
        except AttributeError as error:
            # Alembic's RevisionStep takes the function from the file's module unasked.
            file = getattr(error.obj, "__file__", None)
            if file is None or error.name not in ("upgrade", "downgrade"):
                raise
            raise HistoryError(
                Problem(
                    f"the revision file has no function {error.name}()",
                    where=file,
                    todo=f"Define it; with `pass` in it, the step {error.name}s nothing.",
                )
            ) from error


class _Rows(HeadMaintainer):
    """Alembic's bookkeeping of the version table, which notes the changes instead of sending them
    (the three methods are where alembic/runtime/migration.py talks to the database)."""

    def __init__(self, heads: Sequence[str]) -> None:
        super().__init__(None, heads)  # type: ignore[arg-type]  # no context: nothing is sent
        self.changes: list[VersionChange] = []

    def _insert_version(self, version: str) -> None:
        self.heads.add(version)
        self.changes.append(VersionChange("insert", new=version))

    def _delete_version(self, version: str) -> None:
        self.heads.discard(version)
        self.changes.append(VersionChange("delete", old=version))

    def _update_version(self, from_: str, to_: str) -> None:
        self.heads.discard(from_)
        self.heads.add(to_)
        self.changes.append(VersionChange("update", old=from_, new=to_))


def load_histories(
    config: Config, alembic: AlembicConfig, binds: Iterable[str] | None = None
) -> Mapping[str, History]:
    """Load the histories of these binds (all of them by default), in the order of databases.yaml.

    Raises HistoryError with every broken revision file of every bind, file:line each.
    """
    base = base_script_directory(config, alembic)
    wanted = config.binds if binds is None else set(binds)
    histories: dict[str, History] = {}
    problems: list[Problem] = []
    for name, bind in config.binds.items():
        if name not in wanted:
            continue
        history = History(bind, bind_script_directory(config, base, bind))
        found = _load(history)
        problems.extend(found)
        histories[name] = history
    if not problems:
        problems.extend(_shared_ids(histories))
    if problems:
        raise HistoryError(problems)
    return histories


def _load(history: History) -> list[Problem]:
    """Read all revision files of a bind now, so that a broken one is told before anything runs."""
    where = f"bind {history.bind.name}"
    closed = [_unreadable(folder) for folder in history.bind.versions if folder.exists()]
    if any(closed):
        return [problem for problem in closed if problem is not None]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            history.script.revision_map.heads  # noqa: B018 - reading it loads the files
        except (CommandError, RevisionError) as error:
            return [Problem(str(error), where=where, todo="Correct the revision file.")]
        except KeyError as error:
            return [
                Problem(
                    f"a revision refers to {error}, which no revision file has",
                    where=_files_with(history, str(error.args[0]), refer=True) or where,
                    todo="Restore the missing file, or correct the reference.",
                )
            ]
        except Exception as error:
            return [_broken_file(history, error)]
    problems = []
    for warning in heard:
        text = str(warning.message)
        # Alembic warns where the map would silently lose a revision (alembic/script/revision.py).
        if "is present more than once" in text or "is not present" in text:
            twice = _TWICE.search(text)
            files = _files_with(history, twice[1]) if twice else ""
            problems.append(
                Problem(text, where=files or where, todo="Give each revision its own id.")
            )
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return problems


def _unreadable(folder: Path) -> Problem | None:
    """Alembic takes a folder that it may not list, or a file in its place, for an empty one."""
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        return Problem(
            f"the folder of revisions cannot be read: {error.strerror}",
            where=str(folder),
            todo="Correct its permissions, or `versions` in databases.yaml.",
        )
    return None


def _files_with(history: History, revision: str, *, refer: bool = False) -> str:
    """The files that hold this revision id, or refer to it; all files can be imported."""
    return ", ".join(
        script.path
        for script in history.script._load_revisions()
        if revision in (_references(script) if refer else (script.revision,))
    )


def _references(script: Script) -> tuple[str, ...]:
    """The revisions that a file names, as they are written in it."""
    needed = script.dependencies or ()
    return (*script._versioned_down_revisions, *((needed,) if isinstance(needed, str) else needed))


def _broken_file(history: History, error: Exception) -> Problem:
    folders = [str(path) for path in history.bind.versions]
    where = f"bind {history.bind.name}"
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
    else:
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if any(frame.filename.startswith(folder) for folder in folders):
                where = f"{frame.filename}:{frame.lineno}"
                break
        else:
            where = _no_source(history) or where
    return Problem(
        f"{type(error).__name__}: {error}", where=where, todo="Correct the revision file."
    )


def _no_source(history: History) -> str | None:
    """The first file that cannot be compiled at all: Python names none for one with null bytes."""
    for folder in history.bind.versions:
        for file in sorted(folder.rglob("*.py")):
            try:
                compile(file.read_bytes(), file, "exec")
            except (SyntaxError, ValueError, OSError):
                return str(file)
    return None


def _shared_ids(histories: Mapping[str, History]) -> list[Problem]:
    """Stock Alembic reads all binds as one map, so an id may stand in one bind only."""
    owner: dict[str, tuple[str, str]] = {}
    problems = []
    for name, history in histories.items():
        for script in history.scripts():
            if script.revision in owner:
                other, path = owner[script.revision]
                problems.append(
                    Problem(
                        f"revision {script.revision} stands in bind {other} ({path}) too",
                        where=f"{script.path}",
                        todo="Give one of the two another revision id.",
                    )
                )
            owner.setdefault(script.revision, (name, script.path))
    return problems
