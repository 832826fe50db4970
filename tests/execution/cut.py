"""Live steps run in this process, and cut at a chosen place: as if somebody had pulled the plug, or
as if the connection had broken.

Enters: a project with live revisions. Leaves: what a worker would have answered, or Unplugged.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2.extensions
import pymysql.connections
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from orchestrator.execution import live_run
from orchestrator.execution.drive import footing_of
from orchestrator.execution.live_types import LiveRevision, LiveStep
from orchestrator.execution.types import Outcome
from orchestrator.fleet.kept import KeptConnections
from orchestrator.fleet.types import Target
from orchestrator.revisions.types import Direction
from orchestrator.safety.owners import Owner
from tests.execution.replayed import MY, PG


class Unplugged(BaseException):
    """The process is gone, as far as its servers can tell."""


class Plug:
    """Counts what is sent; at `at` the connection is cut, before or after the server has got it.

    lost: the process lives on, and hears from its driver what a driver says then.
    """

    def __init__(self) -> None:
        self.at = 0
        self.after = self.lost = False
        self.count = 0
        self.pulled = False
        self.texts: list[str] = []

    def set(self, at: int, *, after: bool = False, lost: bool = False) -> None:
        """Cut at the next `at`th text; 0: never."""
        self.at, self.after, self.lost, self.count, self.pulled = at, after, lost, 0, False
        self.texts.clear()

    def through(self, connection: Any, text: Any, send: Callable[[], Any]) -> Any:
        """Let one text through, or not."""
        if self.pulled:
            raise Unplugged
        self.count += 1
        self.texts.append(str(text))
        if self.count == self.at and self.lost:
            with suppress(Exception):  # The server's answer never comes.
                if self.after:
                    send()
            _break(connection)
            return send()
        if self.count == self.at:
            self.pulled = True
            try:
                if self.after:
                    send()
            finally:
                _pull(connection)
                raise Unplugged
        return send()


def _pull(connection: Any) -> None:
    if hasattr(connection, "_force_close"):
        connection._force_close()
    else:
        connection.close()


def _break(connection: Any) -> None:
    """The network's end of it, which its driver has yet to hear of."""
    number = connection.fileno() if hasattr(connection, "fileno") else connection._sock.fileno()
    with socket.socket(fileno=os.dup(number)) as line:
        line.shutdown(socket.SHUT_RDWR)


@contextmanager
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    """The drivers' connections with a plug in them."""
    plug = Plug()
    query = pymysql.connections.Connection.query

    def sent(connection: Any, text: Any, *rest: Any, **named: Any) -> Any:
        return plug.through(connection, text, lambda: query(connection, text, *rest, **named))

    class Pulled(psycopg2.extensions.cursor):
        """As psycopg2's own, through the plug."""

        def execute(self, text: Any, given: Any = None) -> Any:
            send = super().execute
            return plug.through(self.connection, text, lambda: send(text, given))

    def connected(driver: Any, _record: Any) -> None:
        if isinstance(driver, psycopg2.extensions.connection):
            driver.cursor_factory = Pulled

    monkeypatch.setattr(pymysql.connections.Connection, "query", sent)
    event.listen(Engine, "connect", connected)
    try:
        yield plug
    finally:
        event.remove(Engine, "connect", connected)


class Here:
    """A worker's work in this process."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live_run, "_config", (root / "databases.yaml", root))
        monkeypatch.setattr(live_run, "_project", None)
        self._monkeypatch = monkeypatch
        # Another process would know nothing of the apps of the test before.
        monkeypatch.setattr(sys, "path", list(sys.path))
        for name in [name for name in sys.modules if name.partition(".")[0] == "apps"]:
            monkeypatch.delitem(sys.modules, name)

    def run(
        self,
        target: Target,
        states: tuple[tuple[str, ...], ...] = ((), ("r1",)),
        *,
        direction: Direction = Direction.UPGRADE,
        source: str = "digest",
        known: bool = False,
    ) -> Outcome:
        """Run r1 (and r2, ...) with connections of its own, as another process would. known: the
        server was reached before."""
        connections = KeptConnections()
        self._monkeypatch.setattr(live_run, "_connections", connections)
        flavour = PG if target.bind.family == "postgresql" else MY
        names = [f"r{number}" for number in range(1, len(states))]
        if direction is Direction.DOWNGRADE:
            names.reverse()
        steps = tuple(LiveRevision(name, direction, source) for name in names)
        footing = footing_of(target, flavour, Owner.here("test"))
        step = LiveStep(target, footing, steps, states, known=known)
        try:
            return live_run.run_in_worker(step)
        finally:
            connections.close()
