"""Recordings of whole paths: a history that did not change is not recorded again at every start.

Enters: the paths wanted, by bind and flavour.  Leaves: a recording of each, from the folder
`.orchestrator/recordings/` where it can be (`kept.py`), else made now and written there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from orchestrator.config import Config, Flavour
from orchestrator.errors import OrchestratorError
from orchestrator.revisions.compile import CompileRequest, compile_with_inputs
from orchestrator.revisions.kept import KeptRecordings
from orchestrator.revisions.recording.messages import NamedType
from orchestrator.revisions.types import Recording, Step

PROCESSES_A_REQUEST = 2


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


def compile_cached(
    config: Config, wanted: Sequence[Wanted], listener: Listener | None = None
) -> list[tuple[Compiled, ...]]:
    """The recordings of these paths, in the same order.

    What is missing is recorded now, several binds and flavours at the same time as far as there are
    processors.  A folder that cannot be written is a warning.  Raises what
    `revisions.compile.compile_steps` raises, with the problems of all binds.
    """
    heard = listener or Listener()
    kept = KeptRecordings(config)
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

    def __init__(self, kept: KeptRecordings, wanted: Wanted) -> None:
        self.wanted = wanted
        self.compiled: list[Compiled] = []
        self._kept = kept
        self._before = kept.surroundings(wanted.bind, wanted.flavour, wanted.dialect)
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
        return self._kept.key(self._before, self._types, step)
