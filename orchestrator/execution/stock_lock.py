"""The lock of a target for stock Alembic: the same that orchestrator's own runs take.

Enters: a connection to a target, that a command of `alembic` is to change.  Leaves: the target
locked, with nothing half-done in it, for as long as a block lasts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import DatabaseError, Problem
from orchestrator.execution import telling
from orchestrator.execution.drive import footing_of
from orchestrator.execution.live_rows import half_applied_in
from orchestrator.execution.patience import Patience
from orchestrator.execution.replay.types import Footing, Locked
from orchestrator.fleet.borrowed import borrowed, send
from orchestrator.fleet.engines import driver_message, flavour_of
from orchestrator.fleet.sessions import SendError
from orchestrator.fleet.types import Target
from orchestrator.planning.halfway import halted
from orchestrator.safety.holders import holder_words
from orchestrator.safety.locks import is_held
from orchestrator.safety.owners import Owner
from orchestrator.safety.settings import session_settings

_log = logging.getLogger("orchestrator")


@contextmanager
def locked(connection: Connection, target: Target) -> Iterator[None]:
    """Hold a target's lock on this connection, which is outside a transaction. It is waited for as
    long as the bind says; its time limits do not apply: whoever runs `alembic` does not expect
    them. Raises DatabaseError when somebody else keeps the lock, or left a step half-way."""
    flavour, owner = flavour_of(connection), Owner.here()
    settings = session_settings(target.bind, flavour, owner, limits=False)
    footing = replace(footing_of(target, flavour, owner), settings=tuple(settings))
    _take(connection, target, footing)
    try:
        _refuse_half_applied(connection, target, footing)
        yield
    finally:
        with suppress(SQLAlchemyError, SendError):
            if not connection.invalidated:
                connection.rollback()
                send(connection, [footing.lock.give_back])


def _take(connection: Connection, target: Target, footing: Footing) -> None:
    def attempt() -> None:
        try:
            send(connection, [*footing.settings, footing.lock.take])
        except SendError as error:
            if not is_held(error, footing.lock):
                raise
            with borrowed(connection) as session:
                raise Locked(holder_words(session, footing.lock)) from error

    # A warning of a logger that alembic.ini does not configure is printed: nobody waits in silence.
    told = Patience(target.bind, told=lambda words: _log.warning("%s: %s", target.id, words))
    try:
        told.persist(attempt, lambda: None)
    except Locked as error:
        message = telling.held(target.bind, error).message
        todo = "See `orchestrator locks`; wait longer with `lock_wait` in databases.yaml."
        raise DatabaseError(Problem(message, where=f"target {target.id}", todo=todo)) from error
    except SendError as error:
        raise _refused(target, error) from error


def _refuse_half_applied(connection: Connection, target: Target, footing: Footing) -> None:
    try:
        half = half_applied_in(connection, footing.place)
    except SendError as error:
        raise _refused(target, error) from error
    if half is not None:
        raise DatabaseError(replace(halted(target, half), where=f"target {target.id}"))


def _refused(target: Target, error: SendError) -> DatabaseError:
    return DatabaseError(Problem(driver_message(error.error), where=f"target {target.id}"))
