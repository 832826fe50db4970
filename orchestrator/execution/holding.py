"""The locks of targets that are held now, asked for in bulk, and ended where a person says so.

Enters: targets.  Leaves: those whose lock is held, with its holder; and problems of servers that
could not be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy.engine import URL

from orchestrator.config import Flavour
from orchestrator.config.urls import FAMILIES, database_name
from orchestrator.errors import DatabaseError, Problem
from orchestrator.fleet.engines import driver_message, target_url
from orchestrator.fleet.sessions import SendError, Session, open_session
from orchestrator.fleet.types import Target
from orchestrator.planning.statements import place_of
from orchestrator.safety.holders import Holder, Sought, end_holder, holders
from orchestrator.safety.locks import lock_of

_SERVERS = 64
"""Servers that are asked at the same time."""
_TRIES = 3
"""So many databases of a PostgreSQL server are tried for one that is there."""


@dataclass(frozen=True, slots=True)
class Held:
    """A target whose lock somebody holds."""

    target: Target
    sought: Sought
    holder: Holder


@dataclass(frozen=True, slots=True)
class HeldLocks:
    """What servers tell of their locks, in the order of the targets. problems: one for each server
    that could not be asked."""

    held: tuple[Held, ...]
    problems: tuple[Problem, ...]


def held_locks(targets: Sequence[Target]) -> HeldLocks:
    """Ask all servers of these targets, over one connection each. Never raises for what a server
    says."""
    groups: dict[URL, list[Target]] = {}
    for target in targets:
        groups.setdefault(target_url(target).set(database=""), []).append(target)
    if not groups:
        return HeldLocks((), ())
    with ThreadPoolExecutor(min(_SERVERS, len(groups)), "orchestrator-locks") as threads:
        answers = list(threads.map(_ask, groups.values()))
    found = {one.target.id: one for answer in answers if isinstance(answer, list) for one in answer}
    return HeldLocks(
        tuple(found[target.id] for target in targets if target.id in found),
        tuple(answer for answer in answers if isinstance(answer, Problem)),
    )


def end_held(held: Held) -> bool:
    """End the session that holds a target's lock; False when it holds it no more. Raises
    DatabaseError when the server cannot be reached or refuses."""
    try:
        session = _opened([held.target])
        try:
            return end_holder(session, held.sought, held.holder)
        finally:
            session.close()
    except SendError as error:
        raise DatabaseError(
            Problem(
                f"session {held.holder.session} cannot be ended: {driver_message(error.error)}",
                where=f"target {held.target.id}",
                todo="Let a user end it who has the right to (pg_signal_backend on PostgreSQL,"
                " CONNECTION_ADMIN or SUPER on MySQL and MariaDB).",
            )
        ) from error


def sought_of(target: Target) -> Sought:
    """The lock of a target, and where it holds."""
    url = target_url(target)
    family = FAMILIES[url.get_backend_name()]
    place = place_of(target, Flavour("postgresql" if family == "postgresql" else "mysql"))
    lock = lock_of(family, place.database, place.schema, place.version_table)
    if family == "postgresql":
        return Sought(lock, database_name(url))
    inside = f"{place.quote(place.database)}." if place.database else ""
    return Sought(lock, journal=inside + place.journal)


def _ask(targets: Sequence[Target]) -> list[Held] | Problem:
    sought = [sought_of(target) for target in targets]
    try:
        session = _opened(targets)
        try:
            found = holders(session, sought)
        finally:
            session.close()
    except (SendError, DatabaseError) as error:
        return _unknown(targets[0], error)
    return [
        Held(target, lock, holder)
        for target, lock, holder in zip(targets, sought, found, strict=True)
        if holder is not None
    ]


def _opened(targets: Sequence[Target]) -> Session:
    """A session on the targets' server, in any database that is there. Raises SendError."""
    urls = list(dict.fromkeys(target_url(target) for target in targets))[:_TRIES]
    given = targets[0].server.migration_url
    if urls[0].get_backend_name() != "postgresql":
        return open_session(urls[0].set(database=""))
    if given is not None and given not in urls:
        urls.append(given)
    for url in urls[:-1]:
        try:
            return open_session(url)
        except SendError:
            continue
    return open_session(urls[-1])


def _unknown(target: Target, error: SendError | DatabaseError) -> Problem:
    server = target.server
    said = driver_message(error.error) if isinstance(error, SendError) else error.problems[0].what
    return Problem(
        f"its locks are not known: {said}",
        where=f"{server.where} (bind {target.bind.name}, server {server.name})",
        todo="Check its URL in databases.yaml.",
    )
