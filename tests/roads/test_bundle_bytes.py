"""A bundle's scripts send the statements of a migration as the online run sends them, byte for
byte: the servers' own logs tell.  White space around a statement is not part of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.roads.bundled import Bundled

AUTHORED = '''
op.execute("""UPDATE items
    SET name = 'two
lines;  and \\t a tab' -- authored
  WHERE id = 1""")
op.execute("INSERT INTO notes /* authored; : */ VALUES (50)")
op.execute("INSERT INTO items (id, name) VALUES (77, ' 100% \\\\:name \\\\\\\\ é 😀 \\"q\\"')  ")
op.create_table("more_items", sa.Column("a", sa.String(9), server_default="it's"))
'''
_OWN = re.compile(
    r"orchestrator_|alembic_version|information_schema|pg_catalog|SHOW CREATE|general_log", re.I
)
_RECORD = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \S+ \[\d+\] (\w+):  ", re.M)
_BUNDLES_COMMENT = re.compile(r"(?:-- (?:@|upgrade r|file migrations/|An index that)[^\n]*\n)+")


def test_every_statement(tmp_path: Path, any_database: DatabaseFactory) -> None:
    sites = [Bundled.make(tmp_path / name, any_database(), 4) for name in ("online", "by_hand")]
    for site in sites:
        # Four bytes a character are more than some servers' default columns hold.
        body = AUTHORED if site.schemas else AUTHORED.replace("😀", "ß")
        site.project.revision("shop", "r5", body, after="r4")
    online, by_hand = sites
    with _logged(online.url) as sent:
        said = online.project.run("upgrade", "--all")
        assert said.code == 0, said.all
        expected = _migration(sent(), online)
    folder = by_hand.bundle()
    with _logged(by_hand.url) as sent:
        ran = by_hand.run_all(folder, "-j", "1")
        assert ran.code == 0, ran.said
        found = _migration(sent(), by_hand)
    assert len(expected) >= 15
    assert any("-- authored" in one for one in expected)
    assert found == expected


def _migration(sent: Sequence[str], site: Bundled) -> set[str]:
    """What is the author's. The online run sends several statements at a time, with a semicolon on
    a line of its own between them."""
    found = set()
    for one in (piece for text in sent for piece in text.split("\n;\n")):
        text = _BUNDLES_COMMENT.sub("", one, count=1)
        if re.search(r"items|notes|raise", text) and not _OWN.search(text):
            # White space around a statement, and the semicolon, are the client's.
            text = text.replace(str(site.url.database), "<here>")
            found.add(text.lstrip().rstrip("; \n"))
    return found


@contextmanager
def _logged(url: URL) -> Iterator[Callable[[], list[str]]]:
    """Have the server write down what it is sent for databases of this name."""
    if url.get_backend_name() == "postgresql":
        log = Path(rows(url, "SHOW data_directory")[0][0]).parent / "log"
        start = log.stat().st_size
        rows(url, f"ALTER DATABASE {url.database} SET log_statement = 'all'")
        yield lambda: list(_postgres_log(log, start))
        rows(url, f"ALTER DATABASE {url.database} RESET log_statement")
    else:
        rows(url, "SET GLOBAL log_output = 'TABLE'")
        rows(url, "SET GLOBAL general_log = ON")
        try:
            yield lambda: _mysql_log(url)
        finally:
            rows(url, "SET GLOBAL general_log = OFF")
            rows(url, "TRUNCATE mysql.general_log")


def _postgres_log(log: Path, start: int) -> Iterator[str]:
    """What was sent, since the log was so long. Only the databases that ask for it log it."""
    with log.open("rb") as file:
        file.seek(start)
        text = file.read().decode("utf-8", "replace")
    begins = [found.start() for found in _RECORD.finditer(text)]
    for one, end in zip(begins, [*begins[1:], len(text)], strict=True):
        said = text[one:end].removesuffix("\n").partition(":  ")[2]
        kind, _, statement = said.partition(": ")
        if kind == "statement" or kind.startswith("execute"):
            # The server puts a tab at the beginning of each further line.
            yield statement.replace("\n\t", "\n")


def _mysql_log(url: URL) -> list[str]:
    """What was sent by sessions that were in a database of this name."""
    query = (
        "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log"
        " WHERE command_type = 'Query' AND thread_id IN ("
        "SELECT thread_id FROM mysql.general_log WHERE"
        f" CONVERT(argument USING utf8mb4) LIKE '%{url.database}%') ORDER BY event_time"
    )
    return [str(row[0]) for row in rows(url, query)]
