"""Signals, killed processes and closed pipes in the middle of a run."""

from __future__ import annotations

import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.cli.small import Said, SmallProject, command, environment, rows, shown, small_project
from tests.conftest import DatabaseFactory


def slow_project(root: Path, url: URL, statement: str) -> SmallProject:
    """Two binds in one database; the first one's second revision runs a slow statement."""
    project = small_project(
        root,
        f"""
        apps: {{packages: [apps]}}
        default_bind: main
        binds:
          main: {{url: {shown(url)}}}
          next: {{url: {shown(url)}, version_table: next_version, apps: [], depends_on: [main]}}
        """,
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE items (id int)")')
    project.revision(
        "main",
        "m2",
        f'op.execute("CREATE TABLE slow (id int)")\nop.execute("{statement}")',
        after="m1",
    )
    project.revision("main", "m3", 'op.execute("CREATE TABLE fast (id int)")', after="m2")
    project.revision("next", "n1", 'op.execute("CREATE TABLE later (id int)")')
    return project


def wait_for(url: URL, query: str, seconds: float = 30) -> None:
    """Wait until a query gives a true value."""
    end = time.monotonic() + seconds
    while not rows(url, query)[0][0]:
        assert time.monotonic() < end, f"never true: {query}"
        time.sleep(0.05)


def pg_sleeps(url: URL) -> str:
    """Whether the slow statement runs in this database."""
    return (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' "
        f"AND datname = '{url.database}'"
    )


def my_sleeps(url: URL) -> str:
    return (
        "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%(SELECT SLEEP%' "
        f"AND info NOT LIKE '%processlist%' AND db = '{url.database}'"
    )


MY_SLEEP = "INSERT INTO slow SELECT * FROM (SELECT SLEEP({})) AS pause"


def ended(process: subprocess.Popen[str]) -> Said:
    """What a started command said in the end."""
    out, err = process.communicate(timeout=60)
    return Said(process.returncode, out, err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_the_step_end_and_starts_nothing_new(
    tmp_path: Path, pg_database: DatabaseFactory, number: signal.Signals
) -> None:
    url = pg_database()
    project = slow_project(tmp_path, url, "SELECT pg_sleep(2)")
    process = project.start("upgrade", "--all")
    wait_for(url, pg_sleeps(url))
    process.send_signal(number)
    said = ended(process)
    assert said.code == 130, said.all
    assert "stopping after the running step" in said.err
    assert "main  base -> m2, then stopped" in said.out
    assert "bind next: not started" in said.err
    assert rows(url, "SELECT version_num FROM alembic_version") == [("m2",)]
    assert rows(url, "SELECT to_regclass('fast'), to_regclass('later')") == [(None, None)]
    again = project.run("upgrade", "--all")
    assert again.code == 0, again.all
    assert rows(url, "SELECT version_num FROM alembic_version") == [("m3",)]


def test_the_second_signal_cancels_on_postgresql(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    project = slow_project(tmp_path, url, "SELECT pg_sleep(300)")
    process = project.start("upgrade", "--all")
    wait_for(url, pg_sleeps(url))
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    said = ended(process)
    assert said.code == 130, said.all
    assert "canceling statement due to user request" in said.out
    assert "main  base -> m1, then FAILED in m2" in said.out
    assert rows(url, pg_sleeps(url)) == [(0,)]
    assert rows(url, "SELECT to_regclass('slow')") == [(None,)]
    project.revision("main", "m2", 'op.execute("CREATE TABLE slow (id int)")', after="m1")
    again = project.run("upgrade", "--all")
    assert again.code == 0, again.all


def test_the_second_signal_cancels_on_mysql(tmp_path: Path, my_database: DatabaseFactory) -> None:
    url = my_database()
    project = slow_project(tmp_path, url, MY_SLEEP.format(300))
    process = project.start("upgrade", "--all")
    wait_for(url, my_sleeps(url))
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    said = ended(process)
    assert said.code == 130, said.all
    assert "Query execution was interrupted" in said.out, said.all
    assert rows(url, my_sleeps(url)) == [(0,)]
    assert rows(url, "SELECT version_num FROM alembic_version") == [("m1",)]


def test_a_signal_lets_the_step_end_on_mysql(tmp_path: Path, my_database: DatabaseFactory) -> None:
    url = my_database()
    project = slow_project(tmp_path, url, MY_SLEEP.format(2))
    process = project.start("upgrade", "--all")
    wait_for(url, my_sleeps(url))
    process.send_signal(signal.SIGTERM)
    said = ended(process)
    assert said.code == 130, said.all
    assert "main  base -> m2, then stopped" in said.out
    again = project.run("upgrade", "--all")
    assert again.code == 0, again.all
    assert rows(url, "SELECT version_num FROM alembic_version") == [("m3",)]


def test_a_killed_run_on_postgresql_converges(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = slow_project(tmp_path, url, "SELECT pg_sleep(3)")
    process = project.start("upgrade", "--all")
    wait_for(url, pg_sleeps(url))
    process.kill()
    process.communicate()
    # The server still runs the dead client's statement; this run waits for its locks.
    again = project.run("upgrade", "--all")
    assert again.code == 0, again.all
    assert rows(url, "SELECT version_num FROM alembic_version") == [("m3",)]
    assert rows(url, "SELECT version_num FROM next_version") == [("n1",)]


@pytest.mark.parametrize("streams", ["", "2>&1"])
def test_a_reader_that_goes_away_stops_no_migration(
    tmp_path: Path, pg_database: DatabaseFactory, streams: str
) -> None:
    url = pg_database()
    project = slow_project(tmp_path, url, "SELECT 1")
    # `head` is gone before the first word comes.
    line = f"set -o pipefail; (sleep 0.2; {shlex.join(command('upgrade', '--all'))} {streams})"
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -c 0"],
        cwd=project.root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert rows(url, "SELECT version_num FROM alembic_version") == [("m3",)]
    assert rows(url, "SELECT version_num FROM next_version") == [("n1",)]


def redirected(project: SmallProject, words: str, redirection: str) -> Said:
    """A command whose streams the shell sends elsewhere."""
    done = subprocess.run(
        ["bash", "-c", f"{shlex.join(command(*words.split()))} {redirection}"],
        cwd=project.root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


HERE = 'apps: {packages: [apps]}\nbinds: {main: {url: "postgresql://h/x"}}\n'


@pytest.mark.parametrize("redirection", [">&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["targets", "upgrade --sql --all"])
def test_closed_streams_are_no_error(tmp_path: Path, words: str, redirection: str) -> None:
    project = small_project(tmp_path, HERE)
    project.revision("main", "m1", 'op.execute("CREATE TABLE items (id int)")')
    said = redirected(project, words, redirection)
    assert (said.code, said.out, "Traceback" in said.err) == (0, "", False), said.all


@pytest.mark.parametrize("words", ["targets", "upgrade --sql --all"])
def test_results_that_a_full_disk_swallows_are_told(tmp_path: Path, words: str) -> None:
    project = small_project(tmp_path, HERE)
    project.revision("main", "m1", 'op.execute("CREATE TABLE items (id int)")')
    said = redirected(project, words, "> /dev/full")
    assert said.code == 1, said.all
    assert "error: the output could not be written: No space left on device" in said.err
    assert "defect" not in said.err


def test_a_full_disk_under_the_log_stops_no_migration(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    project = slow_project(tmp_path, url, "SELECT 1")
    said = redirected(project, "upgrade --all --log-format json", "2> /dev/full")
    assert said.code == 0, said.all
    assert rows(url, "SELECT version_num FROM next_version") == [("n1",)]
