"""Histories that packages on PyPI ship: orchestrator ends where stock Alembic ends, at every stop.

Several tenants are walked by `orchestrator upgrade` and `downgrade`, and a database of its own by
stock Alembic with a plain env.py: schema, version rows, data and counters are compared.  First from
base to head and back in as few commands as the rows allow that are filled in on the way, then stop
by stop: every revision of optuna and of mlflow's second history, every third of argilla, every
tenth of mlflow's first.  At the ends, and after a failure, all tenants are compared, else one after
the other.

Where stock Alembic fails on a server, orchestrator fails there, with the same message, and leaves
the same behind.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

import pytest
from sqlalchemy import URL

from servers import RunningServer
from tests.databases.dump import dump
from tests.databases.fresh import fresh_database
from tests.roads.project import Project
from tests.roads.public import (
    HISTORIES,
    PACES,
    STOCK,
    TENANTS,
    PublicHistory,
    lay_out_public,
    python_path,
)
from tests.roads.site import full
from tests.roads.walk import Stop, fill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Walk:
    """One way through a history at one pace: its tenants, and stock Alembic's place."""

    project: Project
    database: URL
    pace: str
    stride: int

    @property
    def on_schemas(self) -> bool:
        """Whether a tenant is a schema."""
        return self.database.get_backend_name() == "postgresql"

    def name(self, tenant: str) -> str:
        """The name of a tenant's schema or database."""
        prefix = "" if self.on_schemas else f"{self.database.database}_"
        return f"{prefix}{self.pace}_{tenant}"

    def url(self, tenant: str) -> URL:
        """Where a tenant is, for statements that name no schema."""
        if self.on_schemas:
            options = f"-csearch_path={self.name(tenant)}"
            return self.database.update_query_dict({"options": options})
        return self.database.set(database=self.name(tenant))

    def dump(self, tenant: str) -> str:
        """A tenant as text."""
        if self.on_schemas:
            return dump(self.database, self.name(tenant))
        return dump(self.url(tenant))

    def make(self, rows: Mapping[str, list[str]]) -> None:
        """Make the place of each tenant, and stock Alembic's; what stands there before the first
        revision is the business of each of them."""
        kind = "SCHEMA" if self.on_schemas else "DATABASE"
        fill(self.database, [f"CREATE {kind} {self.name(one)}" for one in (STOCK, *TENANTS)])
        for tenant in TENANTS:
            fill(self.url(tenant), rows.get("base", []))

    def by_stock(self) -> list[tuple[Stop, str]]:
        """Walk with stock Alembic; each stop, and what was there then."""
        folder, out = self.project.root / "stock", self.project.root / self.pace
        environ = {
            "STOCK_URL": full(self.url(STOCK)),
            "STOCK_SCHEMA": self.name(STOCK) if self.on_schemas else "",
        }
        program = (
            "from pathlib import Path\nfrom tests.roads.walk import main\n"
            f"main(Path({str(folder)!r}), Path({str(out)!r}), {self.stride})"
        )
        Project(self.project.root, {**self.project.environ, **environ}).python(program)
        stops = json.loads((out / "stops.json").read_text(encoding="utf-8"))
        return [
            (Stop(**one), (out / f"{number}.txt").read_text(encoding="utf-8"))
            for number, one in enumerate(stops)
        ]

    def by_orchestrator(self, stop: Stop, rows: Mapping[str, list[str]]) -> None:
        """Bring all tenants to a stop; where stock Alembic failed, with the same message."""
        sure = ["--yes"] if stop.verb == "downgrade" else []
        narrow = ["--tenant", f"{self.pace}_*"]
        code = 1 if stop.error else 0
        said = self.project.orchestrator(stop.verb, *narrow, *sure, "--to", stop.to, code=code)
        # A server names the place in some messages.
        errors = [stop.error.replace(self.name(STOCK), self.name(tenant)) for tenant in TENANTS]
        assert any(error in said.all for error in errors), f"{stop}: {said.all}"
        if stop.verb == "upgrade" and not stop.error:
            for tenant in TENANTS:
                fill(self.url(tenant), rows.get(stop.to, []))


@pytest.fixture(params=HISTORIES, ids=lambda one: one.name)
def history(request: pytest.FixtureRequest, any_server: RunningServer) -> PublicHistory:
    """A history that is written for the server."""
    found: PublicHistory = request.param
    if any_server.family not in found.families:
        pytest.skip(f"{found.name} is not written for this server")
    return found


def test_a_public_history_ends_where_stock_alembic_ends(
    history: PublicHistory, any_server: RunningServer, tmp_path: Path
) -> None:
    with fresh_database(any_server) as database:
        environ = {"PYTHONPATH": python_path(), "FLEET_URL": full(database)}
        project = Project(tmp_path, environ)
        prefix = "" if any_server.family == "postgresql" else f"{database.database}_"
        lay_out_public(project, history, any_server.family, prefix)
        rows = json.loads((tmp_path / "stock" / "rows.json").read_text(encoding="utf-8"))
        # The long way first: the recordings that it leaves are those of the single steps.
        for pace in PACES:
            walk = Walk(project, database, pace, history.stride if pace == "steps" else 0)
            walk.make(rows)
            stops = walk.by_stock()
            assert stops
            for number, (stop, expected) in enumerate(stops):
                walk.by_orchestrator(stop, rows)
                turns = number == len(stops) - 1 or stops[number + 1][0].verb != stop.verb
                some = [TENANTS[number % len(TENANTS)]]
                for tenant in TENANTS if turns or stop.error else some:
                    _same(walk.dump(tenant), expected, f"{tenant} at {pace} after {stop}")
                if stop.error and not walk.on_schemas:
                    # What is half-applied waits for a decision; stock Alembic just goes on.
                    break


def _same(found: str, expected: str, where: str) -> None:
    left, right = _unordered(expected), _unordered(found)
    difference = difflib.unified_diff(left, right, STOCK, where, n=1, lineterm="")
    assert left == right, "\n".join(difference)


def _unordered(dumped: str) -> list[str]:
    """The lines of a database's text, with the keys of each MySQL table in one order: Alembic
    creates the indexes of a new table in any (`Table.indexes` is a set)."""
    groups = groupby(dumped.splitlines(), lambda line: " KEY `" in line[:16])
    ordered = (
        sorted(line.rstrip(",") for line in group) if is_key else list(group)
        for is_key, group in groups
    )
    return list(chain.from_iterable(ordered))
