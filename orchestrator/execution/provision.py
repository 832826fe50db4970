"""Making the schema or database of a tenant that is not there yet (`create: true`).

Enters: targets.  Leaves: their schemas or databases, empty where they were made here.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError

from orchestrator.errors import DatabaseError, Problem
from orchestrator.fleet.engines import (
    autocommitted,
    failed_state,
    first_line,
    make_engine,
    missing_advice,
    target_url,
)
from orchestrator.fleet.sqlstate import sqlstate
from orchestrator.fleet.state import read_states
from orchestrator.fleet.types import Target
from orchestrator.safety.passing import answered


def ensure_exists(target: Target) -> None:
    """Make sure that a tenant's schema or database is there, creating it where the bind allows.

    Raises DatabaseError when it is missing and may not be created, or the server refuses.
    """
    problem = provision_all([target]).get(target.id)
    if problem is not None:
        raise DatabaseError(problem)


def provision_all(targets: Sequence[Target]) -> dict[str, Problem]:
    """Make those schemas and databases of tenants that are missing, one connection a server.

    Gives a problem for each target, by its id, that is still missing afterwards.
    """
    tenants = [target for target in targets if target.tenant is not None]
    missing = [
        target
        for target, state in zip(tenants, read_states(tenants), strict=True)
        if state.kind == "missing"
    ]
    problems = {target.id: _not_allowed(target) for target in missing if not target.bind.create}
    by_server: dict[URL, list[Target]] = {}
    for target in missing:
        if target.bind.create:
            by_server.setdefault(_where_to_create(target), []).append(target)
    for url, group in by_server.items():
        problems.update(_create(url, group))
    return problems


def _not_allowed(target: Target) -> Problem:
    noun = "schema" if target.schema else "database"
    return Problem(
        f"the {noun} {target.schema or target.database} does not exist",
        where=f"target {target.id}",
        todo=missing_advice(target),
    )


def _where_to_create(target: Target) -> URL:
    """The database to connect to cannot be the one that is to be made."""
    url = target_url(target)
    if target.database is None:
        return url
    given = target.server.migration_url
    fallback = "postgres" if url.get_backend_name() == "postgresql" else ""
    return url.set(database=(given.database if given is not None else None) or fallback)


def _create(url: URL, targets: Sequence[Target]) -> dict[str, Problem]:
    engine = make_engine(url)
    try:
        with autocommitted(engine) as connection:
            found = ((target, _create_one(connection, target)) for target in targets)
            return {target.id: problem for target, problem in found if problem is not None}
    except DBAPIError as error:
        return {target.id: _refused(target, error) for target in targets}
    finally:
        engine.dispose()


def _create_one(connection: Connection, target: Target) -> Problem | None:
    kind, name = ("SCHEMA", target.schema) if target.schema else ("DATABASE", target.database)
    quoted = connection.dialect.identifier_preparer.quote_identifier(name or "")
    try:
        connection.exec_driver_sql(f"CREATE {kind} {quoted}", ())
    except DBAPIError as error:
        # Somebody else made it in the meantime: that is what was wanted.
        return None if _made_meanwhile(error) else _refused(target, error)
    return None


def _refused(target: Target, error: DBAPIError) -> Problem:
    kind, name = ("SCHEMA", target.schema) if target.schema else ("DATABASE", target.database)
    why = failed_state(error).kind
    todo = f"Grant the right to create it, or create the {kind.lower()} {name} by hand."
    if why == "unreachable" and not answered(error.orig or error):
        todo = "Run the command again when its server is there."
    return Problem(
        f"CREATE {kind} {name} failed ({why}): {first_line(error)}",
        where=f"target {target.id}",
        todo=todo,
    )


# PostgreSQL 18 manual, appendix A: duplicate_schema, duplicate_database, unique_violation, which
# is what the slower of two that create at the same moment gets from the catalogue's own index.
_EXISTS = {"42P06", "42P04", "23505"}
# MySQL 8.4 Error Message Reference: ER_DB_CREATE_EXISTS.
_EXISTS_ON_MYSQL = 1007


def _made_meanwhile(error: DBAPIError) -> bool:
    """By code, because a server's messages may be in any language."""
    original = error.orig
    if original is None:
        return False
    code = sqlstate(original)
    return code in _EXISTS or (code is None and original.args[:1] == (_EXISTS_ON_MYSQL,))
