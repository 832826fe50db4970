"""statement_timeout of live steps: kept on MySQL, which does not do so itself, and told everywhere
in the same words as for compiled ones.

Enters: a SQLAlchemy connection and a bind's limit.  Leaves: its statements ended by KILL QUERY when
they run too long, and a Failure that says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from orchestrator.execution.types import Failure
from orchestrator.execution.watchdog import Watchdog
from orchestrator.fleet.engines import connect_arguments, greeted
from orchestrator.fleet.running import Running
from orchestrator.safety.passing import limit_words


@contextmanager
def limited(connection: Connection, limit: float) -> Iterator[None]:
    """Keep the limit, in seconds, for all statements of a block. Does nothing where there is none,
    and where the server keeps it."""
    dialect = connection.dialect
    if not limit or dialect.driver != "pymysql" or getattr(dialect, "is_mariadb", False):
        yield
        return
    driver: Any = connection.connection.dbapi_connection
    running = Running(driver, lambda: _again(connection), lambda: limit)
    watchdog = Watchdog(lambda: [running])
    watchdog.watch(running)
    heard = {
        "before_cursor_execute": lambda *_: running.begins(),
        "after_cursor_execute": lambda *_: running.ends(),
    }
    for name, hear in heard.items():
        event.listen(connection, name, hear)
    try:
        yield
    except DBAPIError as error:
        if error.orig is not None:
            running.tell(error.orig)
        raise
    finally:
        running.ends()
        watchdog.stop()
        for name, hear in heard.items():
            event.remove(connection, name, hear)


def _again(connection: Connection) -> Any:
    """A connection of the same engine's, outside of its pool, which may allow one only."""
    url = connection.engine.url
    arguments, named = connection.dialect.create_connect_args(url)
    made = connection.dialect.connect(*arguments, **{**named, **connect_arguments(url)})
    greeted(made, url)
    return made


def told(failure: Failure, error: BaseException, limit: float) -> Failure:
    """The failure of a live step, with the limit named where that is its reason."""
    original = error.orig if isinstance(error, DBAPIError) else None
    words = limit_words(original, limit) if original is not None else ""
    return replace(failure, message=words + failure.message)
