"""The points at which a process may be killed: before and after whatever it sends to a server.

Enters: `Orders`, from the environment.  Leaves: the drivers patched, in this process and in every
worker that it spawns, so that the chosen point is reached and somebody dies there.

A batch is one text for the server, so nobody can die inside it by chance: at a point inside, only
the statements before it are sent, as if the rest had never arrived.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg2
import psycopg2.extensions
import pymysql.connections

from servers.process import kill_whole

VARIABLE = "ORCHESTRATOR_CHAOS"

Victim = Literal["orchestrator", "worker", "server", "nobody"]

_KINDS = (
    ("journal write", r"(CREATE TABLE IF NOT EXISTS|INSERT INTO) \S*orchestrator_journal"),
    ("journal clear", r"DELETE FROM \S*orchestrator_journal"),
    ("version row", r"(WITH changed AS \()?(INSERT INTO|UPDATE|DELETE FROM) \S*alembic_version"),
    ("commit", r"COMMIT\b"),
    ("statement", r"(INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|RENAME|TRUNCATE|COMMENT)\b"),
)
_ORIGINAL_QUERY = pymysql.connections.Connection.query
_ORIGINAL_CONNECT = psycopg2.connect


@dataclass(frozen=True, slots=True)
class Orders:
    """Who dies, at which point; counted over all processes of one run, from 1. skip: how many
    points of its own a worker lives on from there.

    points: the file in which they are counted and named. servers: the process of each server, by
    its port.
    """

    victim: Victim
    at: int
    skip: int
    points: str
    servers: Mapping[str, int]

    def environment(self) -> dict[str, str]:
        """The variable that hands them to a child."""
        return {VARIABLE: json.dumps(asdict(self))}


class Points:
    """Counts the points of a run, and kills at the one that was ordered."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._left = orders.skip
        self._file = os.open(orders.points, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def send(self, text: str, port: str, whole: Callable[[str], Any]) -> Any:
        """Send a text of one or more statements, unless somebody dies on the way."""
        statements = text.split("\n;\n")
        for place, statement in enumerate(statements):
            kind = kind_of(statement)
            if kind is None:
                continue
            for moment, sent in (("before", place), ("after", place + 1)):
                if self._reached(f"{moment} {kind}"):
                    return self._strike(statements, sent, port, whole)
        return whole(text)

    def _reached(self, name: str) -> bool:
        """Count a point; whether it is the one."""
        in_worker = multiprocessing.parent_process() is not None
        line = f"{'worker' if in_worker else 'parent'} {name}"
        os.write(self._file, line.ljust(39).encode() + b"\n")
        number = os.lseek(self._file, 0, os.SEEK_CUR) // 40
        if self._orders.victim == "worker":
            due = in_worker and number >= self._orders.at and self._left <= 0
            self._left -= in_worker and number >= self._orders.at
        else:
            due = number == self._orders.at
        return due and self._first(line)

    def _first(self, line: str) -> bool:
        """Whether nobody has died yet; says who does now."""
        try:
            with Path(f"{self._orders.points}.struck").open("x") as struck:
                struck.write(f"{self._orders.victim}: {line}")
        except FileExistsError:
            return False
        return True

    def _strike(
        self, statements: Sequence[str], sent: int, port: str, whole: Callable[[str], Any]
    ) -> Any:
        """Send so many of the statements, and have somebody die. Nothing is sent twice: the server
        would run it twice."""
        given = None
        try:
            if sent:
                given = whole("\n;\n".join(statements[:sent]))
        finally:
            self._die(port)
        if self._orders.victim == "server":
            return whole("\n;\n".join(statements))  # It is dead: this is how its client hears.
        # A worker lives on for a while behind its run's death.
        return whole("\n;\n".join(statements[sent:])) if statements[sent:] else given

    def _die(self, port: str) -> None:
        """End the victim. Returns where that is not this process."""
        if self._orders.victim == "server":
            kill_whole(self._orders.servers[port])
        elif self._orders.victim == "orchestrator" and multiprocessing.parent_process() is not None:
            os.kill(os.getppid(), signal.SIGKILL)
        else:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)


def kind_of(statement: str) -> str | None:
    """The kind of point that a statement is; None for those that change nothing."""
    for kind, pattern in _KINDS:
        if re.match(pattern, statement.lstrip(), re.IGNORECASE):
            return kind
    return None


def struck(points: Path) -> str:
    """Who died at which point of a run; "" when nobody did."""
    file = Path(f"{points}.struck")
    return file.read_text() if file.exists() else ""


def counted(points: Path) -> int:
    """How many points a run had."""
    return points.stat().st_size // 40 if points.exists() else 0


def install() -> None:
    """Patch the drivers as the environment orders; without orders nothing is patched."""
    told = os.environ.get(VARIABLE)
    if not told:
        return
    points = Points(Orders(**json.loads(told)))

    def query(self: Any, sql: str | bytes, unbuffered: bool = False) -> Any:
        text = sql.decode("utf-8", "surrogateescape") if isinstance(sql, bytes) else sql

        def whole(part: str) -> Any:
            encoded = part.encode("utf-8", "surrogateescape")
            done = _ORIGINAL_QUERY(self, encoded, unbuffered)
            while part != text and self._result is not None and self._result.has_next:
                self.next_result()
            return done

        return points.send(text, str(self.port), whole)

    class Cursor(psycopg2.extensions.cursor):
        def execute(self, query: Any, vars: Any = None) -> None:
            port = str(self.connection.info.port)
            if vars is not None or not isinstance(query, str):
                query, vars = self.mogrify(query, vars).decode(), None
            points.send(query, port, super().execute)

    def connect(*arguments: Any, **named: Any) -> Any:
        named.setdefault("cursor_factory", Cursor)
        return _ORIGINAL_CONNECT(*arguments, **named)

    pymysql.connections.Connection.query = query  # type: ignore[method-assign]
    psycopg2.connect = connect
