"""The fingerprints of targets, read in bulk.

Enters: targets, and the Scope of each.  Leaves: Fingerprints.  All servers are asked at the same
time, each over a few connections; one that does not answer keeps none of the others waiting, and
one denied or broken target hides no other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from orchestrator.checks import shapes_mysql, shapes_postgresql
from orchestrator.checks.places import Place, Reader, Told, Torn, Whole
from orchestrator.checks.scope import shape_of
from orchestrator.checks.types import Fingerprints, Scope, Shape
from orchestrator.errors import DatabaseError, Problem
from orchestrator.fleet.engines import connect_arguments, failed_state, make_engine, target_url
from orchestrator.fleet.state import CONNECTIONS, SERVERS
from orchestrator.fleet.types import State, Target

_LOST = 3
"""Attempts in a row that must fail before a server that had answered counts as gone."""

_WHOLES = 64
"""How many decoded texts are kept: places that hold the same come close together."""


def read_fingerprints(
    targets: Sequence[Target], scope_of: Callable[[Target], Scope]
) -> Fingerprints:
    """The fingerprint of each target. Never raises for what a server says."""
    if not targets:
        return Fingerprints()
    groups: dict[tuple[str, str], list[int]] = {}
    for index, target in enumerate(targets):
        groups.setdefault((target.bind.name, target.server.name), []).append(index)
    digests = _Digests([scope_of(target) for target in targets])
    with ThreadPoolExecutor(min(SERVERS, len(groups)), "orchestrator-checks") as threads:
        for done in [
            threads.submit(_Server(targets, indexes, digests).read) for indexes in groups.values()
        ]:
            done.result()
    return digests.all()


def read_shape(target: Target, scope: Scope) -> Shape:
    """The shape of one target. Raises DatabaseError when it cannot be read."""
    found = read_fingerprints([target], lambda _target: scope)
    if found.problems:
        raise DatabaseError(
            Problem(
                f"its schema cannot be read: {found.problems[0]}",
                where=f"target {target.id}",
                todo=f"`orchestrator status {target.options}` tells its state.",
            )
        )
    return found.shapes[found.digests[0]]


class _Digests:
    """What the readers have told, as digests; most targets tell the same. For many threads."""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self._scopes = scopes
        self._guard = threading.Lock()
        self._known: dict[tuple[bytes, Scope], str] = {}
        self._shapes: dict[str, Shape] = {}
        self._digests: dict[int, str] = {}
        self._problems: dict[int, str] = {}
        self._wholes: dict[bytes, Whole] = {}

    def scope(self, index: int) -> Scope:
        """The scope of the target with this index."""
        return self._scopes[index]

    def take(self, reader: Reader, told: Told) -> None:
        """Keep what a reader tells of one target."""
        if told.problem:
            self.fail([told.index], told.problem)
            return
        raw = sha256(told.raw.encode("utf-8", "surrogatepass")).digest()
        scope = self._scopes[told.index]
        digest = self._known.get((raw, scope))
        if digest is None:
            with self._guard:
                shape = shape_of(self._whole(reader, raw, told.raw), scope)
                digest = shape.digest
                self._known[raw, scope] = digest
                self._shapes.setdefault(digest, shape)
        self._digests[told.index] = digest

    def _whole(self, reader: Reader, key: bytes, raw: str) -> Whole:
        if key not in self._wholes:
            if len(self._wholes) >= _WHOLES:
                del self._wholes[next(iter(self._wholes))]
            self._wholes[key] = reader.whole_of(raw)
        return self._wholes[key]

    def fail(self, indexes: Iterable[int], problem: str) -> None:
        """Keep why these cannot be read, those apart that were read before."""
        for index in indexes:
            if index not in self._digests:
                self._problems.setdefault(index, problem)

    def all(self) -> Fingerprints:
        """Of all targets, in their order."""
        digests = tuple(self._digests.get(index, "") for index in range(len(self._scopes)))
        return Fingerprints(digests, dict(sorted(self._problems.items())), dict(self._shapes))


@dataclass(slots=True)
class _Job:
    """Places that one connection reads together. attempts: how many connections it has lost."""

    url: URL
    places: Sequence[Place]
    attempts: int = 0


@dataclass(slots=True)
class _Held:
    """The connection that a thread holds: where it leads, and the weight of what it has read."""

    connection: Connection
    url: URL
    read: int = 0


class _Server:
    """One bind's targets on one server: jobs, and the few connections that do them.

    Where each target is a database of PostgreSQL, each is a job of its own, with its own URL.
    """

    def __init__(
        self, targets: Sequence[Target], indexes: Sequence[int], digests: _Digests
    ) -> None:
        self._targets = targets
        self._indexes = indexes
        self._digests = digests
        self._one = targets[indexes[0]]
        postgresql = target_url(self._one).get_backend_name() == "postgresql"
        self._apart = postgresql and self._one.database is not None
        self._postgresql = postgresql
        self._reader: Reader = shapes_postgresql if postgresql else shapes_mysql
        self._jobs = deque(self._all_jobs())
        self._guard = threading.Lock()
        self._silent: list[str] = []
        self._mine = threading.local()

    def _all_jobs(self) -> Iterator[_Job]:
        if self._apart:
            for index in self._indexes:
                place = Place(index, None, self._digests.scope(index).schemas)
                yield _Job(target_url(self._targets[index]), [place])
            return
        url = target_url(self._one)
        places = [self._place(index, url) for index in self._indexes]
        if not self._postgresql:
            # A connection without a database serves all; one that is missing does not stop it.
            url = url.set(database="")
        size = min(self._reader.BATCH, -(-len(places) // CONNECTIONS))
        for first in range(0, len(places), size):
            yield _Job(url, places[first : first + size])

    def _place(self, index: int, url: URL) -> Place:
        target = self._targets[index]
        if not self._postgresql:
            return Place(index, target.database or url.database)
        if target.schema is not None:
            return Place(index, target.schema)
        return Place(index, None, self._digests.scope(index).schemas)

    def read(self) -> None:
        """Ask whether anybody answers, then do all jobs at the same time."""
        path = () if self._one.schema is not None else self._one.bind.search_path
        engine = make_engine(self._jobs[0].url, path)
        event.listen(engine, "do_connect", self._connect)
        held = None
        try:
            try:
                held = self._open(engine, self._jobs[0].url)
            except DBAPIError as error:
                if not self._apart or self._note(failed_state(error)):
                    self._digests.fail(self._indexes, failed_state(error).detail)
                    return
            workers = max(1, min(CONNECTIONS, self._one.server.max_connections, len(self._jobs)))
            with ThreadPoolExecutor(workers, "orchestrator-checks") as threads:
                for done in [
                    threads.submit(self._work, engine, None if number else held)
                    for number in range(workers)
                ]:
                    done.result()
        finally:
            engine.dispose()
        self._digests.fail(self._indexes, self._silent[-1] if self._silent else "not read")

    def _work(self, engine: Engine, held: _Held | None) -> None:
        """Do one job after the other. A connection that cannot be had leaves the jobs to others,
        unless each job has its own."""
        try:
            while len(self._silent) < _LOST and (job := self._next()) is not None:
                try:
                    held = self._ready(engine, held, job)
                except DBAPIError as error:
                    held = None
                    self._note(failed_state(error), always=not self._apart)
                    if not self._apart:
                        self._jobs.appendleft(job)
                        return
                    self._digests.fail([job.places[0].index], failed_state(error).detail)
                    continue
                held = self._do(held, job)
        finally:
            if held is not None:
                held.connection.close()

    def _next(self) -> _Job | None:
        try:
            return self._jobs.popleft()
        except IndexError:
            return None

    def _ready(self, engine: Engine, held: _Held | None, job: _Job) -> _Held:
        """A connection for this job: the one that is held, where it leads there and is fresh."""
        if held is not None:
            limit = self._reader.PER_CONNECTION
            if held.url == job.url and not (limit and held.read >= limit):
                return held
            held.connection.close()
        return self._open(engine, job.url)

    def _open(self, engine: Engine, url: URL) -> _Held:
        self._mine.url = url
        connection = engine.connect()
        try:
            connection = connection.execution_options(isolation_level=self._reader.ISOLATION)
            self._reader.prepare(connection)
        except BaseException:
            connection.close()
            raise
        with self._guard:
            self._silent.clear()
        return _Held(connection, url)

    def _do(self, held: _Held, job: _Job) -> _Held | None:
        """Read a job's places; None when the connection was lost over them."""
        try:
            left = self._read(held, job.places)
            if left:
                self._jobs.append(_Job(job.url, left))
            return held
        except DBAPIError as error:
            held.connection.close()
            if job.attempts:
                places = [place.index for place in job.places]
                self._digests.fail(places, failed_state(error).detail)
            else:
                self._jobs.append(_Job(job.url, job.places, attempts=1))
            return None

    def _read(self, held: _Held, places: Sequence[Place], *, again: bool = True) -> list[Place]:
        """Read places together, and in halves what cannot be read together; gives those that the
        reader has stopped short of. Raises DBAPIError when the connection is lost."""
        left = {place.index: place for place in places}
        try:
            for told in self._reader.read_batch(held.connection, places):
                self._digests.take(self._reader, told)
                held.read += told.weight
                del left[told.index]
            held.connection.rollback()
            return list(left.values())
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            problem = failed_state(error).detail
        except (UnicodeError, Torn) as error:
            problem = str(error)
        held.connection.rollback()
        half = len(places) // 2
        if half:
            first = self._read(held, places[:half], again=False)
            return first + self._read(held, places[half:], again=False)
        if again:
            # Something may have been dropped while it was looked at.
            return self._read(held, places, again=False)
        self._digests.fail([places[0].index], problem)
        return []

    def _note(self, state: State, *, always: bool = False) -> bool:
        """Remember that nobody answered at all; gives whether that is so. A server that refuses
        says so with its severity, and may let others in (PostgreSQL manual, "Error and Notice
        Message Fields")."""
        silent = state.kind == "unreachable" and "FATAL" not in state.detail
        with self._guard:
            if silent or always:
                self._silent.append(state.detail)
            else:
                self._silent.clear()
        return silent

    def _connect(self, dialect: Any, _record: Any, _args: Any, _named: Any) -> Any:
        """Connect to where the thread is going: an engine for each database would ask every one of
        them for its version, its encoding and more."""
        url: URL = self._mine.url
        arguments, named = dialect.create_connect_args(url)
        return dialect.connect(*arguments, **{**connect_arguments(url), **named})
