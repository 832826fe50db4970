"""Making the schema or database of a tenant that is not there yet (`create: true`).

Enters: a target.  Leaves: its schema or database, empty when it was made here.
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from orchestrator.errors import DatabaseError, Problem
from orchestrator.fleet.engines import (
    failed_state,
    first_line,
    make_engine,
    missing_advice,
    target_url,
)
from orchestrator.fleet.state import read_state
from orchestrator.fleet.types import Target


def ensure_exists(target: Target) -> None:
    """Make sure that a tenant's schema or database is there, creating it where the bind allows.

    Raises DatabaseError when it is missing and may not be created, or the server refuses.
    """
    if target.tenant is None or read_state(target).kind != "missing":
        return
    if not target.bind.create:
        noun = "schema" if target.schema else "database"
        raise DatabaseError(
            Problem(
                f"the {noun} {target.schema or target.database} does not exist",
                where=f"target {target.id}",
                todo=missing_advice(target),
            )
        )
    provision(target)


def provision(target: Target) -> None:
    """Create a tenant's missing schema or database. Raises DatabaseError with what to do."""
    url = target_url(target)
    if target.database is not None:
        # The database to connect to cannot be the one that is to be made.
        url = url.set(database=target.server.migration_url.database or "")  # type: ignore[union-attr]
        if url.get_backend_name() == "postgresql" and not url.database:
            url = url.set(database="postgres")
    name = target.schema or target.database
    assert name is not None
    engine = make_engine(url)
    kind = "SCHEMA" if target.schema else "DATABASE"
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            quoted = connection.dialect.identifier_preparer.quote_identifier(name)
            connection.exec_driver_sql(f"CREATE {kind} {quoted}", ())
    except DBAPIError as error:
        if _made_meanwhile(error):
            return  # Somebody else made it in the meantime: that is what was wanted.
        raise DatabaseError(
            Problem(
                f"CREATE {kind} {name} failed ({failed_state(error).kind}): {first_line(error)}",
                where=f"target {target.id}",
                todo=f"Grant the right to create it, or create the {kind.lower()} {name} by hand.",
            )
        ) from error
    finally:
        engine.dispose()


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
    code = getattr(original, "pgcode", None)
    return code in _EXISTS or (code is None and original.args[:1] == (_EXISTS_ON_MYSQL,))
