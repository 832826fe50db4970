"""Passwords are nowhere: not in output, logs, files of the project, or the list of processes."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from sqlalchemy import URL

from servers import PASSWORD, RunningServer
from tests.cli.small import Said, SmallProject, command, environment, rows, shown, small_project
from tests.conftest import DatabaseFactory

ODD = "p@s s%wörd:/#?"


def spellings(password: str) -> set[str]:
    """A password as a program might have written it."""
    return {
        password,
        quote(password, safe=""),
        quote(password),
        quote(password, safe=" +"),
        quote_plus(password),
        password.replace("%", "%%"),
        json.dumps(password)[1:-1],
        repr(password.encode())[2:-1],
    }


def assert_hidden(text: str, told_by: str) -> None:
    for password in (ODD, PASSWORD, "wrong-" + ODD):
        for spelling in spellings(password):
            assert spelling not in text, f"{told_by} shows {spelling!r}:\n{text}"


def everything(project: SmallProject, folder: Path, verb: tuple[str, ...]) -> Said:
    """Run a verb, and look through all that it said and left behind."""
    done = subprocess.run(
        command(*verb),
        cwd=project.root,
        env={**environment(), "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    said = Said(done.returncode, done.stdout, done.stderr)
    assert_hidden(said.all, " ".join(verb))
    for file in [*project.root.rglob("*"), *folder.rglob("*")]:
        if file.is_file() and file.name != "databases.yaml":
            assert_hidden(file.read_bytes().decode("utf-8", "replace"), f"{verb}: {file}")
    return said


def laid_out(root: Path, first: URL, second: URL, flavour: str = "mariadb-10.11") -> SmallProject:
    project = small_project(
        root,
        f"""
        apps: {{packages: [apps]}}
        default_bind: main
        binds:
          main: {{url: {shown(first)}}}
          audit: {{url: {shown(second)}, flavour: {flavour}, apps: []}}
        """,
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE items (id int, name varchar(50))")')
    project.revision("audit", "a1", 'op.execute("CREATE TABLE events (id int)")')
    return project


@pytest.fixture
def logins(pg_database: DatabaseFactory, my_database: DatabaseFactory) -> tuple[URL, URL]:
    """Two databases, and users of them with a password that no program likes."""
    first, second = pg_database(), my_database()
    name = f"odd_{first.database}"
    rows(first, f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{ODD}'")
    rows(second, f"CREATE USER {name}@'%' IDENTIFIED BY '{ODD}'")
    rows(second, f"GRANT ALL ON *.* TO {name}@'%'")
    return (
        first.set(username=name, password=ODD),
        second.set(username=name, password=ODD),
    )


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for all that a command leaves in TMPDIR; short, for the sockets in it."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_no_verb_shows_a_password(
    tmp_path: Path, temporary: Path, logins: tuple[URL, URL], mysql: RunningServer
) -> None:
    project = laid_out(tmp_path / "project", *logins, mysql.flavour)
    for code, *verb in (
        (0, "targets", "--json"),
        (0, "upgrade", "--all", "--dry-run"),
        (0, "status"),
        (0, "upgrade", "--all", "--sql", "-o", "sql"),
        (0, "upgrade", "--all", "--log-format", "json"),
        (0, "revision", "-m", "more"),
        (1, "check", "--json"),
        (0, "downgrade", "--all", "--to", "base", "--yes", "--json"),
        (0, "stamp", "head", "--all"),
    ):
        said = everything(project, temporary, tuple(map(str, verb)))
        assert said.code == code, said.all


def test_no_error_shows_a_password(
    tmp_path: Path, temporary: Path, logins: tuple[URL, URL]
) -> None:
    wrong = "wrong-" + ODD
    for number, (first, second) in enumerate(
        (
            (logins[0].set(password=wrong), logins[1].set(password=wrong)),
            (logins[0].set(port=1), logins[1].set(port=1)),
        )
    ):
        project = laid_out(tmp_path / f"project{number}", first, second)
        for verb in (
            ("status", "--json"),
            ("upgrade", "--all", "--log-format", "json"),
            ("revision", "-m", "more"),
            ("check",),
        ):
            said = everything(project, temporary, verb)
            assert said.code == (0 if verb[0] == "status" else 1), said.all


def test_no_defect_shows_a_password(
    tmp_path: Path, temporary: Path, logins: tuple[URL, URL], mysql: RunningServer
) -> None:
    project = laid_out(tmp_path / "project", *logins, mysql.flavour)
    url = logins[0].render_as_string(hide_password=False)
    revision = project.revision("main", "m2", f"raise ValueError({url!r}, {ODD!r})", after="m1")
    said = everything_but(revision, project, temporary, ("upgrade", "--all"))
    assert said.code == 1, said.all
    assert "ValueError: (" in said.out
    # A defect of the program itself: an exception that it does not know.
    revision.unlink()
    project.write(
        "sitecustomize.py",
        f"""
        import sys
        import orchestrator.cli.main

        def broken(*_arguments):
            raise KeyError({url!r}, {ODD!r})

        import orchestrator.fleet.state
        orchestrator.fleet.state._read_server = broken
        """,
    )
    done = subprocess.run(
        command("status"),
        cwd=project.root,
        env={
            **environment(),
            "TMPDIR": str(temporary),
            "PYTHONPATH": f"{project.root}:{environment()['PYTHONPATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "unexpected KeyError" in done.stderr
    [log] = temporary.glob("orchestrator-*.log")
    assert "in broken" in log.read_text()
    assert_hidden(done.stdout + done.stderr, "a defect")
    assert_hidden(log.read_text(), "the log of a defect")


def everything_but(file: Path, project: SmallProject, folder: Path, verb: tuple[str, ...]) -> Said:
    """As `everything`, but for a file that the test itself wrote the password into."""
    done = subprocess.run(
        command(*verb),
        cwd=project.root,
        env={**environment(), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert file.exists()
    said = Said(done.returncode, done.stdout, done.stderr)
    assert_hidden(said.all, " ".join(verb))
    return said


@pytest.mark.parametrize("verb", [("upgrade", "--all"), ("upgrade", "--all", "--sql", "-o", "sql")])
def test_the_list_of_processes_shows_no_password(
    tmp_path: Path, logins: tuple[URL, URL], mysql: RunningServer, verb: tuple[str, ...]
) -> None:
    project = laid_out(tmp_path, *logins, mysql.flavour)
    project.revision("main", "m2", 'op.execute("SELECT pg_sleep(1)")', after="m1")
    process = project.start(*verb)
    seen: set[str] = set()
    children: set[int] = set()
    while process.poll() is None:
        found = {process.pid, *descendants(process.pid)}
        children |= found
        for pid in found:
            seen.add(command_line(pid))
        time.sleep(0.01)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert any("orchestrator" in one for one in seen)
    if "--sql" in verb:
        assert len(children) > 1, "the recording was never seen in a process of its own"
    for one in seen:
        assert_hidden(one, "a command line")


def descendants(pid: int) -> set[int]:
    """The processes that a process started, and those that these started."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                children = {int(word) for word in task.read_text().split()}
            except OSError:
                continue
            waiting += children - found
            found |= children
    return found


def command_line(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def test_the_test_would_see_it() -> None:
    with pytest.raises(AssertionError, match="shows"):
        assert_hidden(f"x {quote(ODD, safe='')} y", "this")
