"""What a MySQL or MariaDB server says of a statement: how lightly it takes it, and what it locks.

Enters: a connection to a scratch database, and a statement that is about to run there.  Leaves: an
Answer.  The server is asked on an empty copy of the table, with one ALGORITHM and LOCK after the
other, the lightest first; it refuses those that it cannot do (MySQL 8.4 manual, 17.12.1 "Online DDL
Operations"; MariaDB, "ALTER TABLE", ALGORITHM).  INPLACE without a lock may still write every row
anew: whether the table's id has changed tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import get_args

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from orchestrator.checks.lint.types import Algorithm, Answer, Lock
from orchestrator.fleet.engines import first_line
from orchestrator.safety.definitions_mysql import read

_COPY = "orchestrator_lint_copy"
_RENAMED = "orchestrator_lint_renamed"
_SECONDS = 5
"""How long a copy waits for a table that the revision itself holds."""

# MySQL 8.4 error reference: not supported with this ALGORITHM or LOCK (with and without a reason),
# an unknown ALGORITHM or LOCK, and a word that this server's grammar does not have.
_NOT_SO = (1845, 1846, 1800, 1801, 1064, 1221)

_NAME = r"(?:(?:`(?:[^`]|``)+`|[\w$]+)\s*\.\s*)?(?:`(?:[^`]|``)+`|[\w$]+)"
_ALTER = re.compile(
    rf"\s*ALTER\s+(?:ONLINE\s+)?(?:IGNORE\s+)?TABLE\s+(?:IF\s+EXISTS\s+)?{_NAME}\s*", re.IGNORECASE
)
_INDEX = re.compile(
    rf"\s*CREATE(?:\s+OR\s+REPLACE)?(?:\s+(?:UNIQUE|FULLTEXT|SPATIAL))?\s+INDEX\s+"
    rf"(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s+(?:USING\s+\w+\s+)?ON\s+(?P<table>{_NAME})",
    re.IGNORECASE,
)
_DROP_INDEX = re.compile(
    rf"\s*DROP\s+INDEX\s+(?P<index>(?:IF\s+EXISTS\s+)?{_NAME})\s+ON\s+{_NAME}", re.IGNORECASE
)
_ASKED_ALREADY = re.compile(
    r",?\s*\b(?P<what>ALGORITHM|LOCK)\s*=?\s*(?P<value>\w+)\b\s*,?", re.IGNORECASE
)
_RENAME = re.compile(
    rf"\bRENAME\s+(?!COLUMN\b|INDEX\b|KEY\b)(?:TO\s+|AS\s+|=\s*)?{_NAME}", re.IGNORECASE
)
_FOREIGN_KEY = re.compile(
    r"^\s*CONSTRAINT (?P<name>`(?:[^`]|``)+`) (?P<rest>FOREIGN KEY .*?),?$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class _Question:
    """A statement that can be asked about. table: the one that it changes, quoted. before, behind:
    its text around the place for ALGORITHM and LOCK. index: it is CREATE INDEX, where both stand
    at the end. algorithm, lock: what it asks for itself, "" for what the server chooses."""

    table: str
    before: str
    behind: str
    index: bool
    algorithm: str
    lock: str

    def text(self, algorithm: Algorithm, lock: Lock) -> str:
        """The statement on the copy. INSTANT takes no other lock than the default (MySQL 8.4
        manual, 15.1.9 "ALTER TABLE")."""
        words = [f"ALGORITHM={algorithm.upper()}"]
        words += [f"LOCK={lock.upper()}"] * (algorithm not in ("instant", "nocopy"))
        if self.index:
            return f"{self.before} {' '.join(words)}"
        return f"{self.before}{', '.join(words)}, {self.behind}"


class Asker:
    """Asks a server about statements, each just before it runs (see `lint_walk.Asks`)."""

    def answer(self, connection: Connection, statement: str) -> Answer | None:
        """None for a statement that changes no table that is there, or that cannot be tried on a
        copy."""
        question = _question(statement)
        if question is None:
            return None
        try:
            keys = _copied(connection, question.table)
        except DBAPIError:
            return None  # No such table: the run itself says so.
        try:
            return _asked(connection, question, keys)
        finally:
            _drop(connection)


def _question(statement: str) -> _Question | None:
    things = read(statement).things
    bare = statement.strip().rstrip(";")
    if not things:
        return None
    altered, indexed, dropped = (one.match(bare) for one in (_ALTER, _INDEX, _DROP_INDEX))
    asks = {one["what"].upper(): one["value"].lower() for one in _ASKED_ALREADY.finditer(bare)}
    wants = [asks.get(what, "").replace("default", "") for what in ("ALGORITHM", "LOCK")]
    if altered is not None:
        rest = _ASKED_ALREADY.sub(",", bare[altered.end() :]).strip(" ,\n\t")
        rest = _RENAME.sub(f"RENAME TO {_RENAMED}", rest)
        return _Question(_quoted(things[0].name), f"ALTER TABLE {_COPY} ", rest, False, *wants)
    if dropped is not None:
        # MariaDB's DROP INDEX takes no ALGORITHM, and is the same.
        before = f"ALTER TABLE {_COPY} "
        return _Question(
            _quoted(things[0].on), before, f"DROP INDEX {dropped['index']}", False, *wants
        )
    if indexed is not None:
        rest = _ASKED_ALREADY.sub(" ", bare[indexed.end("table") :])
        before = f"{bare[: indexed.start('table')]}{_COPY}{rest}"
        return _Question(_quoted(things[0].on), before, "", True, *wants)
    return None


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _copied(connection: Connection, table: str) -> dict[str, str]:
    """Make an empty copy with its foreign keys, which CREATE TABLE ... LIKE leaves out. Gives their
    new names by the old ones. Raises DBAPIError."""
    _drop(connection)
    connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {_SECONDS}")
    connection.exec_driver_sql(f"CREATE TABLE {_COPY} LIKE {table}")
    row = connection.exec_driver_sql(f"SHOW CREATE TABLE {table}").one()
    keys: dict[str, str] = {}
    for number, found in enumerate(_FOREIGN_KEY.finditer(str(row[1])), start=1):
        keys[found["name"]] = f"`orchestrator_lint_{number}`"
        connection.exec_driver_sql(
            _plain(f"ALTER TABLE {_COPY} ADD CONSTRAINT {keys[found['name']]} {found['rest']}")
        )
    return keys


def _drop(connection: Connection) -> None:
    with suppress(DBAPIError):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_COPY}, {_RENAMED}")


def _asked(connection: Connection, question: _Question, keys: dict[str, str]) -> Answer | None:
    refused = ""
    for algorithm, lock in _ladder(connection, question):
        before = _ids(connection)
        try:
            sent = _with_keys(question.text(algorithm, lock), keys)
            connection.exec_driver_sql(_plain(sent))
        except DBAPIError as error:
            number = error.orig.args[0] if error.orig is not None and error.orig.args else None
            if number not in _NOT_SO:
                return Answer("copy", "exclusive", False, first_line(error))
            refused = first_line(error)
            continue
        return Answer(algorithm, lock, algorithm == "copy" or _ids(connection) != before)
    return Answer("copy", "exclusive", False, refused)


def _ladder(connection: Connection, question: _Question) -> Iterator[tuple[Algorithm, Lock]]:
    """From the lightest to the heaviest; only what the statement itself asks for, where it does."""
    rungs: list[tuple[Algorithm, Lock]] = [("instant", "none")]
    rungs += [("nocopy", "none")] * _is_mariadb(connection)
    for algorithm in get_args(Algorithm)[2:]:
        rungs += [(algorithm, lock) for lock in get_args(Lock)]
    for algorithm, lock in rungs:
        if question.algorithm in ("", algorithm) and question.lock in ("", lock):
            yield algorithm, lock


def _is_mariadb(connection: Connection) -> bool:
    return bool(getattr(connection.dialect, "is_mariadb", False))


def _with_keys(sent: str, keys: dict[str, str]) -> str:
    """The statement with the copy's names of foreign keys."""
    for old, new in keys.items():
        bare = re.escape(old.strip("`"))
        sent = re.sub(rf"(?<![\w`$]){bare}(?![\w`$])|{re.escape(old)}", new, sent)
    return sent


def _ids(connection: Connection) -> Sequence[object]:
    """What InnoDB calls the copy: a table that is written anew gets another id."""
    view = "innodb_sys_tables" if _is_mariadb(connection) else "innodb_tables"
    query = text(
        f"SELECT table_id FROM information_schema.{view}"
        " WHERE name IN (CONCAT(DATABASE(), :copy), CONCAT(DATABASE(), :renamed))"
    )
    return connection.execute(query, {"copy": f"/{_COPY}", "renamed": f"/{_RENAMED}"}).all()


def _plain(sent: str) -> str:
    """A text that the driver is to send as it is: it reads percent signs even without values."""
    return sent.replace("%", "%%")
