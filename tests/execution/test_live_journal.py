"""A live step that is cut anywhere goes on from there, or says that it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.execution import patience
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.types import Target
from tests.cli.small import SmallProject, rows
from tests.conftest import DatabaseFactory
from tests.databases.dump import dump
from tests.execution.cut import Here, Plug, Unplugged, plugged
from tests.execution.live_project import project_of

WRITES = """
count = "UPDATE counts SET n = n + 1 WHERE name = 'r1'"
op.execute("CREATE TABLE made (id int PRIMARY KEY, note varchar(50))")
op.execute(count)
op.get_bind().execute(
    sa.text("INSERT INTO made VALUES (:id, :note)"),
    {"id": 1, "note": "it's 100 % \\N{GREEK SMALL LETTER ALPHA}"},
)
op.add_column("made", sa.Column("size", sa.Integer()))
made = sa.table("made", sa.column("id", sa.Integer), sa.column("note", sa.String))
op.bulk_insert(made, [{"id": 2, "note": "two"}, {"id": 3, "note": None}])
op.get_bind().execute(made.insert().values(id=4, note="four"))
op.execute("UPDATE made SET size = id * 10")
op.create_index("ix_size", "made", ["size"])
op.execute(count)
op.rename_table("made", "done")
"""
READS = """
known = op.get_bind().execute(sa.text("SELECT count(*) FROM counts")).scalar()
op.execute("CREATE TABLE IF NOT EXISTS made (id int PRIMARY KEY, note varchar(50))")
op.execute("DELETE FROM made")
op.execute(f"INSERT INTO made VALUES ({known}, 'one')")
op.execute("CREATE TABLE IF NOT EXISTS done (id int PRIMARY KEY)")
"""
COUNTS = "CREATE TABLE counts (name varchar(20) PRIMARY KEY, n int NOT NULL)"


BLOCK = """
count = "UPDATE counts SET n = n + 1 WHERE name = 'r1'"
op.execute("CREATE TABLE made (id int PRIMARY KEY, note varchar(50))")
op.execute(count)
op.execute("CREATE TYPE mood AS ENUM ('sad')")
with op.get_context().autocommit_block():
    op.execute("ALTER TYPE mood ADD VALUE 'happy'")
    op.execute(count)
    op.create_index("ix_note", "made", ["note"], postgresql_concurrently=True)
op.execute("INSERT INTO made VALUES (1, 'one')")
op.execute(count)
with op.get_context().autocommit_block():
    op.execute("DROP INDEX CONCURRENTLY ix_note")
op.add_column("made", sa.Column("mood", sa.Enum("sad", "happy", name="mood", create_type=False)))
op.execute("COMMIT")
op.execute("VACUUM made")
op.execute(count)
"""


SIDES = [
    pytest.param(False, id="before"),
    pytest.param(True, id="after", marks=pytest.mark.slow),
]


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    monkeypatch.setattr(patience, "_POLL", (0.02, 0.05))
    with plugged(monkeypatch) as made:
        yield made


class Site:
    """One target and its only revision, r1."""

    def __init__(
        self,
        root: Path,
        url: URL,
        monkeypatch: pytest.MonkeyPatch,
        body: str,
        more: str = "",
        attempts: int = 1,
    ) -> None:
        self.url = url
        limits = f"attempts: {attempts}, lock_wait: 10s"
        project, targets = project_of(root, url, [], more=limits)
        self.project: SmallProject = project
        project.revision("main", "r1", body, more="\nimport os\n" + more)
        self.target: Target = targets[0]
        self.here = Here(root, monkeypatch)

    def clean(self) -> None:
        """As it was before anything ran."""
        if self.url.get_backend_name() == "postgresql":
            rows(self.url, "DROP SCHEMA public CASCADE")
            rows(self.url, "CREATE SCHEMA public")
        else:
            for (name,) in rows(self.url, "SHOW TABLES"):
                rows(self.url, f"DROP TABLE `{name}`")
        rows(self.url, COUNTS)
        rows(self.url, "INSERT INTO counts VALUES ('r1', 0)")

    def run(self, source: str = "digest", *, known: bool = False) -> Outcome:
        return self.here.run(self.target, source=source, known=known)

    def journal(self) -> list[tuple[object, ...]]:
        """What the journal holds."""
        return rows(self.url, "SELECT number, kind FROM orchestrator_journal ORDER BY number")


def clean_run(site: Site, plug: Plug) -> tuple[str, int]:
    """What an uncut run leaves, and how many texts it sends."""
    site.clean()
    plug.set(0)
    outcome = site.run()
    assert outcome.result == "done", outcome
    count = plug.count
    return dump(site.url), count


@pytest.mark.parametrize("after", SIDES)
def test_what_is_cut_anywhere_is_continued(
    tmp_path: Path,
    any_database: DatabaseFactory,
    plug: Plug,
    monkeypatch: pytest.MonkeyPatch,
    after: bool,
) -> None:
    site = Site(tmp_path, any_database(), monkeypatch, WRITES)
    whole, count = clean_run(site, plug)
    continued = 0
    for at in range(1, count + 1):
        site.clean()
        plug.set(at, after=after)
        with pytest.raises(Unplugged):
            site.run()
        text = plug.texts[-1]
        plug.set(0)
        outcome = site.run()
        assert outcome.failure is None, (at, text, outcome.failure)
        assert dump(site.url) == whole, (at, text)
        continued += sum("CREATE TABLE made" in one for one in plug.texts) == 0
    if site.target.bind.family == "mysql":
        assert continued > 10
        assert site.journal() == []


@pytest.mark.parametrize("after", SIDES)
def test_autocommit_blocks_are_continued(
    tmp_path: Path,
    pg_database: DatabaseFactory,
    plug: Plug,
    monkeypatch: pytest.MonkeyPatch,
    after: bool,
) -> None:
    site = Site(tmp_path, pg_database(), monkeypatch, BLOCK)
    whole, count = clean_run(site, plug)
    for at in range(1, count + 1):
        site.clean()
        plug.set(at, after=after)
        with pytest.raises(Unplugged):
            site.run()
        text = plug.texts[-1]
        plug.set(0)
        outcome = site.run()
        assert outcome.failure is None, (at, text, outcome.failure)
        assert dump(site.url) == whole, (at, text)
        assert site.journal() == []


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [False, True], ids=["plain", "blocks"])
def test_a_connection_that_is_lost_anywhere_is_made_again(
    tmp_path: Path,
    any_database: DatabaseFactory,
    plug: Plug,
    monkeypatch: pytest.MonkeyPatch,
    blocks: bool,
) -> None:
    """By the same run, from its first question on; every other time the server has got the text."""
    url = any_database()
    if blocks and url.get_backend_name() != "postgresql":
        pytest.skip("autocommit blocks are PostgreSQL's")
    monkeypatch.setattr(patience, "_FIRST", 0.01)
    monkeypatch.setattr(patience, "_JITTER", 0.01)
    site = Site(tmp_path, url, monkeypatch, BLOCK if blocks else WRITES, attempts=2)
    whole, count = clean_run(site, plug)
    for at in range(1, count + 1):
        site.clean()
        plug.set(at, after=at % 2 == 0, lost=True)
        outcome = site.run(known=True)
        text = plug.texts[at - 1]
        assert outcome.failure is None, (at, text, outcome.failure)
        assert dump(site.url) == whole, (at, text)
        assert outcome.attempts == 2 or at == count, (at, text)


def cut_behind(site: Site, plug: Plug, begins: str) -> None:
    """Run r1 until the server has got the statement that begins so."""
    _whole, count = clean_run(site, plug)
    for at in range(1, count + 1):
        plug.set(0)
        site.clean()
        plug.set(at, after=True)
        with pytest.raises(Unplugged):
            site.run()
        if plug.texts[-1].startswith(begins):
            plug.set(0)
            return
    raise AssertionError(begins)


def failure_of(outcome: Outcome) -> Failure:
    assert outcome.result == "failed"
    assert outcome.failure is not None
    return outcome.failure


def test_who_has_read_is_dirty(
    tmp_path: Path, my_database: DatabaseFactory, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, my_database(), monkeypatch, READS)
    cut_behind(site, plug, "CREATE TABLE IF NOT EXISTS done")
    before = dump(site.url)
    failure = failure_of(site.run())
    assert failure.message.startswith("dirty: it runs live and read what the database held")
    assert "resumable" in failure.message
    assert "orchestrator repair --bind main" in failure.todo
    assert failure.revision == "r1"
    assert failure.where.endswith("r1.py")
    assert dump(site.url) == before
    assert [kind for _number, kind in site.journal()] == ["header", "read", "ddl", "data", "ddl"]


def test_who_promises_may_run_again(
    tmp_path: Path, my_database: DatabaseFactory, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, my_database(), monkeypatch, READS, "resumable = True\n")
    whole, count = clean_run(site, plug)
    for at in range(1, count + 1):
        site.clean()
        plug.set(at, after=True)
        with pytest.raises(Unplugged):
            site.run()
        plug.set(0)
        outcome = site.run()
        assert outcome.failure is None, (at, outcome.failure)
        assert dump(site.url) == whole, at
        assert site.journal() == []


def test_an_edited_file_is_dirty_whatever_it_promises(
    tmp_path: Path, my_database: DatabaseFactory, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, my_database(), monkeypatch, READS, "resumable = True\n")
    cut_behind(site, plug, "CREATE TABLE IF NOT EXISTS done")
    failure = failure_of(site.run(source="another digest"))
    assert failure.message == "dirty: its revision file was edited since it was begun"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('op.execute(f"CREATE TABLE t{time.time_ns()} (id int)")', "it sends another statement"),
        (
            "if op.get_bind().execute(sa.text('DELETE FROM counts')).rowcount:\n"
            "    op.execute('CREATE TABLE second (id int)')",
            "it looks at what a statement gave that was done before (it reads a row count)",
        ),
        (
            'op.execute("SET @size = (SELECT count(*) FROM counts)")\n'
            'op.execute("CREATE TABLE second (id int)")',
            "it runs live and read",
        ),
        (
            "import random\nop.execute(f'DELETE FROM counts WHERE n = {random.random()}')\n"
            "op.execute('CREATE TABLE second (id int)')",
            "it sends other statements than before",
        ),
    ],
    ids=["other-ddl", "row-count", "variable", "other-data"],
)
def test_what_is_not_the_same_is_dirty(
    tmp_path: Path,
    my_database: DatabaseFactory,
    plug: Plug,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    words: str,
) -> None:
    ends = "\nop.execute('CREATE TABLE last (id int)')"
    begins = "import time\nop.execute('CREATE TABLE first (id int)')\n"
    site = Site(tmp_path, my_database(), monkeypatch, begins + body + ends)
    cut_behind(site, plug, "CREATE TABLE last")
    before = dump(site.url)
    assert words in failure_of(site.run()).message
    assert words in failure_of(site.run()).message
    assert dump(site.url) == before


def test_a_refused_statement_is_tried_again_once_its_cause_is_gone(
    tmp_path: Path, my_database: DatabaseFactory, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (
        "op.execute('CREATE TABLE made (id int)')\n"
        "op.execute('INSERT INTO made VALUES (7), (7)')\n"
        "op.execute('CREATE UNIQUE INDEX ix ON made (id)')\n"
        'op.execute("UPDATE counts SET n = n + 1")'
    )
    site = Site(tmp_path, my_database(), monkeypatch, body)
    site.clean()
    first = failure_of(site.run())
    assert "Duplicate entry" in first.message
    assert first.statement == "CREATE UNIQUE INDEX ix ON made (id)"
    rows(site.url, "DELETE FROM made LIMIT 1")
    assert site.run().result == "done"
    assert rows(site.url, "SELECT * FROM made") == [(7,)]
    assert rows(site.url, "SELECT n FROM counts") == [(1,)]
    assert site.journal() == []
