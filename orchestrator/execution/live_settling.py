"""What tells whether a statement of a live step ran: what it touches, before it and now.

Enters: a connection that stands in the target, outside SQLAlchemy's sight, and a statement.
Leaves: what the journal keeps of it, and later a Verdict.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from orchestrator.config.flavour import Family
from orchestrator.execution.replay.types import Locked
from orchestrator.fleet.borrowed import BorrowedMySQL
from orchestrator.safety.alone import Alone, refused_inside
from orchestrator.safety.definitions_mysql import read
from orchestrator.safety.definitions_now import definitions, kept
from orchestrator.safety.evidence import judge, question
from orchestrator.safety.journal import Entry
from orchestrator.safety.settle_mysql import Verdict, settle


class LiveSettling:
    """Looks at one target, with the connection that its live step runs on."""

    def __init__(self, family: Family, connection: Connection) -> None:
        self._family = family
        self._driver: Any = connection.connection.dbapi_connection
        self._error = connection.dialect.loaded_dbapi.Error
        self._database = ""

    def entered(self, text: str) -> None:
        """A statement that changes the session is sent: it may be USE."""
        if self._family == "mysql":
            self._database = read(text).use or self._database

    def before(self, text: str) -> dict[str, str]:
        """MySQL: what is kept of the things that a statement touches. Raises SendError."""
        session = BorrowedMySQL(self._driver, self._error)
        return kept(definitions(session, read(text, self._database).things))

    def before_alone(self, alone: Alone) -> dict[str, str]:
        """PostgreSQL: what is kept of what a statement names that cannot be in a transaction."""
        with self._driver.cursor() as cursor:
            cursor.execute(question(alone))
            return dict(cursor.fetchall())

    def verdict(self, entry: Entry, text: str) -> Verdict:
        """Whether the statement of the last row ran. Raises Locked when another session still does
        it."""
        if self._family == "mysql" or entry.kind in ("data", "refused"):
            reading = read(text, self._database)
            now = self.before(text) if entry.kind == "ddl" else {}
            return settle(entry, reading, now)
        alone = refused_inside(text)
        finding = judge(alone, entry.before, self.before_alone(alone))
        if finding.busy:
            raise Locked(finding.why)
        for statement in finding.first:
            with self._driver.cursor() as cursor:
                cursor.execute(statement)
        if finding.ran is None:
            return Verdict("unknown", finding.why)
        return Verdict("yes" if finding.ran else "no", finding.why)
