"""A session's first and last words in a target, and what it finds there.

Enters: a Session and its Footing.  Leaves: the session in the target, alone by the target's lock;
errors of the driver as ReplayFailed or Locked.
"""

from __future__ import annotations

from orchestrator.execution.replay.types import Footing, Locked, Moved, ReplayFailed
from orchestrator.fleet.engines import driver_message
from orchestrator.fleet.sessions import PostgreSQLSession, SendError, Session
from orchestrator.fleet.version_tables import written
from orchestrator.planning.statements import Place, create_version_table, literal
from orchestrator.safety.holders import holder_words
from orchestrator.safety.locks import is_held
from orchestrator.safety.passing import limit_words, passing

# MySQL 8.4 error reference.
_NO_SUCH_TABLE = 1146


def enter(session: Session, footing: Footing) -> None:
    """Start afresh in a target, with its lock. On PostgreSQL both happen with the first statements
    that are sent next. Raises Locked and ReplayFailed."""
    place = footing.place
    also = [*footing.settings, footing.lock.take]
    try:
        session.enter(place.schema, place.search_path, place.database, also)
    except SendError as error:
        raise failed(session, footing, error) from error


def leave(session: Session, footing: Footing) -> None:
    """Give the lock back, unless the last statements did. Never fails: where the session is lost,
    the server gives it back."""
    try:
        session.leave(footing.lock.give_back)
    except SendError:
        session.close()


def current_rows(session: Session, footing: Footing) -> tuple[str, ...]:
    """The version table's rows, () when there is no table. Raises Locked and ReplayFailed."""
    place = footing.place
    try:
        if isinstance(session, PostgreSQLSession):
            there = session.rows(f"SELECT to_regclass({literal(place.versions)}) IS NOT NULL")
            if not there[0][0]:
                return ()
        found = session.rows(_rows_query(place))
        return tuple(sorted(written(row[0]) for row in found))
    except SendError as error:
        if error.error.args and error.error.args[0] == _NO_SUCH_TABLE:
            return ()
        raise failed(session, footing, error) from error


def _rows_query(place: Place) -> str:
    return f"SELECT version_num FROM {place.versions}"


def purge_rows(session: Session, footing: Footing) -> None:
    """Empty the version table, making it where it is missing. Raises Locked and ReplayFailed."""
    place = footing.place
    try:
        session.batch([create_version_table(place), f"DELETE FROM {place.versions}"])
    except SendError as error:
        raise failed(session, footing, error, error.statement) from error


def failed(
    session: Session, footing: Footing, error: SendError, statement: str = "", kept: int = 0
) -> ReplayFailed | Locked:
    """The exception that tells a driver's error."""
    if is_held(error, footing.lock):
        return Locked(holder_words(session, footing.lock, _journal(footing)))
    return ReplayFailed(
        limit_words(error.error, session.limit) + driver_message(error.error),
        statement,
        lost=session.lost,
        kept=kept,
        passing=passing(error.error, lost=session.lost),
    )


def _journal(footing: Footing) -> str:
    place = footing.place
    return place.journal if place.flavour.family == "mysql" else ""


def look_again(
    session: Session, footing: Footing, expected: tuple[str, ...], kept: int, error: SendError
) -> None:
    """After a refusal: raise Moved when the reason may be that somebody else took this step."""
    if kept:
        return  # Part of it was done here as well: that must be told.
    found = current_rows(session, footing)
    if found != expected:
        raise Moved(found) from error
