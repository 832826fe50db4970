"""A bind's baseline: the SQL file that its history starts from, run on a scratch database.

Enters: a connection to an empty database, and a file that a person wrote, or that pg_dump,
mysqldump or mariadb-dump did.  Leaves: the schema (and data) of that file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from orchestrator.errors import DatabaseError, Problem
from orchestrator.fleet.engines import first_line


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file that is sent at once. line: where it starts. data: what COPY reads."""

    line: int
    text: str
    data: str | None = None


def load_baseline(connection: Connection, path: Path) -> None:
    """Run a baseline on a connection that commits by itself.

    Raises DatabaseError with the line of the statement that fails, or that must not be run.
    """
    postgresql = connection.dialect.name == "postgresql"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _failed(path, 1, f"it cannot be read: {error}") from error
    parts = list(postgresql_parts(text, path) if postgresql else mysql_parts(text))
    for part in parts:
        if not postgresql and (word := _LEAVES.match(_bare(part.text))):
            raise _failed(
                path,
                part.line,
                f"{word[1].upper()} would leave the scratch database",
                "Dump a single database, without --databases.",
            )
    for part in parts:
        try:
            _send(connection, part, postgresql)
        except DBAPIError as error:
            raise _failed(path, part.line, first_line(error)) from error


def _send(connection: Connection, part: Part, postgresql: bool) -> None:
    if not postgresql:
        connection.exec_driver_sql(part.text.replace("%", "%%"), ())
        return
    # Past SQLAlchemy, which would take the text for a single statement with parameters.
    driver: Any = connection.connection.dbapi_connection
    try:
        with driver.cursor() as cursor:
            if part.data is None:
                cursor.execute(part.text)
            else:
                cursor.copy_expert(part.text, io.StringIO(part.data))
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(part.text, None, error) from error


def _failed(path: Path, line: int, what: str, todo: str = "Correct the file.") -> DatabaseError:
    problem = Problem(f"the baseline does not run: {what}", where=f"{path}:{line}", todo=todo)
    return DatabaseError(problem)


# What pg_dump writes around a dump since its releases of August 2025, against injected commands.
_RESTRICT = re.compile(r"\\(un)?restrict( \S+)?\s*")
# What pg_dump 17 and later set to its default: a server older than that does not know the name.
_NEWER = "SET transaction_timeout = 0;"
_META = re.compile(r"\\[a-z]\w*")
_COPY = re.compile(r"COPY .+ FROM stdin.*;\s*", re.IGNORECASE)


def postgresql_parts(text: str, path: Path) -> Iterator[Part]:
    """A file for psql as parts: SQL, and COPY with its data; pg_dump begins all that matters at the
    start of a line.

    Raises DatabaseError for a command of psql's own that cannot be left out.
    """
    gathered: list[str] = []
    start = 1
    lines = enumerate(text.split("\n"), 1)
    for number, line in lines:
        if _COPY.fullmatch(line):
            yield from _sql(start, gathered)
            data = "".join(f"{row}\n" for row in _copied(lines))
            yield Part(number, line, data)
            gathered, start = [], number + data.count("\n") + 2
        elif _RESTRICT.fullmatch(line) or line == _NEWER:
            gathered.append("")
        elif _META.match(line):
            command = line.split()[0]
            raise _failed(
                path, number, f"{command} is a command of psql, not SQL", "Remove the line."
            )
        else:
            gathered.append(line)
    yield from _sql(start, gathered)


def _copied(lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    for _number, line in lines:
        if line.rstrip("\r") == "\\.":
            return
        yield line


def _sql(start: int, lines: list[str]) -> Iterator[Part]:
    if any(line.strip() for line in lines):
        yield Part(start, "\n".join(lines))


_LEAVES = re.compile(
    r"(?:/\*M?!\d*\s*)?(use|(?:create|drop|alter)\s+(?:database|schema))\b", re.IGNORECASE
)
_COMMENT = re.compile(r"\A(\s+|--[^\n]*(\n|\Z)|#[^\n]*(\n|\Z)|/\*(?![!M]).*?\*/)", re.DOTALL)


def mysql_parts(text: str) -> Iterator[Part]:
    """The statements of a file for the mysql client, at semicolons that end a line outside a
    DELIMITER block (as mysqldump and mariadb-dump write them): PyMySQL takes one at a time."""
    gathered: list[str] = []
    start, delimiter = 1, ";"
    for number, line in enumerate(text.split("\n"), 1):
        if line.upper().startswith("DELIMITER "):
            delimiter = line.split(None, 1)[1].strip()
            continue
        if not gathered and (not line.strip() or line.startswith(("--", "#"))):
            continue
        start = start if gathered else number
        gathered.append(line)
        if line.rstrip().endswith(delimiter):
            yield from _statement(start, "\n".join(gathered).rstrip().removesuffix(delimiter))
            gathered = []
    yield from _statement(start, "\n".join(gathered))


def _statement(start: int, text: str) -> Iterator[Part]:
    # A comment alone is an error to the server: "Query was empty".
    if _bare(text):
        yield Part(start, text.strip())


def _bare(text: str) -> str:
    """A statement without the comments before it."""
    while found := _COMMENT.match(text):
        text = text[found.end() :]
    return text
