"""The folder `.orchestrator/recordings/`: what was recorded once, for as long as it is still true.

Enters: a project, and recordings as they are made.  Leaves: a recording where one was kept and may
be used again, else None.

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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import alembic
import sqlalchemy

import orchestrator
from orchestrator.config import Bind, Config, Flavour
from orchestrator.config.types import Where
from orchestrator.revisions.recording.inputs import InputDigests, file_digest, variable_digest
from orchestrator.revisions.recording.messages import NamedType
from orchestrator.revisions.types import Direction, LiveReason, Recording, Segment, Step

UNUSED_SECONDS = 30 * 86_400.0
"""Files that nobody has asked for in this time are swept when something is written."""
_TOUCH_SECONDS = 86_400.0
_SUFFIX = ".json"


def recordings_folder(config: Config) -> Path:
    """Where they are kept."""
    return config.root / ".orchestrator" / "recordings"


class KeptRecordings:
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

    def _digest(self, path: str) -> str:
        """A file's digest, computed once."""
        if path not in self._digests:
            self._digests[path] = file_digest(path)
        return self._digests[path]

    def _relative(self, path: str) -> str:
        """A path below the root without it: a project may be moved, or checked out elsewhere."""
        return path.removeprefix(self._root)

    def surroundings(self, bind: str, flavour: Flavour, dialect: str) -> str:
        """The part of the key that all steps of a bind's history on one flavour share."""
        self._project = self._project or _project_key(self.config, self._digest)
        of_bind = _bind_key(self.config.binds[bind])
        return _key(self._project, *of_bind, str(flavour), dialect)

    def key(self, surroundings: str, types: Sequence[NamedType], step: Step) -> tuple[str, str]:
        """The key of a step's recording after steps that left these types in Alembic's memory, and
        the digest of the revision file."""
        path = str(step.file)
        source = self._digest(path)
        before = repr(types) if types else ""
        file = self._relative(path)
        return _key(surroundings, before, file, step.revision, step.direction, source), source

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
                and all(self._digest(self._absolute(path)) == was for path, was in files.items())
                and all(variable_digest(name) == was for name, was in variables.items())
            )
        return self._unchanged[name]

    def _absolute(self, path: str) -> str:
        return path if path.startswith(os.sep) else self._root + path

    def _plain(self, where: str) -> str:
        """file:line below the root, from how it was shown: relative to the working directory."""
        return self._relative(str(Path.cwd() / where)) if where else ""

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
