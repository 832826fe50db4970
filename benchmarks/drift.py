"""Cases h and i: drift in a fleet of PostgreSQL schemas, of which three were altered by hand.

Enters: a folder and a running server.  Leaves: `Look`s: what `orchestrator drift` found, and what
it took.  tests/execution/test_drift_of_ten_thousand.py holds the goals of these cases.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import URL, make_url

from benchmarks.cases import DriftCase
from benchmarks.fleets import administrator
from benchmarks.measure import BenchmarkFailed, peak_told, read_peak
from benchmarks.site import names
from servers import RunningServer

_BATCH = 250
_OFTEN = 0.05
"""Seconds between two looks at what the server's backends take."""

_DATABASES_YAML = """\
apps: {packages: [apps]}
binds:
  shop:
    url: ${BENCH_URL}
    tenancy: schema
    tenants: {file: tenants.txt}
"""
_ENV = "from orchestrator.environment import run_migrations\n\nrun_migrations()\n"
_COLUMNS = """\
sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(50), nullable=False), \
sa.Column("total", sa.Numeric(10, 2), server_default="0"), sa.Column("note", sa.Text), \
sa.Column("parent", sa.Integer, sa.ForeignKey("t{before}.id", name="fk_{number}"))"""
_SQL = (
    "CREATE TABLE {place}.t{number} (id serial PRIMARY KEY, name varchar(50) NOT NULL,"
    " total numeric(10, 2) DEFAULT '0', note text, parent int,"
    " CONSTRAINT fk_{number} FOREIGN KEY (parent) REFERENCES {place}.t{before} (id))",
    "CREATE INDEX ix_t{number}_parent ON {place}.t{number} (parent)",
)
_VERSION = (
    "CREATE TABLE {place}.alembic_version (version_num varchar(32) PRIMARY KEY)",
    "INSERT INTO {place}.alembic_version VALUES ('r1')",
)
ALTERED = (
    ("ALTER TABLE {place}.t0 DROP COLUMN total", "table t0: column total is missing"),
    ("CREATE INDEX by_hand ON {place}.t1 (name)", "table t1: index by_hand is not expected"),
    (
        "ALTER TABLE {place}.t1 ALTER note TYPE varchar(20)",
        "table t1: column note: type is character varying(20), expected text",
    ),
)
"""What hands did to three tenants, and how it shall be told."""


@dataclass(frozen=True, slots=True)
class Look:
    """One `orchestrator drift`: seconds, bytes that it took and that the largest of its backends
    took, and its report."""

    seconds: float
    peak: int
    backend: int
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Drifted:
    """What a case gave."""

    case: DriftCase
    flavour: str
    size: int
    looks: Sequence[Look] = field(default_factory=tuple)

    @property
    def seconds(self) -> float:
        """Median over the rounds."""
        return median(look.seconds for look in self.looks)

    @property
    def peak(self) -> int:
        """The most bytes of any round."""
        return max(look.peak for look in self.looks)

    @property
    def backend(self) -> int:
        """The most bytes of any backend of any round."""
        return max(look.backend for look in self.looks)


def run_drift(
    case: DriftCase, server: RunningServer, root: Path, *, rounds: int, scale: float
) -> Drifted:
    """Make the fleet, and look for drift in each round. Raises BenchmarkFailed when something else
    is found than what was done."""
    size = max(10, round(case.targets * scale))
    name = f"bench_{case.name}"
    near = make_url(server.url).set(database="postgres")
    url = near.set(database=name)
    with administrator(near) as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        altered = lay_out(root, url, size, case.tables)
        looks = [look(root, url) for _ in range(rounds)]
    finally:
        with administrator(near) as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    for one in looks:
        if told(one.report) != altered:
            raise BenchmarkFailed(f"drift found {told(one.report)} instead of {altered}")
    return Drifted(case, server.flavour, size, looks)


def told(report: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a report says of each target that differs."""
    return {
        target: [difference["words"] for difference in group["differences"]]
        for group in report["groups"]
        if group["verdict"] != "as-revision"
        for target in group["targets"]
    }


def lay_out(root: Path, url: URL, targets: int, tables: int) -> dict[str, list[str]]:
    """Write a project, and make its tenants, three of them altered. Gives what shall be found."""
    tenants = names(targets)
    _write(root, tenants, tables)
    statements = [
        text.format(place=tenant, number=number, before=max(0, number - 1))
        for tenant in tenants
        for text, number in (
            (f"CREATE SCHEMA {tenant}", 0),
            *((text, number) for number in range(tables) for text in _SQL),
            *((text, 0) for text in _VERSION),
        )
    ]
    # Far from one another, and none of them the first.
    chosen = tenants[targets // 4 :: max(1, targets // 4)][: len(ALTERED)]
    for tenant, (text, _words) in zip(chosen, ALTERED, strict=True):
        statements.append(text.format(place=tenant))
    with administrator(url) as connection:
        for first in range(0, len(statements), _BATCH):
            connection.exec_driver_sql(";\n".join(statements[first : first + _BATCH]))
        connection.exec_driver_sql("VACUUM ANALYZE")
    return {
        f"shop/{tenant}": [words] for tenant, (_text, words) in zip(chosen, ALTERED, strict=True)
    }


def _write(root: Path, tenants: Sequence[str], tables: int) -> None:
    columns = [_COLUMNS.format(number=one, before=max(0, one - 1)) for one in range(tables)]
    models = "".join(
        f'sa.Table("t{number}", metadata, {text}, sa.Index("ix_t{number}_parent", "parent"))\n'
        for number, text in enumerate(columns)
    )
    steps = "".join(
        f'    op.create_table("t{number}", {text})\n'
        f'    op.create_index("ix_t{number}_parent", "t{number}", ["parent"])\n'
        for number, text in enumerate(columns)
    )
    imports = "import sqlalchemy as sa\n"
    revision = f'{imports}from alembic import op\n\nrevision = "r1"\ndown_revision = None\n\n\n'
    files = {
        "databases.yaml": _DATABASES_YAML,
        "tenants.txt": "\n".join(tenants) + "\n",
        "migrations/env.py": _ENV,
        "migrations/versions/shop/r1.py": f"{revision}def upgrade():\n{steps}",
        "apps/__init__.py": "",
        "apps/shop/__init__.py": "",
        "apps/shop/models.py": f"{imports}\nmetadata = sa.MetaData()\n{models}",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def look(root: Path, url: URL) -> Look:
    """Run `orchestrator drift` once. Raises BenchmarkFailed when it gives no report."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "BENCH_URL": url.render_as_string(hide_password=False),
    }
    out, err, peak = (root / f"drift.{name}" for name in ("json", "err", "peak"))
    with out.open("wb") as stdout, err.open("wb") as stderr, _watching(url) as backends:
        started = time.perf_counter()
        code = subprocess.call(
            peak_told([sys.executable, "-m", "orchestrator", "drift", "--json"], peak),
            cwd=root,
            env=environment,
            stdout=stdout,
            stderr=stderr,
        )
        seconds = time.perf_counter() - started
    if code not in (0, 1):
        raise BenchmarkFailed(err.read_text(encoding="utf-8"))
    report = json.loads(out.read_text(encoding="utf-8"))
    return Look(seconds, read_peak(peak), max(backends, default=0), report)


@contextmanager
def _watching(url: URL) -> Iterator[list[int]]:
    """Gathers what each of orchestrator's backends takes for itself, as long as it lasts."""
    found: list[int] = []
    over = threading.Event()

    def watch() -> None:
        with administrator(url) as connection:
            while not over.wait(_OFTEN):
                pids = connection.exec_driver_sql(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'orchestrator'"
                ).scalars()
                found.extend(_own_memory(pid) for pid in pids)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _own_memory(pid: int) -> int:
    """Bytes that a process shares with nobody (proc(5), "RssAnon"); 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    kilobytes = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
    return int(next(kilobytes, "0")) * 1024
