"""SQLAlchemy's real dialects, told what they would otherwise ask a server.

Enters: a flavour, and the dialect's name in the target's URL.
Leaves: `recording_dialect`, an instance that behaves as one that has met such a server.

The methods overridden here are where SQLAlchemy asks on a first connection
(`initialize` in sqlalchemy/dialects/postgresql/base.py and mysql/base.py, 2.0 and 2.1).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import URL

from orchestrator.config import Flavour
from orchestrator.revisions.recording.answers import Answers

OLDEST_SUPPORTED = {"postgresql": (14,), "mysql": (8, 4, 0), "mariadb": (10, 6, 0)}
"""Versions to claim when none is known: their makers still support them, and what is written for
them runs on newer ones."""

_DEFAULT_ISOLATION = {"postgresql": "READ COMMITTED", "mysql": "REPEATABLE READ"}


def server_version(flavour: Flavour) -> str:
    """A version as such a server would tell it."""
    version = flavour.version or OLDEST_SUPPORTED[flavour.name]
    if flavour.name == "postgresql":
        return ".".join(map(str, version if len(version) > 1 else (*version, 0)))
    text = ".".join(map(str, (*version, 0, 0)[:3]))
    return f"{text}-MariaDB" if flavour.name == "mariadb" else text


def recording_dialect(flavour: Flavour, name: str, schema: str) -> Any:
    """A dialect for recording.

    name: "postgresql", "mysql" or "mariadb", as the target's URL says (MariaDB is often reached
    through mysql://). schema: what it believes to be the default schema.
    """
    driver = "psycopg2" if flavour.family == "postgresql" else "pymysql"
    # The class behind mariadb+pymysql is made by SQLAlchemy as it runs; hence type().
    base: Any = URL.create(f"{name}+{driver}").get_dialect()
    context = type(
        "RecordingExecutionContext", (_AnnouncesRows, base.execution_ctx_cls), {"__slots__": ()}
    )
    kind: Any = type(
        f"Recording{base.__name__}",
        (_MetServer, base),
        {"supports_statement_cache": True, "execution_ctx_cls": context},
    )
    dialect = kind(dbapi=base.import_dbapi())
    dialect.met = (flavour, schema)
    return dialect


class _MetServer:
    """Overrides of a dialect's questions. `met` is the flavour and the default schema."""

    met: tuple[Flavour, str]

    def _get_server_version_info(self, _connection: Any) -> tuple[int, ...]:
        flavour, _schema = self.met
        text = server_version(flavour)
        if flavour.family == "postgresql":
            return tuple(int(part) for part in text.split("."))
        parsed: tuple[int, ...] = self._parse_server_version(text)  # type: ignore[attr-defined]
        return parsed

    def _get_default_schema_name(self, _connection: Any) -> str:
        return self.met[1]

    def get_default_isolation_level(self, _connection: Any) -> str:
        return _DEFAULT_ISOLATION[self.met[0].family]

    def get_isolation_level(self, connection: Any) -> str:
        # Alembic's autocommit_block asks for it, to set it again afterwards.
        on: bool = self.detect_autocommit_setting(connection)
        return "AUTOCOMMIT" if on else _DEFAULT_ISOLATION[self.met[0].family]

    def detect_autocommit_setting(self, connection: Any) -> bool:
        if self.met[0].family == "postgresql":
            return bool(connection.autocommit)
        return bool(connection.get_autocommit())

    def set_isolation_level(self, connection: Any, level: str) -> None:
        if level not in ("AUTOCOMMIT", _DEFAULT_ISOLATION[self.met[0].family]):
            connection.answers.tape.live("controls-transaction", f"it asks for {level}")
        if self.met[0].family == "postgresql":
            connection.autocommit = level == "AUTOCOMMIT"
        else:
            connection.autocommit(level == "AUTOCOMMIT")

    def _set_backslash_escapes(self, _connection: Any) -> None:
        self._backslash_escapes = False  # standard_conforming_strings is on

    def _hstore_oids(self, _connection: Any) -> None:
        return None  # Without the extension SQLAlchemy writes hstore as text: right with it too.

    def _detect_sql_mode(self, _connection: Any) -> None:
        self._sql_mode = ""  # Neither ANSI_QUOTES nor NO_BACKSLASH_ESCAPES, as by default.

    def _detect_casing(self, _connection: Any) -> int:
        self._casing = 0
        return 0


class _AnnouncesRows:
    """Tells the stand-in, before a compiled statement goes out, what SQLAlchemy will do with its
    answer: nothing, fetch one row of keys by itself (implicit RETURNING), or leave it open."""

    def pre_exec(self) -> None:
        super().pre_exec()  # type: ignore[misc]
        self._announce(self)

    @staticmethod
    def _announce(context: Any) -> None:
        compiled = context.compiled
        answers: Answers = context._dbapi_connection.dbapi_connection.answers
        if context.isddl:
            answers.expect(None, given=False)
        elif context.isinsert or context.isupdate or context.isdelete:
            returning = compiled.effective_returning
            by_itself = (
                context.isinsert and bool(compiled.implicit_returning) and not context.executemany
            )
            answers.expect(len(returning) or None, given=by_itself)
        elif not context.is_text:
            answers.expect(len(compiled._result_columns), given=False)
