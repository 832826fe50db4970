"""python -m benchmarks.fingerprints: how long the fingerprints of many schemas take.

Enters: options.  Leaves: on stdout, for each round the seconds and, on PostgreSQL, the most memory
of its own that a backend of the program had. Three of the schemas differ; it fails unless exactly
these are found.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import URL, make_url

from benchmarks.fleets import administrator
from orchestrator.checks.fingerprint import read_fingerprints
from orchestrator.checks.types import Scope
from orchestrator.config import Bind, Server, Where
from orchestrator.fleet.types import Target
from servers import DEFAULT_POSTGRES, FAMILIES, RunningServer, start

_MEMORY = Path("/dev/shm")
_BUILDERS = 2
_TOGETHER = 1000
"""Tables that one transaction makes: each takes locks."""

_WHERE = Where(Path("databases.yaml"), 1)
_SCOPE = Scope(hidden=frozenset({"alembic_version"}))
_VERSIONS = "CREATE TABLE {0}.alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
_TABLE = (
    "CREATE TABLE {0}.t{1} ({2}, name VARCHAR(80) NOT NULL, note TEXT,"
    " total NUMERIC(10,2) DEFAULT 0 NOT NULL, made TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL,"
    " parent_id INTEGER{3}, CONSTRAINT t{1}_total CHECK (total >= 0))"
)
_PARENT = ", CONSTRAINT t{1}_parent FOREIGN KEY (parent_id) REFERENCES {0}.t{2} (id)"
_INDEX = "CREATE INDEX ix_t{1}_name ON {0}.t{1} (name)"
_ALTERED = (
    "ALTER TABLE {0}.t0 ADD COLUMN extra INTEGER",
    "ALTER TABLE {0}.t0 DROP COLUMN note",
    "CREATE INDEX ix_t0_total ON {0}.t0 (total)",
)


@click.command()
@click.option(
    "--server", default=DEFAULT_POSTGRES, show_default=True, type=click.Choice(list(FAMILIES))
)
@click.option("--schemas", default=10_000, show_default=True, type=click.IntRange(10))
@click.option("--tables", default=2, show_default=True, help="In each.", type=click.IntRange(1))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
def main(server: str, schemas: int, tables: int, rounds: int) -> None:
    """Measure how long the fingerprints of many schemas take."""
    if os.access(_MEMORY, os.W_OK):
        tempfile.tempdir = str(_MEMORY)
    names = [f"t_{number}" for number in range(schemas)]
    odd = [schemas // 4, schemas // 2, schemas - 1]
    running = start(server)
    try:
        url = make_url(running.url)
        started = time.perf_counter()
        _build(url, names, tables)
        for number, statement in zip(odd, _ALTERED, strict=True):
            with administrator(url) as connection:
                connection.exec_driver_sql(statement.format(names[number]))
        click.echo(f"made in {time.perf_counter() - started:.0f} s", err=True)
        click.echo(f"{running.flavour}: {schemas} schemas of {tables} tables")
        for _round in range(rounds):
            _measure(running, _targets(url, names), odd)
    finally:
        running.stop()


def _build(url: URL, names: Sequence[str], tables: int) -> None:
    step = max(1, _TOGETHER // (tables + 1))
    parts = [names[first : first + step] for first in range(0, len(names), step)]
    with ThreadPoolExecutor(_BUILDERS) as threads:
        for done in [threads.submit(_build_some, url, part, tables) for part in parts]:
            done.result()


def _build_some(url: URL, names: Sequence[str], tables: int) -> None:
    postgresql = url.get_backend_name() == "postgresql"
    key = "id SERIAL PRIMARY KEY" if postgresql else "id INTEGER AUTO_INCREMENT PRIMARY KEY"
    statements = []
    for name in names:
        statements += [f"CREATE SCHEMA {name}", _VERSIONS.format(name)]
        for number in range(tables):
            parent = _PARENT.format(name, number, number - 1) if number else ""
            statements.append(_TABLE.format(name, number, key, parent))
            statements.append(_INDEX.format(name, number))
    with administrator(url) as connection:
        for text in ["; ".join(statements)] if postgresql else statements:
            connection.exec_driver_sql(text)


def _targets(url: URL, names: Sequence[str]) -> list[Target]:
    server = Server("only", url, _WHERE)
    bind = Bind("shop", _WHERE, {"only": server}, (Path("versions"),))
    if url.get_backend_name() == "postgresql":
        return [Target(bind, server, tenant=name, schema=name) for name in names]
    return [Target(bind, server, tenant=name, database=name) for name in names]


def _measure(running: RunningServer, targets: Sequence[Target], odd: Sequence[int]) -> None:
    with _backend_memory(make_url(running.url)) as memory:
        started = time.perf_counter()
        found = read_fingerprints(targets, lambda _target: _SCOPE)
        seconds = time.perf_counter() - started
    differing = [n for n, digest in enumerate(found.digests) if digest != found.digests[0]]
    if found.problems or differing != list(odd):
        click.echo(f"found {differing}, expected {odd}; {len(found.problems)} problems", err=True)
        sys.exit(1)
    most = f", a backend took {max(memory):.0f} MB" if memory else ""
    click.echo(f"{seconds:.2f} s{most}; load of the machine {os.getloadavg()[0]:.1f}")


@contextmanager
def _backend_memory(url: URL) -> Iterator[list[float]]:
    """The memory, in MB, that the program's backends share with nobody, looked at now and then."""
    seen: list[float] = []
    done = threading.Event()

    def watch() -> None:
        with administrator(url) as connection:
            while not done.wait(0.05):
                pids = connection.exec_driver_sql(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'orchestrator'"
                ).scalars()
                seen.extend(_own_memory(pid) for pid in pids)

    watching = threading.Thread(target=watch)
    if url.get_backend_name() == "postgresql" and Path("/proc/self/status").exists():
        watching.start()
    try:
        yield seen
    finally:
        done.set()
        if watching.ident is not None:
            watching.join()


def _own_memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0  # It has ended.
    told = dict(line.split(":", 1) for line in lines)
    if "VmRSS" not in told:
        return 0.0  # It is about to end.
    return (int(told["VmRSS"].split()[0]) - int(told["RssShmem"].split()[0])) / 1024


if __name__ == "__main__":
    main()
