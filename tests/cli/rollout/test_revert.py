"""`rollout revert` on real servers: every target goes where it was, in waves of the opposite order.

The tenants t0 to t4 start at r1, and t5 is made by the rollout that takes all of them to r3.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from tests.cli.small import Said, SmallProject, rows, shown, small_project
from tests.conftest import DatabaseFactory
from tests.databases.dump import dump
from tests.execution.rollout.fleet import connected

ROLLOUT = (
    "{concurrency: 2, checks: [], waves: [{name: canary, count: 1, soak: 100ms}, "
    "{name: two, count: 2}]}"
)
R1 = 'op.create_table("items", sa.Column("id", sa.Integer, primary_key=True))'
R2 = 'op.add_column("items", sa.Column("price", sa.Integer))'
R3 = 'op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True))'


class Shop:
    """A project whose bind `shop` has six tenants in one database (or six databases)."""

    def __init__(self, root: Path, url: URL) -> None:
        self.url = url
        self.postgresql = url.get_backend_name() == "postgresql"
        tenancy = "schema" if self.postgresql else "database"
        prefix = "" if self.postgresql else f", name: '{url.database}_{{tenant}}'"
        self.project: SmallProject = small_project(
            root,
            f"""
apps: {{packages: [apps]}}
default_bind: shop
binds:
  main: {{url: {shown(url)}}}
  shop: {{url: {shown(url)}, tenancy: {tenancy}{prefix}, create: true, depends_on: [main],
    tenants: {{list: [t0, t1, t2, t3, t4, t5]}}}}
rollout: {ROLLOUT}
""",
        )
        self.project.revision("main", "m1", 'op.execute("SELECT 1")', down='op.execute("SELECT 1")')
        self.project.revision("shop", "r1", R1, down='op.drop_table("items")')
        self.revision("r2", R2, 'op.drop_column("items", "price")', after="r1")
        self.revision("r3", R3, 'op.drop_table("notes")', after="r2")

    def revision(self, name: str, upgrade: str, down: str, *, after: str) -> None:
        """Write a revision of shop."""
        self.project.revision("shop", name, upgrade, after=after, down=down)

    def run(self, *arguments: str) -> Said:
        """Run `orchestrator` to its end."""
        return self.project.run(*arguments)

    def good(self, *arguments: str) -> Said:
        """Run what must end well."""
        said = self.run(*arguments)
        assert said.code == 0, said.all
        return said

    def laid_out(self) -> Shop:
        """t0 to t4 at r1, main at m1."""
        names = [f"--tenant=t{number}" for number in range(5)]
        self.good("upgrade", "--bind", "shop", *names, "--to", "r1")
        self.good("upgrade", "--bind", "main")
        return self

    def place(self, tenant: str) -> str:
        """Its schema or database."""
        return tenant if self.postgresql else f"{self.url.database}_{tenant}"

    def states(self) -> dict[str, str]:
        """Where each tenant stands; those that have no version table are left out."""
        found = {}
        for number in range(6):
            place = self.place(f"t{number}")
            known = rows(
                self.url,
                "SELECT 1 FROM information_schema.tables WHERE table_name = 'alembic_version' "
                f"AND table_schema = '{place}'",
            )
            if known:
                at = rows(self.url, f"SELECT version_num FROM {place}.alembic_version")
                found[f"t{number}"] = ",".join(str(row[0]) for row in at)
        return found

    def dumped(self) -> dict[str, Any]:
        """The schemas and rows of t0 to t4."""
        return {
            name: dump(self.url, schema=name)
            if self.postgresql
            else dump(self.url.set(database=self.place(name)))
            for name in (f"t{number}" for number in range(5))
        }


@pytest.fixture
def shop(tmp_path: Path, any_database: DatabaseFactory) -> Iterator[Shop]:
    """Its databases go with it."""
    made = Shop(tmp_path, any_database())
    yield made
    if not made.postgresql:
        for number in range(6):
            rows(made.url, f"DROP DATABASE IF EXISTS {made.place(f't{number}')}")


def rollout_of(said: Said) -> str:
    """The id of the rollout that a command drove."""
    found = re.search(r"^rollout (\S+): ", said.out, re.MULTILINE)
    assert found, said.all
    return found[1]


AT_R1 = {f"t{number}": "r1" for number in range(5)}
AT_R3 = {f"t{number}": "r3" for number in range(6)}


def test_a_rollout_of_three_waves_is_taken_back(shop: Shop) -> None:
    before = shop.laid_out().dumped()
    name = rollout_of(shop.good("rollout", "start", "--all", "--yes"))
    assert shop.states() == AT_R3
    planned = shop.good("rollout", "revert", name, "--dry-run")
    assert "DESTRUCTIVE: drops a table: DROP TABLE notes" in planned.out
    assert "r3 -> r1" in planned.out
    assert "r3 -> base" in planned.out
    places = [planned.out.index(f"    {wave} ") for wave in ("rest", "two", "canary")]
    assert places == sorted(places), planned.out
    assert shop.states() == AT_R3, "nothing was changed"
    asked = shop.run("rollout", "revert", name)
    assert asked.code == 2
    assert "takes back 13 steps on 6 targets in 3 waves; data of 3 revisions is lost" in asked.err
    said = shop.good("rollout", "revert", name, "--yes")
    assert shop.states() == {**AT_R1, "t5": ""}, "the schema of t5 stays"
    assert shop.dumped() == before
    _shown_as_a_rollout(shop, name, rollout_of(said))
    again = shop.good("rollout", "revert", name, "--yes")
    assert "nothing to do: every target is where it was" in again.out
    refused = shop.run("rollout", "revert", "last", "--yes")
    assert refused.code == 2
    assert "it took targets back" in refused.err


def _shown_as_a_rollout(shop: Shop, name: str, revert: str) -> None:
    status = shop.good("rollout", "status", revert, "--json").json()
    (one,) = status if isinstance(status, list) else (status,)
    assert (one["reverts"], one["verb"], one["status"]) == (name, "downgrade", "done")
    assert [wave["name"] for wave in one["waves"]] == ["rest", "two", "canary"]
    run = shop.good("runs", "show", "last", "--json").json()
    assert run["verb"] == "rollout revert"
    outcomes = {one["target"]: (one["before"], one["after"]) for one in run["outcomes"]}
    assert outcomes["shop/t5"] == (["r3"], [])
    assert outcomes["shop/t0"] == (["r3"], ["r1"])
    assert f"reverts {name}" in shop.good("rollout", "status", revert).out


def test_who_was_moved_since_is_left_alone(shop: Shop) -> None:
    name = rollout_of(shop.laid_out().good("rollout", "start", "--all", "--yes"))
    shop.good("downgrade", "--bind", "shop", "--tenant", "t1", "--to", "base", "--yes")
    shop.good("downgrade", "--bind", "shop", "--tenant", "t2", "--to", "r2", "--yes")
    shop.revision("r4", "pass", "pass", after="r3")
    shop.good("upgrade", "--bind", "shop", "--tenant", "t3")
    said = shop.run("rollout", "revert", name, "--yes")
    assert said.code == 1, said.all
    assert "stands at base, which is not on the way from r1 to r3" in said.out
    assert "stands at r4, which is not on the way from r1 to r3" in said.out
    assert shop.states() == {**AT_R1, "t1": "", "t3": "r4", "t5": ""}, "t2 had one step left"


def test_revisions_without_a_downgrade_are_refused_first(shop: Shop) -> None:
    shop.revision("r3", R3, "pass", after="r2")
    shop.revision("r4", R3.replace("notes", "more"), "raise NotImplementedError", after="r3")
    shop.revision("r5", "pass", "pass", after="r4")
    r4 = shop.project.root / "migrations/versions/shop/r4.py"
    r4.write_bytes(b"# coding: latin-1\n# caf\xe9\n" + r4.read_bytes())
    name = rollout_of(shop.laid_out().good("rollout", "start", "--all", "--yes", "--no-lint"))
    said = shop.run("rollout", "revert", name, "--yes")
    assert said.code == 2
    assert "migrations/versions/shop/r3.py: revision r3 has no downgrade" in said.err
    assert "migrations/versions/shop/r4.py: revision r4 has no downgrade" in said.err
    assert "r5" not in said.err, "there is nothing to take back"
    assert set(shop.states().values()) == {"r5"}


def test_a_downgrade_that_is_not_the_inverse_is_told(shop: Shop) -> None:
    down = 'op.drop_table("notes")\nop.add_column("items", sa.Column("left", sa.Integer))'
    shop.revision("r3", R3, down, after="r2")
    name = rollout_of(shop.laid_out().good("rollout", "start", "--all", "--yes", "--no-lint"))
    said = shop.run("rollout", "revert", name, "--yes")
    assert said.code == 1
    assert "5 targets went back, and not to the schema from before: shop/t" in said.err
    assert "shop/t5" not in said.err.splitlines()[-1], "nothing is left of it"
    assert shop.states() == {**AT_R1, "t5": ""}


def test_a_stopped_rollout_is_ended_and_taken_back(shop: Shop) -> None:
    shop.laid_out()
    # With two steps, so that some failed half the way.
    shop.revision("r3", 'op.execute("SELECT * FROM no_such_table")', "pass", after="r2")
    stopped = shop.run("rollout", "start", "--all", "--yes", "--no-lint")
    assert stopped.code == 1
    name = rollout_of(stopped)
    moved = {tenant for tenant, at in shop.states().items() if at == "r2"}
    assert len(moved) == 1
    said = shop.run("rollout", "revert", name)
    assert f"rollout {name} (stopped) is ended by it" in said.err, said.all
    shop.good("rollout", "revert", name, "--yes")
    assert set(shop.states().values()) <= {"r1", ""}
    assert shop.good("rollout", "status", name).out.count("taken back by") == 1


def test_a_run_is_taken_back_to_where_each_was(shop: Shop) -> None:
    shop.laid_out()
    shop.good("upgrade", "--bind", "shop", "--tenant", "t0", "--to", "r2")
    shop.good("downgrade", "--bind", "main", "--to", "base", "--yes")
    run = shop.good("upgrade", "--all").out.split()[-1]
    assert shop.states() == AT_R3
    unknown = shop.run("rollout", "revert", "nothing", "--yes")
    assert (unknown.code, "no run or rollout 'nothing'" in unknown.err) == (2, True)
    planned = shop.good("rollout", "revert", run, "--dry-run", "--json").json()
    assert planned["reverts"] == run
    assert [(wave["name"], len(wave["targets"])) for wave in planned["waves"]] == [("all", 7)]
    assert {(one["bind"], one["revision"]) for one in planned["destroys"]} == {
        ("shop", "r1"),
        ("shop", "r2"),
        ("shop", "r3"),
    }
    said = shop.good("rollout", "revert", run, "--yes", "--log-format", "json")
    assert shop.states() == {**AT_R1, "t0": "r2", "t5": ""}
    assert rows(shop.url, "SELECT count(*) FROM alembic_version") == [(0,)]
    events = [json.loads(line) for line in said.err.splitlines() if line.startswith("{")]
    ended = [one["target"] for one in events if one.get("event") in ("target-ended", "ended")]
    assert ended[-1:] == ["main"], "what others depend on is taken back last"


def test_a_revert_that_is_killed_goes_on(shop: Shop) -> None:
    before = shop.laid_out().dumped()
    name = rollout_of(shop.good("rollout", "start", "--all", "--yes"))
    with connected(shop.url) as holder:
        # Somebody reads one of the tables meanwhile, so that it cannot come to its end.
        holder.exec_driver_sql("BEGIN")
        holder.exec_driver_sql(f"SELECT * FROM {shop.place('t3')}.notes").all()
        process = shop.project.start("rollout", "revert", name, "--yes")
        end = time.monotonic() + 60
        while list(shop.states().values()).count("r3") > 4:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)
        process.kill()
        process.communicate(timeout=60)
        assert shop.states()["t3"] == "r3"
    status = shop.run("rollout", "status", "last", "--json").json()
    (one,) = status if isinstance(status, list) else (status,)
    assert one["status"] == "interrupted"
    shop.good("rollout", "resume", "--yes")
    assert shop.states() == {**AT_R1, "t5": ""}
    assert shop.dumped() == before
    status = shop.good("rollout", "status", "last", "--json").json()
    (one,) = status if isinstance(status, list) else (status,)
    assert (one["status"], one["reverts"]) == ("done", name)
