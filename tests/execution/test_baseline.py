"""Baselines: files of pg_dump, mysqldump and people, on scratch databases of real servers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from orchestrator.errors import DatabaseError
from orchestrator.execution.baseline import mysql_parts, postgresql_parts
from orchestrator.execution.project import Project
from orchestrator.execution.scratch import scratch_target
from orchestrator.fleet.engines import connect
from servers import RunningServer
from servers.clients import native_client
from servers.postgresql import wheel_programs
from tests.cli.small import rows, shown, small_project
from tests.conftest import DatabaseFactory
from tests.databases.dump import dump


def on_scratch(folder: Path, url: URL, baseline: str, query: str) -> list[tuple[object, ...]]:
    """What a query gives on a scratch database with this baseline."""
    project = with_baseline(folder, url, baseline)
    bind = project.config.binds["main"]
    with scratch_target(project, bind) as target, connect(target) as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def with_baseline(folder: Path, url: URL, baseline: str) -> Project:
    small_project(
        folder,
        f"apps: {{packages: [apps]}}\nbinds: {{main: {{url: {shown(url)}, baseline: base.sql}}}}\n",
    )
    (folder / "base.sql").write_text(baseline, encoding="utf-8")
    return Project.open(root=folder)


def refused(folder: Path, url: URL, baseline: str) -> str:
    """The message for a baseline that does not run."""
    project = with_baseline(folder, url, baseline)
    with (
        pytest.raises(DatabaseError) as caught,
        scratch_target(project, project.config.binds["main"]),
    ):
        raise AssertionError("it ran")
    return str(caught.value)


FILLED = [
    "CREATE TABLE people (id int PRIMARY KEY, name varchar(200), note text)",
    "INSERT INTO people VALUES (1, 'a;\nb -- c', '100% \"x\" ü'), (2, NULL, 'back\\\\slash\ttab')",
]


def test_what_pg_dump_writes(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    for statement in (
        *FILLED,
        "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE plpgsql AS $$\n"
        "BEGIN\n  RETURN n * 2; -- it's two\nEND;\n$$",
        "CREATE VIEW named AS SELECT * FROM people WHERE name IS NOT NULL",
    ):
        rows(url, statement)
    done = subprocess.run(
        [str(wheel_programs() / "pg_dump"), url.render_as_string(False).replace("+psycopg2", "")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\\restrict" in done.stdout
    assert "COPY public.people" in done.stdout
    project = with_baseline(tmp_path, url, done.stdout)
    with scratch_target(project, project.config.binds["main"]) as target:
        assert target.server.url is not None
        assert dump(target.server.url) == dump(url)


def test_what_mysqldump_writes(
    tmp_path: Path, mysql: RunningServer, my_database: DatabaseFactory
) -> None:
    url = my_database()
    for statement in (
        *FILLED,
        "CREATE TRIGGER upper_name BEFORE INSERT ON people FOR EACH ROW "
        "BEGIN SET NEW.name = UPPER(NEW.name); SET NEW.note = '%s'; END",
        "CREATE VIEW named AS SELECT id, name FROM people WHERE name IS NOT NULL",
    ):
        rows(url, statement)
    # The dumper stands beside the client, which may live inside the server's chroot.
    *before, client = native_client(mysql.flavour.partition("-")[0])
    dumper = "mariadb-dump" if "mariadb" in mysql.flavour else "mysqldump"
    done = subprocess.run(
        [
            *before,
            str(Path(client).with_name(dumper)),
            "--no-defaults",
            "--protocol=TCP",
            f"--host={url.host}",
            f"--port={url.port}",
            f"--user={url.username}",
            str(url.database),
        ],
        env={**os.environ, "MYSQL_PWD": str(url.password)},
        capture_output=True,
        text=True,
        check=True,
    )
    project = with_baseline(tmp_path, url, done.stdout)
    with scratch_target(project, project.config.binds["main"]) as target:
        assert target.server.url is not None
        assert dump(target.server.url) == dump(url)


def test_a_persons_file(tmp_path: Path, any_database: DatabaseFactory) -> None:
    baseline = (
        "-- the tables of 2019; do not change\n"
        "CREATE TABLE a (id int, t text);\n\nINSERT INTO a VALUES (1, '50% of :x');\n-- end;\n"
    )
    found = on_scratch(tmp_path, any_database(), baseline, "SELECT id, t FROM a")
    assert found == [(1, "50% of :x")]


def test_mistakes_name_the_line(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    said = refused(tmp_path, url, "-- x\nCREATE TABLE a (id int);\n\nCREATE TABLE a (id int);\n")
    # A server of the MySQL family gets the statements one by one.
    line = 1 if url.get_backend_name() == "postgresql" else 4
    assert f"base.sql:{line}: the baseline does not run:" in said
    assert "already exists" in said


def test_psqls_own_commands_are_refused(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    said = refused(tmp_path, pg_database(), "CREATE TABLE a (id int);\n\\connect other\n")
    assert "base.sql:2: the baseline does not run: \\connect is a command of psql" in said


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("USE `prod`;", "USE"),
        ("/*!40000 DROP DATABASE IF EXISTS `prod`*/;", "DROP DATABASE"),
        ("CREATE DATABASE /*!32312 IF NOT EXISTS*/ `prod`;", "CREATE DATABASE"),
        ("/* x */ -- y\ndrop schema prod;", "DROP SCHEMA"),
    ],
)
def test_a_baseline_stays_in_its_database(
    tmp_path: Path, my_database: DatabaseFactory, statement: str, words: str
) -> None:
    said = refused(tmp_path, my_database(), f"CREATE TABLE a (id int);\n{statement}\n")
    assert f"base.sql:2: the baseline does not run: {words} would leave the scratch" in said
    assert "--databases" in said


def test_statements_are_told_apart() -> None:
    written = (
        "-- head;\n/*M!999999\\- sandbox */ \nSELECT 1;\nSELECT 'a;\nb';\n"
        "DELIMITER ;;\nCREATE TRIGGER x BEGIN SELECT 1; END ;;\nDELIMITER ;\n-- done\n"
    )
    assert [(part.line, part.text) for part in mysql_parts(written)] == [
        (2, "/*M!999999\\- sandbox */ \nSELECT 1"),
        (4, "SELECT 'a"),
        (5, "b'"),
        (7, "CREATE TRIGGER x BEGIN SELECT 1; END"),
    ]


def test_copy_is_told_from_sql() -> None:
    written = "SELECT 1;\nCOPY a (x) FROM stdin;\n1\n\\N\n\\.\n\nSELECT 2;\n"
    parts = list(postgresql_parts(written, Path("x.sql")))
    assert [(part.line, part.text.strip(), part.data) for part in parts] == [
        (1, "SELECT 1;", None),
        (2, "COPY a (x) FROM stdin;", "1\n\\N\n"),
        (6, "SELECT 2;", None),
    ]
