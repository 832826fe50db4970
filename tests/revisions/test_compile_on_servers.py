"""The recorded text against stock Alembic, with real servers as judges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, event, text
from sqlalchemy.pool import NullPool

from servers import RunningServer
from tests.conftest import DatabaseFactory
from tests.databases.dump import dump, mysql_file, psql_file
from tests.databases.fresh import administrator
from tests.revisions.corpus import BOTH, MYSQL, POSTGRESQL
from tests.revisions.recorded import (
    flavour_at,
    make_project,
    record,
    replay,
    statements,
    upgrade_with_stock,
)


def _bodies(url: URL) -> tuple[str, ...]:
    return BOTH + (POSTGRESQL if url.get_backend_name() == "postgresql" else MYSQL)


def test_recorded_text_leaves_what_stock_alembic_leaves(
    any_database: DatabaseFactory, tmp_path: Path
) -> None:
    by_stock, by_text = any_database(), any_database()
    root = make_project(tmp_path / "whole", _bodies(by_stock))
    upgrade_with_stock(root, by_stock)
    recordings = record(root, flavour_at(by_text), dialect=by_text.get_backend_name())
    replay(root, by_text, recordings)
    for url in (by_stock, by_text):
        _forget_now(url)
    assert dump(by_text) == dump(by_stock)


def _forget_now(url: URL) -> None:
    """Rows of the corpus hold the server's clock in one column."""
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text("UPDATE account SET made = NULL"))


def test_the_servers_own_client_reads_the_text_as_well(
    any_database: DatabaseFactory, tmp_path: Path
) -> None:
    by_stock, by_file = any_database(), any_database()
    # Without routines, whose bodies need the mysql client's DELIMITER.
    bodies = BOTH + (POSTGRESQL[:5] if by_file.get_backend_name() == "postgresql" else MYSQL[:1])
    root = make_project(tmp_path / "files", bodies)
    upgrade_with_stock(root, by_stock)
    parts = ["SET NAMES utf8mb4" if by_file.get_backend_name() != "postgresql" else "SELECT 1"]
    for recording in record(root, flavour_at(by_file), dialect=by_file.get_backend_name()):
        statements(recording)
        for segment in recording.segments:
            around = (["BEGIN"], ["COMMIT"]) if segment.transactional else ([], [])
            parts += [*around[0], *segment.statements, *around[1]]
    script = tmp_path / "whole.sql"
    script.write_bytes("\n;\n".join([*parts, ""]).encode("utf-8", "surrogateescape"))
    (psql_file if by_file.get_backend_name() == "postgresql" else mysql_file)(by_file, script)
    for url in (by_stock, by_file):
        _forget_now(url)
        with create_engine(url, poolclass=NullPool).begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
    assert dump(by_file) == dump(by_stock)


def test_recorded_text_is_what_the_driver_sends(
    mysql: RunningServer, my_database: DatabaseFactory, tmp_path: Path
) -> None:
    url = my_database()
    root = make_project(tmp_path / "logged", BOTH)
    recorded = [
        one
        for recording in record(root, flavour_at(url), dialect=url.get_backend_name())
        for one in statements(recording)
    ]
    with administrator(mysql) as connection:
        connection.execute(text("SET GLOBAL log_output = 'TABLE'"))
        connection.execute(text("SET GLOBAL general_log = 'ON'"))
        try:
            upgrade_with_stock(root, url)
        finally:
            connection.execute(text("SET GLOBAL general_log = 'OFF'"))
        found = connection.execute(
            text(
                "SELECT argument FROM mysql.general_log WHERE command_type = 'Query' AND thread_id"
                " IN (SELECT thread_id FROM mysql.general_log WHERE argument LIKE :connect)"
            ),
            {"connect": f"%@%on {url.database} %"},
        )
        logged = [
            one if isinstance(one, str) else bytes(one).decode("utf-8", "surrogateescape")
            for one in found.scalars()
        ]
    expected = [_as_logged(one) for one in recorded]
    heard = [_as_logged(one) for one in logged]
    assert sorted(one for one in heard if one in set(expected)) == sorted(expected)


def _as_logged(statement: str) -> str:
    """The server drops white space around a statement; its log is three-byte UTF-8, and spells
    longer characters as escapes or question marks."""
    return re.sub(r"(?:\\x[0-9A-F]{2}){4}|[\U00010000-\U0010ffff]|\?+", "?", statement.strip())


def test_psycopg2_sends_the_recorded_text(pg_database: DatabaseFactory, tmp_path: Path) -> None:
    url = pg_database()
    root = make_project(tmp_path / "sent", BOTH + POSTGRESQL)
    recorded = [one for step in record(root, flavour_at(url)) for one in statements(step)]
    heard = _Heard()
    engine = create_engine(url, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _log_to_the_client(connection: Any, _record: Any) -> None:
        connection.notices = heard
        with connection.cursor() as cursor:
            cursor.execute("SET client_min_messages = log; SET log_statement = 'all'")
        connection.commit()

    upgrade_with_stock(root, url, engine)
    # Sorted: stock Alembic creates the indexes of a table in any order.
    assert sorted(one for one in heard.statements if one in set(recorded)) == sorted(recorded)


class _Heard:
    """What a session's server logs, told to its client: psycopg2 appends here."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def append(self, notice: str) -> None:
        head = "LOG:  statement: "
        if notice.startswith(head):
            self.statements.append(notice.removeprefix(head).removesuffix("\n"))

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __setitem__(self, key: object, value: object) -> None:
        """SQLAlchemy empties the list after each statement."""
