"""Clients killed by kill -9 in the middle of a DBA's bundle; then run-all.sh is started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.databases.bundles import results
from tests.roads.bundled import Bundled

_TAG = "between_two_statements"
_STARTS = (
    ("-- @statement", "-- @finish", "-- @end", "REPLACE INTO", "UPDATE `orchestrator", "COMMIT;"),
    ("-- @statement", "-- @finish", "-- @end", "BEGIN;", "COMMIT;", "UPDATE :"),
)
"""How lines begin before which no statement is open, on MySQL and on PostgreSQL."""


def boundaries(lines: list[str], *, schemas: bool) -> list[int]:
    """The lines of a script behind its opening before which one statement has ended."""
    first = next(n for n, line in enumerate(lines) if line.startswith("-- @step"))
    return [n for n, line in enumerate(lines) if n > first and line.startswith(_STARTS[schemas])]


@pytest.mark.parametrize(
    "every", [4, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_between_two_statements(tmp_path: Path, any_database: DatabaseFactory, every: int) -> None:
    """Each target's client is killed at another place."""
    fleet = Bundled.make(tmp_path, any_database(), 4)
    lines = _script(fleet.bundle(name="first"), "r1").read_text(encoding="utf-8").split("\n")
    cuts = boundaries(lines, schemas=fleet.schemas)[::every]
    assert len(cuts) > (2 if every > 1 else 8)
    names = [f"k{number}" for number in range(len(cuts))]
    fleet = _enlist(fleet, names, "r1")
    folder = fleet.bundle()
    script = _script(folder, "r1")
    expected = _expected(fleet, script)

    lines = script.read_text(encoding="utf-8").split("\n")
    sleep = f"SELECT {'pg_sleep' if fleet.schemas else 'SLEEP'}(8) /* {_TAG} */;"
    clients = []
    for name, cut in zip(names, cuts, strict=True):
        part = tmp_path / "parts" / script.parent.name / f"{name}.sql"
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("\n".join([*lines[:cut], sleep, ""]), encoding="utf-8")
        # All are killed at the same place of their life, one after the other.
        client = fleet.start(name, part)
        _until(lambda: _running(fleet, _TAG) > 0, client)
        _kill(client)
        _end(fleet, _TAG)
        clients.append(client)
    assert all(client.returncode == -signal.SIGKILL for client in clients)
    halves = {name: fleet.sql(name, _JOURNAL) for name in names if _has_journal(fleet, name)}
    assert any(halves.values()), "no target was left half-way"

    ran = fleet.run_all(folder, "-j", "2")
    assert ran.code == 0, ran.said
    for name, content in fleet.contents().items():
        assert content == expected, f"{name}, cut at line {cuts[names.index(name)]}"
    assert {one["verdict"] for one in fleet.verify(folder).values()} == {"done"}


@pytest.mark.parametrize("left", ["released", "ended"])
def test_inside_a_statement(tmp_path: Path, any_database: DatabaseFactory, left: str) -> None:
    """Another session holds the table; the client is killed while its statement waits. The server
    goes on with it once it is released, or ends it; either is found out."""
    fleet = Bundled.make(tmp_path, any_database(), 4, more=", lock_timeout: 60s")
    folder = fleet.bundle()
    script = _script(folder, "r2")
    expected = _expected(fleet, _script(folder, "r3"), "t3")
    with _holding(fleet, "t2"):
        client = fleet.start("t2", script)
        _until(lambda: _waiting(fleet), client)
        _kill(client)
        if left == "ended":
            _end_waiting(fleet)
    ran = fleet.run_all(folder, "-t", "t2")
    assert ran.code == 0, ran.said
    assert fleet.contents(["t2"])["t2"] == expected


def test_interrupted(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """Ctrl-C reaches run-all.sh and its clients; it writes down what became of what it had begun,
    and goes on when it is started again."""
    fleet = Bundled.make(tmp_path, any_database(), 4, more=", lock_timeout: 60s")
    folder = fleet.bundle()
    with _holding(fleet, "t2"):
        process = subprocess.Popen(
            ["sh", "./run-all.sh", "-j", "1"],
            cwd=folder,
            env={**os.environ, **fleet.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Whoever runs the tests in the background may have it ignored, and so would the shell.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        _until(lambda: _waiting(fleet), process)
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
        _end_waiting(fleet)
        out, _ = process.communicate(timeout=90)
    assert process.returncode == 1, out
    assert b"run-all.sh: stopping; start it again to go on" in out
    assert results(folder)[fleet.place("t2")]["result"] == "failed"
    ran = fleet.run_all(folder)
    assert ran.code == 0, ran.said
    assert {one["verdict"] for one in fleet.verify(folder).values()} == {"done"}


def test_in_doubt(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """Nothing tells whether a CALL ran: run-all.sh says so, and repair finishes it."""
    fleet = Bundled.make(tmp_path, any_database(), 4, more=", lock_timeout: 60s")
    call, after = _OPAQUE[fleet.schemas]
    fleet.project.revision("shop", "r5", f"{call}\n{after}", after="r4")
    for name in fleet.names:
        if not fleet.schemas and name != "t0":
            fleet.sql(name, _PROCEDURE)
    said = fleet.project.run("upgrade", "--bind", "shop", "--tenant", "t3", "--to", "r4")
    assert said.code == 0, said.all
    folder = _bundle_of(fleet, "t3")
    with _holding(fleet, "t3"):
        client = fleet.start("t3", _script(folder, "r4"))
        _until(lambda: _waiting(fleet), client)
        _kill(client)
        _end_waiting(fleet)
    ran = fleet.run_all(folder)
    assert ran.code == 1, ran.said
    one = results(folder)[fleet.place("t3")]
    assert one["result"] == "in-doubt"
    assert "statement 1 of r5 was begun, and nothing tells whether it ran" in one["message"]
    assert "decide with: orchestrator repair" in one["message"]
    assert (folder / "logs" / f"1-{fleet.place('t3')}.evidence.sql").is_file()
    assert fleet.verify(folder, code=1)["t3"]["verdict"] == "half-way"
    # Again is no way around it.
    assert fleet.run_all(folder).code == 1
    said = fleet.project.run(
        "repair", "--bind", "shop", "--tenant", "t3", "--resume", "--in-doubt", "not-done"
    )
    assert said.code == 0, said.all
    assert fleet.sql("t3", "SELECT version_num FROM {at}.alembic_version") == [("r5",)]
    assert fleet.run_all(folder).code == 0
    assert results(folder)[fleet.place("t3")]["result"] == "already"
    assert fleet.verify(folder)["t3"]["verdict"] == "done"


_PROCEDURE = "CREATE PROCEDURE {at}.opaque() ALTER TABLE items COMMENT = 'opaque'"
_OPAQUE = (
    ("op.execute('CALL opaque()')", "op.execute('INSERT INTO notes VALUES (5)')"),
    (
        "with op.get_context().autocommit_block():\n"
        "    op.execute('REINDEX TABLE CONCURRENTLY items')",
        "op.execute('INSERT INTO notes VALUES (5)')",
    ),
)
_JOURNAL = "SELECT number, kind FROM {at}.orchestrator_journal"


def _bundle_of(fleet: Bundled, name: str) -> Path:
    folder = fleet.project.root / "one"
    said = fleet.project.run(
        "upgrade", "--bind", "shop", "--tenant", name, "--sql", "-o", str(folder)
    )
    assert said.code == 0, said.all
    return folder


def _script(folder: Path, start: str) -> Path:
    (path,) = folder.glob(f"shop/*/{start}-*.up.sql")
    return path


def _enlist(fleet: Bundled, names: list[str], state: str) -> Bundled:
    """The same project with these tenants instead, all at one state."""
    file = fleet.project.root / "databases.yaml"
    text = file.read_text(encoding="utf-8")
    listed = ", ".join(["expected", *names])
    file.write_text(text.replace(", ".join(fleet.names), listed), encoding="utf-8")
    said = fleet.project.run("upgrade", "--all", "--to", state)
    assert said.code == 0, said.all
    return Bundled(fleet.project, fleet.url, tuple(names))


def _expected(fleet: Bundled, script: Path, name: str = "expected") -> str:
    """What a target holds on which nobody was killed."""
    ran = fleet.client(name, script)
    assert ran.code == 0, ran.said
    return fleet.contents([name])[name]


def _has_journal(fleet: Bundled, name: str) -> bool:
    query = (
        "SELECT count(*) FROM information_schema.tables"
        f" WHERE table_schema = '{fleet.place(name)}' AND table_name = 'orchestrator_journal'"
    )
    return bool(rows(fleet.url, query)[0][0])


def _sessions(fleet: Bundled, words: str) -> list[int]:
    """Sessions of the server that run a statement with these words now."""
    if fleet.schemas:
        query = (
            "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
            f" AND datname = current_database() AND query LIKE '%{words}%'"
        )
    else:
        query = (
            "SELECT id FROM information_schema.processlist WHERE id <> connection_id()"
            f" AND db LIKE '{fleet.url.database}%' AND info LIKE '%{words}%'"
        )
    return [int(row[0]) for row in rows(fleet.url, query)]


def _running(fleet: Bundled, words: str) -> int:
    return len(_sessions(fleet, words))


def _end(fleet: Bundled, words: str) -> None:
    """End such sessions, whose client is gone."""
    for number in _sessions(fleet, words):
        if fleet.schemas:
            rows(fleet.url, f"SELECT pg_terminate_backend({number}, 10000)")
        else:
            rows(fleet.url, f"KILL {number}")
    _until(lambda: not _sessions(fleet, words))


def _blocked(fleet: Bundled) -> list[int]:
    if fleet.schemas:
        query = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
    else:
        query = (
            "SELECT id FROM information_schema.processlist WHERE id <> connection_id()"
            f" AND db LIKE '{fleet.url.database}%' AND state LIKE 'Waiting for%lock%'"
        )
    return [int(row[0]) for row in rows(fleet.url, query)]


def _waiting(fleet: Bundled) -> bool:
    return bool(_blocked(fleet))


def _end_waiting(fleet: Bundled) -> None:
    for number in _blocked(fleet):
        kill = (
            f"SELECT pg_terminate_backend({number}, 10000)" if fleet.schemas else f"KILL {number}"
        )
        rows(fleet.url, kill)
    _until(lambda: not _blocked(fleet))


@contextmanager
def _holding(fleet: Bundled, name: str) -> Iterator[None]:
    """A session with an open transaction that has read and written a tenant's items."""
    engine = create_engine(fleet.url, poolclass=NullPool)
    with engine.connect() as connection:
        place = fleet.place(name)
        connection.exec_driver_sql(f"UPDATE {place}.items SET price = price WHERE id = 1")
        yield
        connection.rollback()


def _kill(client: subprocess.Popen[bytes]) -> None:
    os.kill(client.pid, signal.SIGKILL)
    client.wait(30)
    assert client.stdout is not None
    client.stdout.close()


def _until(true: Callable[[], bool], client: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + 60
    while not true():
        if client is not None and client.poll() is not None:
            assert client.stdout is not None
            raise AssertionError(client.stdout.read().decode(errors="replace"))
        if time.monotonic() > deadline:
            if client is not None:
                _kill(client)
            raise AssertionError("it never came")
        time.sleep(0.05)
