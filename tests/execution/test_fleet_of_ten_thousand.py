"""Ten thousand tenants, of which a few fail: the others arrive, and the next run is for the few.

PostgreSQL schemas, and MySQL databases as a smaller brother; the command line in a process of its
own, as an operator runs it.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from benchmarks.measure import peak_told, read_peak
from tests.cli.small import SmallProject, command, environment, rows, shown, small_project
from tests.conftest import DatabaseFactory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MEGABYTES = 200
"""What the process may take."""

FLEET = """
apps: {{packages: [apps]}}
binds:
  fleet:
    url: {url}
    tenancy: {tenancy}
    name: "{prefix}{{tenant}}"
    tenants: {{file: tenants.txt}}
"""

# From r1, where the tenants are; a statement a revision, so that none is left half-applied.
REVISIONS = {
    "r1": "pass",
    "r2": 'op.create_unique_constraint("uq_n", "items", ["n"])',
    "r3": 'op.execute("INSERT INTO items (id, n) VALUES (100, 100)")',
    "r4": 'op.execute("INSERT INTO items (id) SELECT MAX(id) + 1 FROM items")',
}
# What a tenant has that is at the first revision.
MADE = (
    "CREATE TABLE {place}.items (id INT PRIMARY KEY, n INT)",
    "CREATE TABLE {place}.alembic_version (version_num VARCHAR(32) NOT NULL)",
    "INSERT INTO {place}.alembic_version VALUES ('r1')",
)


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong with some tenants: how it comes, how they stand then (`standing`),
    what the server says of it, and its repair."""

    breaks: str
    stays: tuple[str, int | None]
    told: str
    repair: str


CAUSES = (
    Cause(
        "ALTER TABLE {place}.items RENAME COLUMN n TO m",
        ("r1", None),
        "exist",
        "ALTER TABLE {place}.items RENAME COLUMN m TO n",
    ),
    Cause(
        "INSERT INTO {place}.items VALUES (1, 7), (2, 7)",
        ("r1", 2),
        "uq_n",
        "DELETE FROM {place}.items WHERE id = 2",
    ),
    Cause(
        "INSERT INTO {place}.items VALUES (100, 1)",
        ("r2", 100),
        "100",
        "DELETE FROM {place}.items WHERE id = 100",
    ),
)


@dataclass(frozen=True)
class Fleet:
    """Tenants on a server, all at r1. broken: the cause of each that will fail."""

    project: SmallProject
    url: URL
    prefix: str
    tenants: Sequence[str]
    broken: Mapping[str, Cause]

    def do(self, statements: Iterable[str]) -> None:
        """Run statements outside of any transaction."""
        engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                # Together, because round trips are what takes time; not too many, because a server
                # counts locks.
                for batch in batched(statements, 500):
                    connection.exec_driver_sql(";\n".join(batch))
            else:
                for one in statements:
                    connection.exec_driver_sql(one)

    def place(self, tenant: str) -> str:
        """A tenant's schema or database."""
        return f"{self.prefix}{tenant}"

    def make(self) -> None:
        """Make every tenant, and break those that are to fail."""
        kind = "SCHEMA" if self.url.get_backend_name() == "postgresql" else "DATABASE"
        self.do(
            one.format(place=self.place(tenant))
            for tenant in self.tenants
            for one in (f"CREATE {kind} {{place}}", *MADE)
        )
        self.do(
            cause.breaks.format(place=self.place(tenant)) for tenant, cause in self.broken.items()
        )

    def repair(self) -> None:
        """Take away what is wrong with the broken ones."""
        self.do(
            cause.repair.format(place=self.place(tenant)) for tenant, cause in self.broken.items()
        )

    def standing(self) -> dict[str, tuple[str, int | None]]:
        """Each tenant's version row and its last item: 101, and 102 if r4 came twice."""
        found: dict[str, tuple[str, int | None]] = {}
        for batch in batched(self.tenants, 250):
            query = " UNION ALL ".join(
                f"SELECT '{tenant}', (SELECT MAX(version_num) FROM {place}.alembic_version),"
                f" (SELECT MAX(id) FROM {place}.items)"
                for tenant, place in ((one, self.place(one)) for one in batch)
            )
            found |= {tenant: (row, last) for tenant, row, last in rows(self.url, query)}
        return found


def batched(found: Iterable[str], size: int) -> Iterator[list[str]]:
    """As Python 3.12's itertools.batched, in lists."""
    left = iter(found)
    while batch := list(islice(left, size)):
        yield batch


@dataclass(frozen=True)
class Ran:
    """A run: its exit code, what it said, its peak memory in MB, and its seconds."""

    code: int
    out: str
    err: str
    peak: float
    seconds: float


def run(project: SmallProject, *arguments: str) -> Ran:
    """Run `orchestrator`, and ask the system what it took."""
    started = time.monotonic()
    peak = project.root / "peak.txt"
    out, err = project.root / "out.txt", project.root / "err.txt"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        code = subprocess.call(
            peak_told(command(*arguments), peak),
            cwd=project.root,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    seconds = time.monotonic() - started
    return Ran(code, out.read_text(), err.read_text(), read_peak(peak) / 1e6, seconds)


def lay_out(root: Path, url: URL, count: int, broken: Sequence[int]) -> Fleet:
    """A project for so many tenants. broken: how many fail for each cause."""
    on_schemas = url.get_backend_name() == "postgresql"
    prefix = "" if on_schemas else f"{url.database}_"
    tenancy = "schema" if on_schemas else "database"
    project = small_project(root, FLEET.format(url=shown(url), tenancy=tenancy, prefix=prefix))
    before = None
    for name, body in REVISIONS.items():
        project.revision("fleet", name, body, after=before)
        before = name
    tenants = [f"c{number:05}" for number in range(count)]
    project.write("tenants.txt", "\n".join(tenants) + "\n")
    # Far from one another, so that every part of the fleet has some.
    chosen = tenants[:: count // sum(broken)]
    causes = [cause for cause, times in zip(CAUSES, broken, strict=True) for _ in range(times)]
    return Fleet(project, url, prefix, tenants, dict(zip(chosen, causes, strict=False)))


@pytest.mark.parametrize(("count", "broken"), [(10_000, (20, 12, 5))], ids=["schemas"])
def test_schemas(
    tmp_path: Path,
    pg_database: DatabaseFactory,
    record_property: Callable[[str, object], None],
    count: int,
    broken: Sequence[int],
) -> None:
    the_few_fail(lay_out(tmp_path, pg_database(), count, broken), broken, record_property)


@pytest.mark.parametrize(("count", "broken"), [(1_000, (4, 3, 2))], ids=["databases"])
def test_databases(
    tmp_path: Path,
    my_database: DatabaseFactory,
    record_property: Callable[[str, object], None],
    count: int,
    broken: Sequence[int],
) -> None:
    the_few_fail(lay_out(tmp_path, my_database(), count, broken), broken, record_property)


def the_few_fail(
    fleet: Fleet, broken: Sequence[int], record_property: Callable[[str, object], None]
) -> None:
    """All but the broken ones arrive; the next run is for them; repaired, they arrive too."""
    fleet.make()
    few, many = len(fleet.broken), len(fleet.tenants) - len(fleet.broken)
    assert few == sum(broken)

    first = run(fleet.project, "upgrade", "--all")
    record_property("first run", f"{first.seconds:.1f} s, {first.peak:.0f} MB")
    assert first.code == 1
    _three_groups(first, broken)
    assert f"{len(fleet.tenants):,} targets, {many:,} changed, {few} failed" in first.out
    expected = dict.fromkeys(fleet.tenants, ("r4", 101))
    left = expected | {tenant: cause.stays for tenant, cause in fleet.broken.items()}
    assert fleet.standing() == left

    second = run(fleet.project, "upgrade", "--all", "--json")
    assert second.code == 1
    outcomes = json.loads(second.out)
    assert _results(outcomes) == {"unchanged": many, "failed": few}
    assert {one["tenant"] for one in outcomes if one["result"] == "failed"} == set(fleet.broken)
    assert fleet.standing() == left

    fleet.repair()
    third = run(fleet.project, "upgrade", "--all", "--json")
    record_property("third run", f"{third.seconds:.1f} s, {third.peak:.0f} MB")
    assert third.code == 0, third.err
    assert _results(json.loads(third.out)) == {"unchanged": many, "done": few}
    assert fleet.standing() == expected
    print(f"first run {first.seconds:.1f} s, {first.peak:.0f} MB")
    print(f"third run {third.seconds:.1f} s, {third.peak:.0f} MB")
    assert max(first.peak, second.peak, third.peak) < MEGABYTES


def _results(outcomes: Sequence[Mapping[str, str]]) -> Counter[str]:
    return Counter(one["result"] for one in outcomes)


def _three_groups(said: Ran, broken: Sequence[int]) -> None:
    """The summary tells each cause once, with its number of targets, on one screen."""
    groups = re.findall(r"^(\d+) targets: (.*)", said.out, re.MULTILINE)
    assert [int(number) for number, _message in groups] == list(broken), said.out
    for cause, (_number, message) in zip(CAUSES, groups, strict=True):
        assert cause.told in message
    assert len(said.out.splitlines()) < 50
