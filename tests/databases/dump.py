"""Databases as text, to compare them; and SQL files through the servers' own clients.

Enters: the URL of a database. Leaves: text that is equal when, and only when, schema, rows and
counters are equal.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from servers.clients import native_client
from servers.mysql import flavour_of
from servers.postgresql import wheel_programs

# The name of the dumped schema or database, so that two tenants can be compared.
SAME = "<here>"

JOURNAL = "orchestrator_journal"
"""orchestrator's own table, which the other roads do not leave: not dumped."""


def dump(url: URL | str, schema: str | None = None, *, counters: bool = True) -> str:
    """The schema, all rows of all tables (version tables too) and the counters, as text.

    schema: PostgreSQL only, that schema alone, its name replaced by SAME; a MySQL database's own
    name is always replaced. counters: sequences and AUTO_INCREMENT, which a statement that was
    tried twice leaves higher.
    """
    url = make_url(url)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            lines = [*_pg_schema(url, schema), *_pg_rows(connection, schema, counters)]
            hidden = schema
        else:
            lines = list(_my_all(connection, counters))
            hidden = url.database
    whole = "\n".join(lines) + "\n"
    return re.sub(rf"(?<!\w){re.escape(hidden)}(?!\w)", SAME, whole) if hidden else whole


def psql_file(url: URL | str, path: Path) -> str:
    """What psql said to `-v ON_ERROR_STOP=1 -X -f path`. RuntimeError when it failed."""
    command = [str(wheel_programs() / "psql"), "-v", "ON_ERROR_STOP=1", "-X", "-f", str(path)]
    return _pg_client(make_url(url), command)


def mysql_file(url: URL | str, path: Path) -> str:
    """Run a file as `mysql < path`. What the client said; RuntimeError when it failed.

    The client is the one that belongs to the server; a URL without a database runs the file
    without one.
    """
    url = make_url(url)
    with create_engine(url, poolclass=NullPool).connect() as connection:
        version = connection.execute(text("SELECT VERSION()")).scalar_one()
    command = [
        *native_client(flavour_of(version)),
        "--no-defaults",
        "--protocol=TCP",
        f"--host={url.host}",
        f"--port={url.port}",
        f"--user={url.username}",
        *([url.database] if url.database else []),
    ]
    return _client(command, {"MYSQL_PWD": str(url.password)}, path.read_bytes())


def _pg_client(url: URL, command: Sequence[str]) -> str:
    where = {
        "PGHOST": str(url.host),
        "PGPORT": str(url.port),
        "PGUSER": str(url.username),
        "PGPASSWORD": str(url.password),
        "PGDATABASE": str(url.database),
    }
    return _client(command, where, b"")


def _client(command: Sequence[str], environment: dict[str, str], given: bytes) -> str:
    """Run a client, its password in the environment, where `ps` does not show it."""
    done = subprocess.run(
        command,
        input=given,
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}:\n{said}")
    return done.stdout.decode()


def _pg_schema(url: URL, schema: str | None) -> Iterator[str]:
    command = [str(wheel_programs() / "pg_dump"), "--schema-only", f"--exclude-table=*.{JOURNAL}"]
    if schema is not None:
        command.append(f'--schema="{schema}"')
    for line in _pg_client(url, command).splitlines():
        # Comments and settings tell the versions of server and pg_dump; \restrict is random.
        if line and not line.startswith(("--", "SET ", "SELECT pg_catalog.set_config", "\\")):
            yield line


def _pg_rows(connection: Connection, schema: str | None, counters: bool) -> Iterator[str]:
    kinds = ("r", "p", "S") if counters else ("r", "p")
    found = connection.execute(
        text(
            "SELECT n.nspname, c.relname, c.relkind FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = ANY(:kinds) AND NOT c.relispartition AND c.relname <> :journal"
            " AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
            " AND n.nspname NOT LIKE 'pg\\_%'"
            " AND (CAST(:schema AS text) IS NULL OR n.nspname = :schema) ORDER BY 1, 2"
        ),
        {"kinds": list(kinds), "schema": schema, "journal": JOURNAL},
    )
    quote = _quoting(connection)
    for namespace, name, kind in found.all():
        yield f"== {namespace}.{name}"
        columns = "last_value, is_called" if kind == "S" else "CAST(row AS text)"
        yield from _sorted_rows(
            connection, f"SELECT {columns} FROM {quote(namespace)}.{quote(name)} AS row"
        )


def _my_all(connection: Connection, counters: bool) -> Iterator[str]:
    quote = _quoting(connection)
    for name, kind in sorted(_rows(connection, "SHOW FULL TABLES")):
        if name == JOURNAL:
            continue
        yield f"== {kind} {name}"
        if kind == "BASE TABLE":
            shown = _rows(connection, f"SHOW CREATE TABLE {quote(name)}")[0][1]
            yield shown if counters else re.sub(r" AUTO_INCREMENT=\d+", "", shown)
            yield from _sorted_rows(connection, f"SELECT * FROM {quote(name)}")
        elif kind == "VIEW":
            yield _rows(connection, f"SHOW CREATE VIEW {quote(name)}")[0][1]
    for kind, catalogue in (
        ("TRIGGER", "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema"),
        ("EVENT", "SELECT event_name FROM information_schema.events WHERE event_schema"),
        ("PROCEDURE", _ROUTINES.format("PROCEDURE")),
        ("FUNCTION", _ROUTINES.format("FUNCTION")),
    ):
        for (name,) in _rows(connection, f"{catalogue} = DATABASE() ORDER BY 1"):
            yield f"== {kind} {name}"
            shown = _rows(connection, f"SHOW CREATE {kind} {quote(name)}")[0]
            # The other columns are settings of the session, and the time of creation.
            yield str(shown[3 if kind == "EVENT" else 2])


_ROUTINES = (
    "SELECT routine_name FROM information_schema.routines"
    " WHERE routine_type = '{}' AND routine_schema"
)


def _quoting(connection: Connection) -> Callable[[str], str]:
    """Quote names as they are: SQLAlchemy's own would double percent signs, and so does _rows."""
    mark = '"' if connection.dialect.name == "postgresql" else "`"
    return lambda name: mark + name.replace(mark, mark * 2) + mark


def _rows(connection: Connection, statement: str) -> Sequence[Any]:
    return connection.exec_driver_sql(statement.replace("%", "%%")).all()


def _sorted_rows(connection: Connection, statement: str) -> list[str]:
    return sorted(repr(tuple(row)) for row in _rows(connection, statement))
