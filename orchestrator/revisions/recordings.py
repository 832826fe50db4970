"""Recordings, kept: a history that did not change is not recorded again at every start.

Enters: the paths wanted, by bind and flavour.  Leaves: a recording of each, from the folder
`.orchestrator/recordings/` where it can be, else made now and written there.

A recording is found by a key over everything that is known before (the revision file's bytes,
direction, flavour, env.py, what is installed ...), and counts only while everything that was
imported or read as it was made is unchanged.  Damaged and foreign files count as absent.  Files are
written whole under another name and then renamed, so that several runs may share the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import alembic
import sqlalchemy

import orchestrator
from orchestrator.config import Bind, Config, Flavour
from orchestrator.config.types import Where
from orchestrator.errors import OrchestratorError
from orchestrator.revisions.compile import CompileRequest, compile_with_inputs
from orchestrator.revisions.recording.inputs import InputDigests, file_digest, variable_digest
from orchestrator.revisions.recording.messages import NamedType
from orchestrator.revisions.types import Direction, LiveReason, Recording, Segment, Step

PROCESSES_A_REQUEST = 2
UNUSED_SECONDS = 30 * 86_400.0
"""Files that nobody has asked for in this time are swept when something is written."""
_TOUCH_SECONDS = 86_400.0
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A path of one bind, from its start, whose recordings on one flavour are wanted.

    dialect: the name in the servers' URLs ("mysql" also for a MariaDB reached through mysql://).
    """

    bind: str
    flavour: Flavour
    dialect: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A recording, and the SHA-256 of the revision file that it was made from. remembered: it makes
    named types that Alembic keeps in mind for the rest of its run."""

    recording: Recording
    source: str
    remembered: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """Whoever wants to hear what takes time: recording (with how many steps), and warnings."""

    recording: Callable[[Wanted, int], None] = lambda _wanted, _steps: None
    warning: Callable[[str], None] = lambda _text: None


def recordings_folder(config: Config) -> Path:
    """Where they are kept."""
    return config.root / ".orchestrator" / "recordings"


def compile_cached(
    config: Config, wanted: Sequence[Wanted], listener: Listener | None = None
) -> list[tuple[Compiled, ...]]:
    """The recordings of these paths, in the same order.

    What is missing is recorded now, several binds and flavours at the same time as far as there are
    processors.  A folder that cannot be written is a warning.  Raises what
    `revisions.compile.compile_steps` raises, with the problems of all binds.
    """
    heard = listener or Listener()
    kept = _Kept(config)
    groups: dict[tuple[str, Flavour, str], list[_Path]] = {}
    paths = [_Path(kept, one) for one in wanted]
    for path in paths:
        key = path.wanted.bind, path.wanted.flavour, path.wanted.dialect
        groups.setdefault(key, []).append(path)
    # Within a bind and flavour one path after the other: the longest often holds all the others.
    for group in groups.values():
        group.sort(key=lambda path: -len(path.wanted.steps))
    _side_by_side([partial(_complete, group, heard) for group in groups.values()])
    try:
        kept.write()
    except OSError as error:
        heard.warning(
            f"recordings cannot be kept in {kept.folder}: {error.strerror}; they are made again "
            "by the next command"
        )
    return [tuple(path.compiled) for path in paths]


def _complete(paths: Iterable[_Path], heard: Listener) -> None:
    for path in paths:
        path.look_up()
        if path.missing:
            heard.recording(path.wanted, len(path.missing))
            path.record()


def _side_by_side(tasks: Sequence[Callable[[], None]]) -> None:
    """Do all of these, each of which starts two processes, on the processors that there are."""
    threads = min(len(os.sched_getaffinity(0)) // PROCESSES_A_REQUEST, len(tasks))
    if threads < 2:
        for task in tasks:
            task()
        return
    with ThreadPoolExecutor(threads) as executor:
        futures = [executor.submit(task) for task in tasks]
    errors = [error for future in futures if (error := future.exception()) is not None]
    told = [error for error in errors if isinstance(error, OrchestratorError)]
    if told and len(told) == len(errors):
        raise type(told[0])(dict.fromkeys(problem for one in told for problem in one.problems))
    if errors:
        raise errors[0]


class _Path:
    """The recordings of one Wanted: those at its start that were kept, then those made now.

    Alembic remembers the named types that a run has made, and does not make them again; so a
    recording counts only after steps that left the same in its memory.
    """

    def __init__(self, kept: _Kept, wanted: Wanted) -> None:
        self.wanted = wanted
        self.compiled: list[Compiled] = []
        self._kept = kept
        self._before = kept.surroundings(wanted)
        self._types: tuple[NamedType, ...] = ()

    @property
    def missing(self) -> tuple[Step, ...]:
        """Steps without a recording: all after the first that has none."""
        return self.wanted.steps[len(self.compiled) :]

    def look_up(self) -> None:
        """Take what was kept."""
        for step in self.missing:
            key, source = self._key(step)
            found = self._kept.read(key, step)
            if found is None:
                return
            self._take(Compiled(found[0], source, bool(found[1])), found[1])

    def record(self) -> None:
        """Record what is missing."""
        request = CompileRequest(
            self._kept.config.file,
            self._kept.config.root,
            self.wanted.bind,
            self.wanted.flavour,
            tuple((step.revision, step.direction) for step in self.missing),
            self.wanted.dialect,
            types=self._types,
        )
        made = compile_with_inputs(request)
        for step, recording, types in zip(self.missing, made.recordings, made.types, strict=True):
            key, source = self._key(step)
            self._kept.add(key, recording, types, made.inputs)
            self._take(Compiled(recording, source, bool(types)), types)

    def _take(self, compiled: Compiled, types: tuple[NamedType, ...]) -> None:
        self.compiled.append(compiled)
        if types:
            self._types = tuple(sorted({*self._types, *types}, key=repr))

    def _key(self, step: Step) -> tuple[str, str]:
        """The key of the next step's recording, and its file's digest."""
        path = str(step.file)
        source = self._kept.digest(path)
        types = repr(self._types) if self._types else ""
        file = self._kept.relative(path)
        return _key(self._before, types, file, step.revision, step.direction, source), source


class _Kept:
    """The folder of recordings, as one command sees it: each file is looked at once."""

    def __init__(self, config: Config) -> None:
        self.folder = recordings_folder(config)
        self.config = config
        self._root = str(config.root) + os.sep
        self._digests: dict[str, str] = {}
        self._unchanged: dict[str, bool] = {}
        self._new: dict[str, Mapping[str, Any]] = {}
        self._project = ""
        self._now = time.time()

    def digest(self, path: str) -> str:
        """A file's digest, computed once."""
        if path not in self._digests:
            self._digests[path] = file_digest(path)
        return self._digests[path]

    def relative(self, path: str) -> str:
        """A path below the root without it: a project may be moved, or checked out elsewhere."""
        return path.removeprefix(self._root)

    def surroundings(self, wanted: Wanted) -> str:
        """The part of the key that all steps of a Wanted share."""
        self._project = self._project or _project_key(self.config, self.digest)
        bind = self.config.binds[wanted.bind]
        return _key(self._project, *_bind_key(bind), str(wanted.flavour), wanted.dialect)

    def read(self, key: str, step: Step) -> tuple[Recording, tuple[NamedType, ...]] | None:
        """A recording that may be used again with the types it leaves in memory, or None."""
        data = self._new.get(key) or self._load(key)
        if data is None or not self._same(str(data.get("inputs"))):
            return None
        try:
            recording = Recording(
                step.revision,
                step.direction,
                tuple(
                    Segment(tuple(map(_text, texts)), bool(transactional), tuple(map(int, lines)))
                    for transactional, texts, lines in data["segments"]
                ),
                tuple(
                    LiveReason(_text(name), self._shown(_text(where)), _text(detail))
                    for name, where, detail in data["live"]
                ),
            )
            types = tuple((_text(k), s and _text(s), _text(n)) for k, s, n in data["types"])
            return recording, types
        except (KeyError, TypeError, ValueError):
            return None

    def add(
        self,
        key: str,
        recording: Recording,
        types: Sequence[NamedType],
        inputs: InputDigests,
    ) -> None:
        """Have a recording written."""
        used = {"files": dict(inputs.files), "variables": dict(inputs.variables)}
        name = _key("inputs", json.dumps(used, sort_keys=True))
        self._new[name] = used
        self._unchanged[name] = True
        self._new[key] = {
            "inputs": name,
            "segments": [
                [one.transactional, one.statements, one.lines] for one in recording.segments
            ],
            "types": types,
            "live": [[one.name, self._plain(one.where), one.detail] for one in recording.live],
        }

    def write(self) -> None:
        """Write what was added. Raises OSError."""
        if not self._new:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, data in self._new.items():
            _write_whole(self.folder / f"{name}{_SUFFIX}", json.dumps(data))
        self._new.clear()
        self._sweep()

    def _load(self, name: str) -> dict[str, Any] | None:
        path = f"{self.folder}{os.sep}{name}{_SUFFIX}"
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - 400 of them must not be felt
                data = json.loads(file.read())
                used = os.fstat(file.fileno()).st_mtime
        except (OSError, ValueError):
            return None
        if self._now - used > _TOUCH_SECONDS:
            _touch(path)
        return data if isinstance(data, dict) else None

    def _same(self, name: str) -> bool:
        """Whether everything that a recording was made from is unchanged."""
        if name not in self._unchanged:
            used = self._load(name) or {}
            files, variables = used.get("files"), used.get("variables")
            self._unchanged[name] = (
                isinstance(files, dict)
                and isinstance(variables, dict)
                and all(self.digest(self._absolute(path)) == was for path, was in files.items())
                and all(variable_digest(name) == was for name, was in variables.items())
            )
        return self._unchanged[name]

    def _absolute(self, path: str) -> str:
        return path if path.startswith(os.sep) else self._root + path

    def _plain(self, where: str) -> str:
        """file:line below the root, from how it was shown: relative to the working directory."""
        return self.relative(str(Path.cwd() / where)) if where else ""

    def _shown(self, where: str) -> str:
        file, colon, line = where.rpartition(":")
        if colon and line.isdigit():
            return str(Where(Path(self._absolute(file)), int(line)))
        return self._absolute(where) if where else ""

    def _sweep(self) -> None:
        for path in (*self.folder.glob(f"*{_SUFFIX}"), *self.folder.glob(".*.part")):
            with suppress(OSError):  # Another run sweeps too.
                if self._now - path.stat().st_mtime > UNUSED_SECONDS:
                    path.unlink()


def _project_key(config: Config, digest: Callable[[str], str]) -> str:
    """What every recording of a project depends on and is known without running anything."""
    apps = config.apps
    recorder = Path(orchestrator.__path__[0]) / "revisions"
    return _key(
        "project",
        orchestrator.__version__,
        *(digest(str(path)) for path in sorted((recorder / "recording").glob("*.py"))),
        *(digest(str(recorder / name)) for name in ("compile.py", "options.py", "tree.py")),
        alembic.__version__,
        sqlalchemy.__version__,
        sys.version,
        *_installed(),
        digest(str(config.migrations / "env.py")),
        digest(str(config.root / "alembic.ini")),
        _alembics_toml(config.root / "pyproject.toml"),
        repr((apps.packages, apps.installed, apps.modules, apps.models, config.default_bind)),
        repr([(bind.name, bind.apps) for bind in config.binds.values()]),
    )


def _bind_key(bind: Bind) -> tuple[str, ...]:
    """What a recording depends on in its bind's part of databases.yaml."""
    return bind.name, str(bind.tenancy), bind.version_table, repr(bind.search_path)


def _installed() -> list[str]:
    """Every installed distribution with its version, as the names of their folders say: drivers,
    and plugins of Alembic, change what is recorded."""
    found: set[str] = set()
    for folder in sys.path:
        if folder.endswith("-packages"):
            found.update(path.name for path in Path(folder).glob("*-info"))
    return sorted(found)


def _alembics_toml(path: Path) -> str:
    """The part of pyproject.toml that Alembic reads."""
    try:
        text = path.read_text(encoding="utf-8")
        part = tomllib.loads(text).get("tool", {}).get("alembic") if "alembic" in text else None
    except (OSError, ValueError):
        return ""
    return json.dumps(part, sort_keys=True, default=str) if part else ""


def _key(*parts: str | Direction) -> str:
    hashed = hashlib.sha256()
    for part in parts:
        data = str(part).encode("utf-8", "surrogateescape")
        hashed.update(b"%d:" % len(data))
        hashed.update(data)
    return hashed.hexdigest()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _touch(path: str) -> None:
    with suppress(OSError):  # A folder that may only be read is good enough.
        os.utime(path)


def _write_whole(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
