"""Recordings, kept: a history that did not change is not recorded again at every start.

Enters: the steps wanted, by bind and flavour.  Leaves: a recording of each, from the folder
`.orchestrator/recordings/` where it can be, else made now and written there.

A recording is found by a key over everything that is known before (the revision file's bytes,
direction, flavour, env.py, versions of what is installed ...), and counts only while everything
that was imported or read as it was made is unchanged.  Files that are damaged, foreign or of
another version count as absent.  They are written whole under another name and then renamed, so
that several runs may share the folder.
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
from orchestrator.revisions.types import Direction, LiveReason, Recording, Segment, Step

PROCESSES_A_REQUEST = 2
UNUSED_SECONDS = 30 * 86_400.0
"""Files that nobody has asked for in this time are swept when something is written."""
_TOUCH_SECONDS = 86_400.0
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Steps of one bind whose recordings on one flavour are wanted.

    dialect: the name in the servers' URLs ("mysql" also for a MariaDB reached through mysql://).
    """

    bind: str
    flavour: Flavour
    dialect: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A recording, with the SHA-256 of the revision file that it was made from."""

    recording: Recording
    source: str


@dataclass(frozen=True, slots=True)
class Listener:
    """Whoever wants to hear what takes time: recording (with how many steps), and warnings."""

    recording: Callable[[Wanted, int], None] = lambda _wanted, _steps: None
    warning: Callable[[str], None] = lambda _text: None


def recordings_folder(config: Config) -> Path:
    """Where a project's recordings are kept."""
    return config.root / ".orchestrator" / "recordings"


def compile_cached(
    config: Config, wanted: Sequence[Wanted], listener: Listener | None = None
) -> list[tuple[Compiled, ...]]:
    """The recordings of these steps, in the same order.

    What is missing is recorded now, several binds and flavours at the same time as far as there are
    processors.  A folder that cannot be written is a warning.  Raises what
    `revisions.compile.compile_steps` raises, with the problems of all binds.
    """
    heard = listener or Listener()
    kept = _Kept(config)
    drawers = [_Drawer(kept, one) for one in wanted]
    missing = [drawer for drawer in drawers if drawer.missing]
    for drawer in missing:
        heard.recording(drawer.wanted, len(drawer.missing))
    for drawer, made in zip(missing, _record(config, missing), strict=True):
        drawer.fill(*made)
    try:
        kept.write()
    except OSError as error:
        heard.warning(
            f"recordings cannot be kept in {kept.folder}: {error.strerror}; they are made again "
            "by the next command"
        )
    return [drawer.compiled() for drawer in drawers]


def _record(
    config: Config, drawers: Sequence[_Drawer]
) -> list[tuple[tuple[Recording, ...], InputDigests]]:
    requests = [
        CompileRequest(
            config.file,
            config.root,
            drawer.wanted.bind,
            drawer.wanted.flavour,
            tuple((step.revision, step.direction) for step in drawer.missing),
            drawer.wanted.dialect,
        )
        for drawer in drawers
    ]
    side_by_side = len(os.sched_getaffinity(0)) // PROCESSES_A_REQUEST
    if side_by_side < 2 or len(requests) < 2:
        return [compile_with_inputs(request) for request in requests]
    with ThreadPoolExecutor(side_by_side) as threads:
        futures = [threads.submit(compile_with_inputs, request) for request in requests]
    errors = [error for future in futures if (error := future.exception()) is not None]
    told = [error for error in errors if isinstance(error, OrchestratorError)]
    if errors and len(told) == len(errors):
        raise type(told[0])(dict.fromkeys(problem for one in told for problem in one.problems))
    return [future.result() for future in futures]


class _Drawer:
    """The recordings of one Wanted: those that were kept, and those that are missing."""

    def __init__(self, kept: _Kept, wanted: Wanted) -> None:
        self.wanted = wanted
        self._kept = kept
        before = kept.surroundings(wanted)
        self._sources = [kept.digest(str(step.file)) for step in wanted.steps]
        self._keys = [
            _key(before, kept.relative(str(step.file)), step.revision, step.direction, source)
            for step, source in zip(wanted.steps, self._sources, strict=True)
        ]
        self._found = [
            kept.read(key, step) for key, step in zip(self._keys, wanted.steps, strict=True)
        ]

    @property
    def missing(self) -> tuple[Step, ...]:
        """Steps without a recording."""
        return tuple(
            step
            for step, found in zip(self.wanted.steps, self._found, strict=True)
            if found is None
        )

    def fill(self, recordings: Iterable[Recording], inputs: InputDigests) -> None:
        """Take the recordings of what was missing."""
        made = iter(recordings)
        for number, found in enumerate(self._found):
            if found is None:
                self._found[number] = recording = next(made)
                self._kept.add(self._keys[number], recording, inputs)

    def compiled(self) -> tuple[Compiled, ...]:
        """All recordings, in the order of the steps."""
        return tuple(
            Compiled(found, source)
            for found, source in zip(self._found, self._sources, strict=True)
            if found is not None
        )


class _Kept:
    """The folder of recordings, as one command sees it: each file is looked at once."""

    def __init__(self, config: Config) -> None:
        self.folder = recordings_folder(config)
        self._config = config
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
        self._project = self._project or _project_key(self._config, self.digest)
        bind = self._config.binds[wanted.bind]
        return _key(self._project, *_bind_key(bind), str(wanted.flavour), wanted.dialect)

    def read(self, key: str, step: Step) -> Recording | None:
        """A recording that may be used again, or None."""
        data = self._load(key)
        if data is None or not self._same(str(data.get("inputs"))):
            return None
        try:
            return Recording(
                step.revision,
                step.direction,
                tuple(
                    Segment(tuple(map(_text, statements)), bool(transactional))
                    for transactional, statements in data["segments"]
                ),
                tuple(
                    LiveReason(_text(name), self._shown(_text(where)), _text(detail))
                    for name, where, detail in data["live"]
                ),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def add(self, key: str, recording: Recording, inputs: InputDigests) -> None:
        """Have a recording written."""
        used = {"files": dict(inputs.files), "variables": dict(inputs.variables)}
        name = _key("inputs", json.dumps(used, sort_keys=True))
        self._new[name] = used
        self._new[key] = {
            "inputs": name,
            "segments": [[one.transactional, one.statements] for one in recording.segments],
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
