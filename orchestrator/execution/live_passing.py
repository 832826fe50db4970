"""What passes by itself of what goes wrong with a live step's connection.

Enters: an exception, SQLAlchemy's or a driver's, and the connection where there is one.
Leaves: why another try may go well, or the error that is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from orchestrator.errors import DatabaseError, Problem
from orchestrator.execution.replay.types import ReplayFailed
from orchestrator.fleet.borrowed import is_lost
from orchestrator.fleet.engines import driver_message, failed_state
from orchestrator.fleet.sessions import SendError
from orchestrator.fleet.types import Target
from orchestrator.safety.passing import Passing, answered, passing


def why_again(connection: Connection, error: Exception) -> tuple[Exception, Passing | None, bool]:
    """After a failure of a step on its way: the error to tell, why another try may go well, and
    whether the connection is gone. That is heard once; what is sent behind it, by whoever clears up
    after the first error, fails otherwise (SQLAlchemy's PendingRollbackError)."""
    driver_error = connection.dialect.loaded_dbapi.Error
    if not isinstance(error, (SQLAlchemyError, SendError, driver_error)):
        return error, None, False
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    lost = lost or is_lost(connection)
    if lost:
        told = [one for one in _chain(error) if isinstance(one, (DBAPIError, SendError))]
        error = told[-1] if told else error
    original = _original(error)
    if not isinstance(original, driver_error) and not lost:
        return error, None, False
    return error, passing(original or error, lost=lost), lost


def same_connection(connection: Connection, driver: object) -> None:
    """Raises ReplayFailed when SQLAlchemy has replaced the driver's connection by another one,
    which it does outside of transactions: that one has neither the target's lock nor its settings.
    """
    if connection.connection.dbapi_connection is not driver:
        raise ReplayFailed("the connection was lost", lost=True, passing="connection lost")


def refused(target: Target, error: Exception, *, known: bool) -> Exception:
    """Why there is no connection that stands in the target. known: its server was reached before:
    it is waited for."""
    original = _original(error.__cause__ if isinstance(error, DatabaseError) else error)
    if original is None:
        return error
    lost = not (isinstance(error, SendError) and answered(original))
    why = passing(original, lost=lost)
    if why == "connection lost" and failed_state(original).kind != "unreachable":
        why = None  # A database that is missing, or a password that is wrong.
    if why is not None and (known or why != "connection lost"):
        return ReplayFailed(driver_message(original), lost=lost, passing=why)
    if isinstance(error, DatabaseError):
        return error
    return DatabaseError(
        Problem(
            driver_message(original),
            where=f"target {target.id}",
            todo="Check its URL in databases.yaml.",
        )
    )


def _chain(error: BaseException | None) -> Iterator[Exception]:
    """An exception, and those that it was raised in place of."""
    while isinstance(error, Exception):
        yield error
        error = error.__cause__ or error.__context__


def _original(error: BaseException | None) -> BaseException | None:
    """The driver's exception in another one, or itself."""
    if isinstance(error, SendError):
        return error.error
    return error.orig or error if isinstance(error, DBAPIError) else error
