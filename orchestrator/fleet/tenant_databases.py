"""Tenants that databases tell: a query on another bind, or a pattern of names in the catalogue.

Enters: a `query` or `pattern` source.  Leaves: a Row for each tenant.  What a server cannot tell
now is an UnknownTenants, not an error: the others still answer, and a table that is not there yet
comes when its bind is applied.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from orchestrator.config import Bind, Config, Server, TenantQuery, TenantSource, Where
from orchestrator.errors import ConfigError, Problem
from orchestrator.fleet.engines import failed_state, first_line, make_engine, target_url
from orchestrator.fleet.entries import Row, Rows
from orchestrator.fleet.names import is_common, tenant_of
from orchestrator.fleet.sqlstate import sqlstate
from orchestrator.fleet.types import Target, UnknownTenants

THREADS = 16
"""Servers whose catalogues are read at the same time."""

# What a migration of the asked bind would bring. PostgreSQL 18 manual, appendix A: a table, column,
# schema, database, function or type that is not there. MySQL 8.4 error reference: the same.
_NOT_YET_POSTGRESQL = {"42P01", "42703", "3F000", "3D000", "42883", "42704"}
_NOT_YET_MYSQL = {1146, 1054, 1049, 1305}


def query_rows(config: Config, bind: Bind, source: TenantSource, key: str) -> Rows:
    """The tenants that a query on another bind gives, in its order.

    Raises ConfigError for a query that can never work: its bind has tenants itself, it is no
    SELECT, or it gives no column `tenant`.
    """
    query: TenantQuery = source.value
    asked = config.binds[query.bind]
    if asked.tenancy is not None:
        raise _fault(
            source,
            key,
            f"bind {asked.name} has tenants itself, and so no one database to ask",
            "Ask a bind without tenancy.",
        )
    config.require(binds=[asked.name])
    target = Target(asked, next(iter(asked.servers.values())))
    engine = make_engine(target_url(target), asked.search_path)
    try:
        with engine.connect().execution_options(no_parameters=True) as connection:
            columns, rows = _asked(connection, query.sql)
    except DBAPIError as error:
        return Rows(unknown=(_not_told(bind, asked, source, key, error),))
    finally:
        engine.dispose()
    if columns.count("tenant") != 1:
        gives = "has several columns" if "tenant" in columns else "has no column"
        raise _fault(
            source,
            key,
            f"the query {gives} `tenant` (it has {', '.join(columns) or 'none'})",
            "Name the column: SELECT slug AS tenant ...",
        )
    where = source.where
    return Rows(
        tuple(
            Row(
                Where(where.file, where.line, f"row {number}"),
                dict(zip(columns, row, strict=True)),
            )
            for number, row in enumerate(rows, 1)
        )
    )


def _asked(connection: Connection, sql: str) -> tuple[list[str], list[tuple[object, ...]]]:
    # A question must change nothing, whatever its words do.
    # On MariaDB, DDL would end a single transaction that is read only, and then run.
    scope = "" if connection.dialect.name == "postgresql" else "SESSION "
    connection.exec_driver_sql(f"SET {scope}TRANSACTION READ ONLY")
    result = connection.exec_driver_sql(sql)
    if not result.returns_rows:
        return [], []
    return list(result.keys()), [tuple(row) for row in result]


def _not_told(
    bind: Bind, asked: Bind, source: TenantSource, key: str, error: DBAPIError
) -> UnknownTenants:
    """Why a query failed: too early, out of reach, or wrong (ConfigError)."""
    message, where = first_line(error), str(source.where)
    if _not_yet(error):
        todo = f"Run `orchestrator upgrade --bind {asked.name}`, or correct the query."
        return UnknownTenants(bind, message, where, key, todo, after=(asked.name,))
    if error.connection_invalidated or error.statement is None:
        reason = f"bind {asked.name} is {failed_state(error).kind}: {message}"
        return UnknownTenants(bind, reason, where, key, f"Check the URL of bind {asked.name}.")
    raise _fault(source, key, f"the query fails: {message}", "Correct it.") from error


def _not_yet(error: DBAPIError) -> bool:
    arguments = error.orig.args if error.orig is not None else ()
    if arguments and isinstance(arguments[0], int):
        return arguments[0] in _NOT_YET_MYSQL
    code = sqlstate(error.orig)
    # A refused connection has no SQLSTATE, only libpq's text.
    return code in _NOT_YET_POSTGRESQL or failed_state(error).kind == "missing"


def pattern_rows(
    config: Config, bind: Bind, source: TenantSource, key: str, servers: Collection[str]
) -> Rows:
    """The tenants whose schemas or databases have names like a pattern, on these servers.

    `%` is any text, and every other character is itself, `_` too (`\\_` is the same, and `\\%` is a
    percent sign). The bind's `name:` template is taken off again; a name that it cannot give, and
    the server's own, shared and scratch names never match.
    """
    config.require(binds=[bind.name])
    matches = like(str(source.value))
    wanted = [server for name, server in bind.servers.items() if name in servers]
    rows: list[Row] = []
    unknown: list[UnknownTenants] = []
    with ThreadPoolExecutor(max_workers=THREADS) as threads:
        for server, found in zip(
            wanted, threads.map(lambda one: _catalogue(bind, one), wanted), strict=True
        ):
            if isinstance(found, DBAPIError):
                unknown.append(_silent(bind, server, source, key, found))
                continue
            place = Where(source.where.file, source.where.line, f"server {server.name}")
            for name in sorted(found):
                if matches.fullmatch(name) and not is_common(bind, name):
                    tenant = tenant_of(bind, name)
                    if tenant is not None:
                        rows.append(Row(place, {"tenant": tenant, "server": server.name}))
    return Rows(tuple(rows), tuple(unknown))


def like(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern."""
    parts = re.split(r"(\\.|%)", pattern, flags=re.DOTALL)
    text = "".join(
        ".*" if part == "%" else re.escape(part[1:] if part.startswith("\\") and part[1:] else part)
        for part in parts
    )
    return re.compile(text, re.DOTALL)


def _catalogue(bind: Bind, server: Server) -> list[str] | DBAPIError:
    """All names of schemas or databases that a server shows to this user."""
    url = target_url(Target(bind, server))
    if url.get_backend_name() != "postgresql":
        # No database: the one that the URL names may not be there.
        url, sql = url.set(database=""), "SELECT schema_name FROM information_schema.schemata"
    elif bind.tenancy == "schema":
        sql = "SELECT nspname FROM pg_catalog.pg_namespace"
    else:
        sql = "SELECT datname FROM pg_catalog.pg_database WHERE NOT datistemplate"
        # Without one, libpq would look for a database called like the user.
        url = url if url.database else url.set(database="postgres")
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return list(connection.exec_driver_sql(sql).scalars())
    except DBAPIError as error:
        return error
    finally:
        engine.dispose()


def _silent(
    bind: Bind, server: Server, source: TenantSource, key: str, error: DBAPIError
) -> UnknownTenants:
    reason = f"it is {failed_state(error).kind}: {first_line(error)}"
    todo = "Check its URL in databases.yaml."
    return UnknownTenants(bind, reason, str(source.where), key, todo, server.name)


def _fault(source: TenantSource, key: str, what: str, todo: str) -> ConfigError:
    return ConfigError(Problem(what, str(source.where), key, todo))
