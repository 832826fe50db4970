"""Scratch databases: throwaway databases brought to a known revision.

Enters: a project and a bind.  Leaves: a Target in a database of its own, which is dropped at the
end, come what may; leftovers of dead runs are swept first.

A scratch database is called `orchestrator_scratch_<made>_<random>`, where <made> is the server's
clock in hexadecimal seconds.  Its maker keeps a session on it (PostgreSQL) or its name locked
(MySQL), so a database without either, older than a minute, belongs to a run that died.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from orchestrator.config import Bind, Family, Server
from orchestrator.errors import DatabaseError, Problem
from orchestrator.execution.apply import apply
from orchestrator.execution.baseline import load_baseline
from orchestrator.execution.project import Project
from orchestrator.fleet.engines import autocommitted, first_line, make_engine
from orchestrator.fleet.names import SCRATCH_PREFIX
from orchestrator.fleet.types import Target

PREFIX = SCRATCH_PREFIX
GRACE_SECONDS = 60
SCRATCH_TENANT = "scratch"
LOOPBACK = frozenset({"", "localhost", "::1"})

# Exactly what _database() writes: somebody's own database of a similar name stays.
_OURS = re.compile(PREFIX + "([0-9a-f]{8})_[0-9a-f]{8}")


@contextmanager
def scratch_target(project: Project, bind: Bind, url: URL | None = None) -> Iterator[Target]:
    """An empty scratch target of a bind, its baseline loaded when the bind has one.

    url: one of `scratch_urls`, the first of them by default. Raises DatabaseError when there is
    nowhere to make it, or the server refuses.
    """
    admin = url or scratch_url(project, bind)
    with ExitStack() as stack:
        name = stack.enter_context(_database(admin, bind))
        url = admin.set(database=name)
        schema = None
        if bind.tenancy == "schema":
            schema = bind.tenant_name.replace("{tenant}", SCRATCH_TENANT)
        target = Target(
            bind,
            Server("scratch", url, bind.where),
            tenant=SCRATCH_TENANT if bind.tenancy else None,
            schema=schema,
            database=name if bind.tenancy == "database" else None,
        )
        _prepare(target, url)
        yield target


@contextmanager
def scratch_at(project: Project, bind: Bind, destination: str = "heads") -> Iterator[Target]:
    """A scratch target whose history was run from base to a destination.

    Raises DatabaseError that names the revision, when the history does not run there.
    """
    with scratch_target(project, bind) as target:
        _bring(project, target, destination)
        yield target


@contextmanager
def scratch_with(
    project: Project, bind: Bind, revisions: Sequence[str], url: URL | None = None
) -> Iterator[Target]:
    """A scratch target whose version table holds these rows, and no others; () for base.

    url: as for `scratch_target`. Raises DatabaseError when the history does not run there, or does
    not lead from base to these rows.
    """
    with scratch_target(project, bind, url) as target:
        rows: tuple[str, ...] = ()
        for revision in revisions:
            rows = _bring(project, target, revision)
        if set(rows) != set(revisions):
            raise DatabaseError(
                Problem(
                    f"no way from base leads to {' and '.join(revisions)} together: a database "
                    f"that takes them one after the other is at {' and '.join(rows)}",
                    where=f"bind {bind.name}",
                    todo="Compare with a target: --against TARGET.",
                )
            )
        yield target


def _bring(project: Project, target: Target, destination: str) -> tuple[str, ...]:
    """Upgrade a scratch target to a destination, and give its rows then. Raises DatabaseError."""
    bind, history = target.bind, project.history(target.bind.name)
    outcome = apply(project.job(target, history.upgrade(destination), destination=destination))
    if outcome.failure is not None:
        failure = outcome.failure
        raise DatabaseError(
            Problem(
                f"the history does not run on an empty scratch database: {failure.message}",
                where=f"bind {bind.name}, revision {failure.revision} ({failure.where})",
                todo="Correct the revision, set a `baseline:` for a history that starts from a "
                "filled database, or compare with --against TARGET.",
            )
        )
    return outcome.after


def scratch_url(project: Project, bind: Bind) -> URL:
    """Where scratch databases of a bind are made: `scratch:`, else its own server on loopback.

    The URL's database is the one to connect to. Raises DatabaseError when there is neither.
    """
    return scratch_urls(project, bind)[0]


def scratch_urls(project: Project, bind: Bind) -> tuple[URL, ...]:
    """Every server where scratch databases of a bind may be made: `scratch:`, then its own on
    loopback.

    The URLs' databases are those to connect to. Raises DatabaseError when there is none.
    """
    config = project.config
    config.require(parts=["scratch"])
    family = bind.family
    found = []
    if family is not None and family in config.scratch:
        found.append(_admin(config.scratch[family], family))
    else:
        config.require(binds=[bind.name])
    for server in bind.servers.values():
        url = server.migration_url
        if url is not None and on_loopback(url):
            found.append(_admin(url, url_family(url)))
    if found:
        return tuple(found)
    raise DatabaseError(
        Problem(
            "there is nowhere to make a scratch database: its server is not on this machine, and "
            "no scratch URL is set",
            where=str(config.file),
            key=f"scratch.{family or 'postgresql'}",
            todo="Set it to a server where databases may be created and dropped, or compare with "
            "a target that is at head: --against TARGET.",
        )
    )


def on_loopback(url: URL) -> bool:
    """Whether every host that a URL leads to is this machine.

    libpq takes hosts from the URL's parameters too, and from PGHOST when there is none (PostgreSQL
    18 manual, 32.1.2 and 32.15); a host that starts with a slash is a socket of this machine.
    """
    named = [url.host] if url.host else []
    if url.get_backend_name() == "postgresql":
        if "service" in url.query:
            return False  # its file may name any host
        for parameter in ("host", "hostaddr"):
            named += url.normalized_query.get(parameter, ())
        named = named or [os.environ.get("PGHOSTADDR") or os.environ.get("PGHOST") or ""]
    hosts = (host.strip() for text in named for host in text.split(","))
    return all(host in LOOPBACK or host.startswith(("/", "127.")) for host in hosts)


def url_family(url: URL) -> Family:
    """The family of a URL under a synchronous driver."""
    return "postgresql" if url.get_backend_name() == "postgresql" else "mysql"


def _admin(url: URL, family: Family) -> URL:
    if family == "mysql":
        return url.set(database="")
    return url if url.database else url.set(database="postgres")


@contextmanager
def _database(admin: URL, bind: Bind) -> Iterator[str]:
    """Make a database, keep it marked as in use, and drop it."""
    engine = make_engine(admin)
    postgresql = admin.get_backend_name() == "postgresql"
    try:
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(autocommitted(engine))
                _sweep(connection, postgresql)
                name = f"{PREFIX}{_clock(connection, postgresql):x}_{secrets.token_hex(4)}"
                if not postgresql:
                    connection.exec_driver_sql("SELECT GET_LOCK(%s, 0)", (name,)).all()
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            except DBAPIError as error:
                raise DatabaseError(
                    Problem(
                        f"no scratch database could be made: {first_line(error)}",
                        where=f"bind {bind.name}, {admin.render_as_string()}",
                        todo="Grant the right to create databases, set `scratch:`, or use "
                        "--against TARGET.",
                    )
                ) from error
            try:
                if postgresql:
                    holder = make_engine(admin.set(database=name))
                    stack.enter_context(holder.connect())
                yield name
            finally:
                _drop(connection, name, postgresql)
    finally:
        engine.dispose()


def _clock(connection: Connection, postgresql: bool) -> int:
    query = "SELECT extract(epoch FROM now())::bigint" if postgresql else "SELECT unix_timestamp()"
    return int(connection.exec_driver_sql(query).scalar_one())


def _drop(connection: Connection, name: str, postgresql: bool) -> None:
    # A lost connection leaves the database to the next run's sweep.
    with suppress(SQLAlchemyError):
        # FORCE, PostgreSQL 13 and later: ends the session that marked it as in use.
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}" + " WITH (FORCE)" * postgresql)


def _sweep(connection: Connection, postgresql: bool) -> None:
    """Drop what dead runs left behind."""
    now = _clock(connection, postgresql)
    if postgresql:
        query = (
            "SELECT datname FROM pg_database d WHERE starts_with(datname, %s) "
            "AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = d.datname)"
        )
    else:
        query = (
            "SELECT schema_name FROM information_schema.schemata "
            "WHERE LEFT(schema_name, CHAR_LENGTH(%s)) = %s AND IS_FREE_LOCK(schema_name)"
        )
    parameters = (PREFIX,) if postgresql else (PREFIX, PREFIX)
    for name in connection.exec_driver_sql(query, parameters).scalars().all():
        made = _OURS.fullmatch(name)
        if made is not None and now - int(made[1], 16) > GRACE_SECONDS:
            _drop(connection, name, postgresql)


def _prepare(target: Target, url: URL) -> None:
    """Make the tenant's schema, and load the bind's baseline."""
    bind = target.bind
    if target.schema is None and bind.baseline is None:
        return
    engine = make_engine(url, (target.schema,) if target.schema else ())
    try:
        with autocommitted(engine) as connection:
            if target.schema is not None:
                quoted = connection.dialect.identifier_preparer.quote_identifier(target.schema)
                connection.exec_driver_sql(f"CREATE SCHEMA {quoted}", ())
            if bind.baseline is not None:
                load_baseline(connection, bind.baseline)
    except DBAPIError as error:
        raise DatabaseError(
            Problem(
                f"the scratch database could not be prepared: {first_line(error)}",
                where=str(bind.where),
                key=f"binds.{bind.name}",
            )
        ) from error
    finally:
        engine.dispose()
