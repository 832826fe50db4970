"""Fleets of small tenants at revision r1, and rollouts that take them to r2.

Enters: databases.  Leaves: a project, its tenants made by plain SQL, and what a driving process
told.  r2 adds a column and a unique index, and writes its name into a table, so that one which was
applied twice shows in the rows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.pool import NullPool

from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutTarget, RolloutView
from orchestrator.ledger.rollouts import Rollouts
from tests.cli.small import REPOSITORY, SmallProject, environment, shown, small_project

_TABLES = (
    "CREATE TABLE {at}items (id integer PRIMARY KEY, name varchar(50))",
    "CREATE TABLE {at}applied (step varchar(20))",
)
R1 = "\n".join(f"op.execute({one.replace('{at}', '')!r})" for one in _TABLES)
R2 = """
op.execute("INSERT INTO applied VALUES ('r2')")
op.add_column("items", sa.Column("price", sa.Integer))
op.create_index("ix_items_name", "items", ["name"], unique=True)
"""


@dataclass(frozen=True)
class Fleet:
    """A project with one tenant bind, `shop`. places: the URL of each tenant's server."""

    project: SmallProject
    places: dict[str, URL]
    schemas: bool
    ledger: str

    @classmethod
    def make(
        cls,
        root: Path,
        urls: Sequence[URL],
        tenants: int,
        rules: str,
        *,
        body: str = R2,
        more: str = "",
        shop: str = "",
        ledger: URL | None = None,
    ) -> Fleet:
        """Write the project, and lay out its tenants t0, t1, ... in turn on the servers. rules: the
        rollout section. more: other binds. shop: more of the bind. ledger: a database's, else a
        file."""
        names = [f"t{number}" for number in range(tenants)]
        places = {name: urls[number % len(urls)] for number, name in enumerate(names)}
        schemas = urls[0].get_backend_name() == "postgresql"
        servers = ", ".join(
            f"s{number}: {{url: {shown(url)}, max_connections: 20}}"
            for number, url in enumerate(urls)
        )
        tenancy = "schema" if schemas else "database"
        prefix = "" if schemas else f", name: '{urls[0].database}_{{tenant}}'"
        kept = f"sqlite:///{root}/.orchestrator/ledger.db"
        if ledger is not None:
            kept = ledger.render_as_string(hide_password=False)
        project = small_project(
            root,
            f"""
apps: {{packages: [apps]}}
default_bind: shop
binds:
  shop: {{servers: {{{servers}}}, tenancy: {tenancy}{prefix}, create: true{shop},
    tenants: {{file: tenants.csv}}}}{more}
rollout: {rules}
ledger: '{kept}'
""",
        )
        fleet = cls(project, places, schemas, kept)
        fleet.enlist(names)
        project.revision("shop", "r1", R1)
        project.revision("shop", "r2", body, after="r1")
        fleet.lay_out(names)
        return fleet

    def enlist(self, names: Sequence[str], urls: Sequence[URL] = ()) -> None:
        """Say which tenants there are. urls: where new ones stand."""
        known = list(dict.fromkeys([*self.places.values(), *urls]))
        lines = ["tenant,server,tier"]
        for number, name in enumerate(names):
            place = self.places.setdefault(name, known[number % len(known)])
            lines.append(f"{name},s{known.index(place)},{'inner' if number < 2 else 'outer'}")
        (self.project.root / "tenants.csv").write_text("\n".join(lines) + "\n")

    def lay_out(self, names: Sequence[str]) -> None:
        """Make these tenants, at r1."""
        for url in dict.fromkeys(self.places.values()):
            with connected(url) as connection:
                for name in names:
                    if self.places[name] == url:
                        statements = list(self._made(name))
                        # Many at a time where the driver takes them: fleets are of thousands.
                        for one in ["; ".join(statements)] if self.schemas else statements:
                            connection.exec_driver_sql(one)

    def _made(self, name: str) -> Iterator[str]:
        place = self.place(name)
        yield f"CREATE {'SCHEMA' if self.schemas else 'DATABASE'} {place}"
        yield f"CREATE TABLE {place}.alembic_version (version_num varchar(32) PRIMARY KEY)"
        yield f"INSERT INTO {place}.alembic_version VALUES ('r1')"
        yield from (one.replace("{at}", f"{place}.") for one in _TABLES)
        yield f"INSERT INTO {place}.items VALUES (1, 'a'), (2, 'b')"

    def place(self, name: str) -> str:
        """A tenant's schema or database."""
        return name if self.schemas else f"{next(iter(self.places.values())).database}_{name}"

    def sql(self, name: str, statement: str) -> list[tuple[Any, ...]]:
        """Run SQL on a tenant; {at} stands for its schema or database."""
        with connected(self.places[name]) as connection:
            result = connection.exec_driver_sql(statement.replace("{at}", self.place(name)))
            return [tuple(row) for row in result] if result.returns_rows else []

    def break_(self, names: Iterable[str]) -> None:
        """From now on r2 fails on these: two rows have one name."""
        for name in names:
            self.sql(name, "UPDATE {at}.items SET name = 'a'")

    def fix(self, names: Iterable[str]) -> None:
        """Take that back."""
        for name in names:
            self.sql(name, "UPDATE {at}.items SET name = 'b' WHERE id = 2")

    def applied(self, names: Iterable[str] | None = None) -> dict[int, list[str]]:
        """How often r2 was applied: the tenants by the count of its rows."""
        found: dict[int, list[str]] = {}
        wanted = list(self.places if names is None else names)
        for url in dict.fromkeys(self.places.values()):
            here = [name for name in wanted if self.places[name] == url]
            with connected(url) as connection:
                for start in range(0, len(here), 200):
                    parts = (
                        f"SELECT '{name}' AS tenant, count(*) AS n FROM {self.place(name)}.applied"
                        for name in here[start : start + 200]
                    )
                    for tenant, count in connection.exec_driver_sql(" UNION ALL ".join(parts)):
                        found.setdefault(count, []).append(tenant)
        return found

    # -- rollouts ----------------------------------------------------------------------------

    def start(self, *options: str) -> Driven:
        """Start a rollout, in a process of its own."""
        return self.drive("start", *options)

    def drive(self, *arguments: str) -> Driven:
        """Start a driving process."""
        root = self.project.root
        errors = root / f"driver{len(list(root.glob('driver*')))}.txt"
        with errors.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.execution.rollout.driver", str(root), *arguments],
                cwd=REPOSITORY,
                env={**environment(), "PYTHONPATH": os.pathsep.join(_PATHS)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )
        driven = Driven(process, errors)
        DRIVEN.append(driven)
        return driven

    @property
    def rollouts(self) -> Rollouts:
        """The project's ledger, as another terminal sees it."""
        ledger = Ledger.read(self.ledger)
        assert ledger is not None
        return Rollouts(ledger)

    @property
    def view(self) -> RolloutView:
        """The last rollout."""
        return self.rollouts.view("last")

    def rows(self, *states: str) -> tuple[RolloutTarget, ...]:
        """The targets of the last rollout that are in one of these states."""
        rollouts = self.rollouts
        rows = rollouts.targets(rollouts.view("last").row.id)
        return tuple(row for row in rows if not states or row.state in states)


_PATHS = [str(REPOSITORY), str(REPOSITORY / "script")]


@dataclass
class Driven:
    """A process that drives a rollout, and what it told so far."""

    process: subprocess.Popen[str]
    errors: Path
    events: list[dict[str, Any]] = field(default_factory=list)

    def until(self, event: str, **values: object) -> dict[str, Any]:
        """Read on, up to an event with these values."""
        for one in self._read():
            if one["event"] == event and all(one.get(key) == values[key] for key in values):
                return one
        raise AssertionError(f"no {event} {values}: {self.told()}")

    def end(self) -> dict[str, Any]:
        """Wait for the end, and give its event."""
        for _one in self._read():
            pass
        self.process.wait(60)
        assert self.events, self.told()
        assert self.events[-1]["event"] in ("end", "refused"), self.told()
        return self.events[-1]

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        for _one in self._read():
            pass
        self.process.wait(60)

    def of(self, event: str) -> list[dict[str, Any]]:
        """What it told of one kind."""
        return [one for one in self.events if one["event"] == event]

    def digest_of_plan(self) -> str:
        """The digest of the plan that it drove."""
        (one,) = self.of("rollout")
        return str(one["digest"])

    def told(self) -> str:
        """All of it: what an assertion shows when it fails."""
        return "\n".join([*map(str, self.events[-30:]), self.errors.read_text()])

    def _read(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout is not None
        if self.process.stdout.closed:
            return
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            yield self.events[-1]
        self.process.stdout.close()


DRIVEN: list[Driven] = []
"""Those of the test that runs; none outlives it."""


@contextmanager
def connected(url: URL) -> Iterator[Connection]:
    """A connection that commits each statement."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
