"""Empty databases on a running server, dropped at the end.

Enters: a server. Leaves: the URL of a database that nobody else uses.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from servers import RunningServer


@contextmanager
def fresh_database(server: RunningServer) -> Iterator[URL]:
    """An empty database. At the end it is dropped, whoever is connected to it.

    Databases whose name begins with its name and "_" are dropped too: a test that lets the
    program make tenants' databases calls them f"{url.database}_acme".
    """
    name = f"t_{uuid.uuid4().hex[:12]}"
    with administrator(server) as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(server.url).set(database=name)
    finally:
        with administrator(server) as connection:
            _drop_all(connection, name)


@contextmanager
def administrator(server: RunningServer) -> Iterator[Connection]:
    """A connection of the superuser outside any transaction."""
    engine = create_engine(server.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


def _drop_all(connection: Connection, name: str) -> None:
    is_postgresql = connection.dialect.name == "postgresql"
    if is_postgresql:
        column, catalogue = "datname", "pg_database"
    else:
        column, catalogue = "schema_name", "information_schema.schemata"
    found = connection.execute(
        text(f"SELECT {column} FROM {catalogue} WHERE {column} = :name OR {column} LIKE :more"),
        {"name": name, "more": name.replace("_", r"\_") + r"\_%"},
    )
    for database in found.scalars().all():
        quoted = connection.dialect.identifier_preparer.quote_identifier(database)
        if is_postgresql:
            connection.exec_driver_sql(f"DROP DATABASE {quoted} WITH (FORCE)")
        else:
            _end_its_sessions(connection, database)
            connection.exec_driver_sql(f"DROP DATABASE {quoted}")


def _end_its_sessions(connection: Connection, database: str) -> None:
    """A session left behind with an open transaction would block the DROP for ever."""
    sessions = connection.execute(
        text("SELECT id FROM information_schema.processlist WHERE db = :db"), {"db": database}
    )
    for session in sessions.scalars().all():
        # It may end by itself between the question and the KILL.
        try:
            connection.execute(text(f"KILL {int(session)}"))
        except Exception as error:
            if "Unknown thread id" not in str(error):
                raise
