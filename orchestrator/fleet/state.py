"""The state of targets, read in bulk: which exist, and what their version tables and journals hold.

Enters: targets.  Leaves: a State for each, in the same order, and the flavours of their servers.
All servers are asked at the same time, each over a few connections at most; one that does not
answer keeps none of the others waiting, and one denied or broken target hides no other.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from orchestrator.config import Flavour, Server
from orchestrator.fleet.engines import (
    autocommitted,
    connect_arguments,
    failed_state,
    flavour_of,
    make_engine,
    target_url,
)
from orchestrator.fleet.types import State, Target
from orchestrator.fleet.version_tables import (
    BATCH,
    Found,
    Place,
    States,
    mysql_catalogue,
    postgresql_catalogue,
    prepare,
    read_rows,
)

SERVERS = 64
"""Servers that are asked at the same time."""

CONNECTIONS = 4
"""Connections that read from one server, where it allows as many."""

_LOST = 3
"""Attempts in a row that must fail before a server that had answered counts as gone."""


@dataclass(frozen=True, slots=True)
class FleetState:
    """What the servers of some targets tell.

    states: in the order of the targets. flavours: of each server that answered, by the names of
    bind and server.
    """

    states: tuple[State, ...] = ()
    flavours: Mapping[tuple[str, str], Flavour] = field(default_factory=dict)


def read_states(targets: Sequence[Target]) -> tuple[State, ...]:
    """The state of each target, in the order given. Never raises for what a server says."""
    return read_fleet(targets).states


def read_fleet(targets: Sequence[Target]) -> FleetState:
    """The states of these targets, and the flavours of their servers. Never raises for what a
    server says."""
    if not targets:
        return FleetState()
    groups: dict[tuple[str, str], list[int]] = {}
    for index, target in enumerate(targets):
        groups.setdefault((target.bind.name, target.server.name), []).append(index)
    found: States = {}
    flavours: dict[tuple[str, str], Flavour] = {}
    with ThreadPoolExecutor(min(SERVERS, len(groups)), "orchestrator-state") as threads:
        readings = threads.map(lambda indexes: _read_server(targets, indexes), groups.values())
        for name, reading in zip(groups, readings, strict=True):
            found.update(reading.states)
            if reading.flavour is not None:
                flavours[name] = reading.flavour
    return FleetState(tuple(found[index] for index in range(len(targets))), flavours)


@dataclass(slots=True)
class _Reading:
    """What one server has told so far."""

    states: States = field(default_factory=dict)
    flavour: Flavour | None = None

    def rest(self, indexes: Sequence[int], state: State) -> _Reading:
        """The same, with one state for every target that has none yet."""
        for index in indexes:
            self.states.setdefault(index, state)
        return self


def _read_server(targets: Sequence[Target], indexes: Sequence[int]) -> _Reading:
    """The states of one bind's targets on one server."""
    one = targets[indexes[0]]
    postgresql = target_url(one).get_backend_name() == "postgresql"
    if postgresql and one.database is not None:
        return _Databases(targets, indexes).read()
    tables = one.bind.version_table, one.bind.journal_table
    url = target_url(one)
    if postgresql:
        places = [Place(index, targets[index].schema, *tables) for index in indexes]
        return _together(url, () if one.schema else one.bind.search_path, one.server, places)
    # MySQL reads across databases, so a connection without one serves all of them; one that is
    # missing then does not stop it.
    places = [Place(index, targets[index].database or url.database, *tables) for index in indexes]
    return _together(url.set(database=""), (), one.server, places)


def _together(
    url: URL, search_path: Sequence[str], server: Server, places: Sequence[Place]
) -> _Reading:
    """Tables that one connection can reach: the catalogue, then batch by batch."""
    reading = _Reading()
    engine = make_engine(url, search_path)
    try:
        with _reader(engine) as connection:
            reading.flavour = flavour_of(connection)
            catalogue = (
                postgresql_catalogue if reading.flavour.family == "postgresql" else mysql_catalogue
            )
            told, readable = catalogue(connection, places)
            reading.states.update(told)
            batches: queue.SimpleQueue[Sequence[Found]] = queue.SimpleQueue()
            for first in range(0, len(readable), BATCH):
                batches.put(readable[first : first + BATCH])
            helpers = min(CONNECTIONS, server.max_connections, batches.qsize() // 2) - 1
            with ThreadPoolExecutor(max(1, helpers), "orchestrator-state") as threads:
                helping = [threads.submit(_help, engine, batches) for _ in range(helpers)]
                reading.states.update(_read_batches(connection, batches))
                for one in helping:
                    reading.states.update(one.result())
    except DBAPIError as error:
        reading.rest([place.index for place in places], failed_state(error))
    finally:
        engine.dispose()
    return reading


def _help(engine: Engine, batches: queue.SimpleQueue[Sequence[Found]]) -> States:
    """Read on a connection of its own; without one, the others read all."""
    try:
        with _reader(engine) as connection:
            return _read_batches(connection, batches)
    except DBAPIError:
        return {}


def _read_batches(connection: Connection, batches: queue.SimpleQueue[Sequence[Found]]) -> States:
    found: States = {}
    while True:
        try:
            batch = batches.get_nowait()
        except queue.Empty:
            return found
        found.update(read_rows(connection, batch))


@contextmanager
def _reader(engine: Engine) -> Iterator[Connection]:
    with autocommitted(engine) as connection:
        prepare(connection)
        yield connection


class _Databases:
    """A PostgreSQL server where each target is a database: a connection for each, few at a time."""

    def __init__(self, targets: Sequence[Target], indexes: Sequence[int]) -> None:
        self._targets = targets
        self._indexes = indexes
        self._server = targets[indexes[0]].server
        self._reading = _Reading()
        self._guard = threading.Lock()
        self._silent: list[State] = []
        self._mine = threading.local()

    def read(self) -> _Reading:
        """Ask until the server answers once, then ask for all the others at the same time."""
        one = self._targets[self._indexes[0]]
        engine = make_engine(target_url(one), one.bind.search_path)
        event.listen(engine, "do_connect", self._connect)
        waiting = iter(self._indexes)
        try:
            first = self._one(engine, next(waiting))
            if _is_silence(first):
                return self._reading.rest(self._indexes, first)
            # One iterator for all threads: each takes the next database when it is free.
            workers = min(CONNECTIONS, self._server.max_connections)
            with ThreadPoolExecutor(workers, "orchestrator-state") as threads:
                for done in [threads.submit(self._work, engine, waiting) for _ in range(workers)]:
                    done.result()
        finally:
            engine.dispose()
        if len(self._silent) >= _LOST:
            self._reading.rest(self._indexes, self._silent[-1])
        return self._reading

    def _work(self, engine: Engine, waiting: Iterator[int]) -> None:
        while len(self._silent) < _LOST:
            with self._guard:
                index = next(waiting, None)
            if index is None:
                return
            state = self._one(engine, index)
            with self._guard:
                self._silent = [*self._silent, state] if _is_silence(state) else []

    def _one(self, engine: Engine, index: int) -> State:
        target = self._targets[index]
        self._mine.url = target_url(target)
        try:
            with _reader(engine) as connection:
                self._reading.flavour = flavour_of(connection)
                bind = target.bind
                place = Place(index, None, bind.version_table, bind.journal_table)
                told, readable = postgresql_catalogue(connection, [place])
                state = {**told, **read_rows(connection, readable)}[index]
        except DBAPIError as error:
            state = failed_state(error)
        self._reading.states[index] = state
        return state

    def _connect(self, dialect: Any, _record: Any, _args: Any, _named: Any) -> Any:
        """Connect to the thread's own database: an engine for each would ask every one of them for
        its version, its encoding and more."""
        url: URL = self._mine.url
        arguments, named = dialect.create_connect_args(url)
        return dialect.connect(*arguments, **{**connect_arguments(url), **named})


def _is_silence(state: State) -> bool:
    """Whether nobody answered at all. A server that refuses says so with its severity, and may let
    others in (PostgreSQL 18 manual, 54.8 "Error and Notice Message Fields")."""
    return state.kind == "unreachable" and "FATAL" not in state.detail
