"""`status` and `targets` over a fleet: cohorts, and tenants that are not known yet."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from orchestrator.cli.status import Standing, by_cohort, standing, standings
from orchestrator.config import Bind, Server, Where
from orchestrator.fleet.types import State, Target
from orchestrator.revisions.history import History
from tests.cli.small import SmallProject, rows, shown, small_project
from tests.conftest import DatabaseFactory

HERE = Where(Path("/p/databases.yaml"), 7)
SERVERS = {name: Server(name, None, HERE) for name in ("eu1", "us1")}
SHOP = Bind("shop", HERE, SERVERS, (), tenancy="schema")


def many(count: int, kind: str, *, server: str = "eu1", **more: Any) -> list[Standing]:
    """So many targets of shop that stand alike."""
    revisions = more.pop("revisions", ())
    detail = more.pop("detail", "")
    known = kind in ("head", "behind", "unknown")
    state_kind: Any = "known" if known else kind
    return [
        Standing(
            Target(SHOP, SERVERS[server], f"{kind}{number}", f"t_{kind}{number}"),
            State(
                state_kind,
                revisions,
                "" if known else detail.replace("SCHEMA", f"t_{kind}{number}"),
            ),
            kind,
            more.get("pending", ()),
            detail.replace("SCHEMA", f"t_{kind}{number}"),
        )
        for number in range(count)
    ]


def test_the_style_of_a_large_fleet() -> None:
    found = many(188, "behind", revisions=("1b7c",), pending=("2c1d", "3e4f", "4f2a"))
    found += many(9_812, "head", revisions=("4f2a",))
    assert list(by_cohort(found)) == [
        "shop: 9,812 at 4f2a (head), 188 at 1b7c (3 behind: 2c1d, 3e4f, 4f2a)"
    ]


def test_every_kind_has_its_words() -> None:
    way = tuple(f"r{number}" for number in range(1, 21))
    found = [
        *many(900, "head", revisions=("a", "b")),
        *many(80, "behind", revisions=(), pending=way),
        *many(70, "behind", revisions=("a", "c"), pending=("b",)),
        *many(60, "unknown", revisions=("zz",), detail="no revision file has zz"),
        *many(50, "no-version-table", pending=way),
        *many(40, "missing", detail="no schema SCHEMA"),
        *many(30, "denied", detail="no USAGE on schema SCHEMA"),
        *many(20, "unreachable", server="us1", detail="connection refused"),
        *many(2, "denied", detail="no SELECT on alembic_version"),
    ]
    lines = list(by_cohort(found))
    # A part that is longer by itself stays whole.
    assert all(len(line) <= 100 or "unreachable" in line for line in lines)
    assert len(lines) > 1
    assert all(line.startswith(" " * len("shop: ")) for line in lines[1:])
    assert " ".join(line.strip() for line in lines) == ", ".join(
        [
            "shop: 900 at a, b (heads)",
            "80 at base (20 behind: r1, r2, ..., r20)",
            "70 at a, c (2 heads, 1 behind: b)",
            "60 at zz (unknown: no revision file has zz)",
            "50 without version table (20 behind: r1, r2, ..., r20)",
            "40 missing (missing0, missing1, missing2, ...)",
            "30 denied (no USAGE on schema ...: denied0, denied1, denied2, ...)",
            "20 unreachable on server us1 (connection refused: unreachable0, unreachable1, "
            "unreachable2, ...)",
            "2 denied (no SELECT on alembic_version: denied0, denied1)",
        ]
    )


def test_any_fleet_fits_a_screen() -> None:
    found = [
        one
        for number in range(5_000)
        for one in many(2, "behind", revisions=(f"r{number}",), pending=("x",))
    ]
    lines = list(by_cohort(found))
    assert len(lines) < 20
    assert lines[-1].endswith("9,976 in 4,988 other states (--json lists all)")


def test_a_history_is_asked_once_for_a_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Counting(History):
        def unknown(self, state: Any) -> tuple[str, ...]:
            asked.append(tuple(state))
            return tuple(state)

    history = Counting(SHOP, None)  # type: ignore[arg-type]
    targets = [Target(SHOP, SERVERS["eu1"], str(number)) for number in range(100)]
    states = [State("known", (f"r{number % 3}",)) for number in range(100)]
    found = standings(targets, states, {"shop": history})
    assert sorted(asked) == [("r0",), ("r1",), ("r2",)]
    assert [one.target for one in found] == targets
    assert found[4] == standing(targets[4], states[4], history)


def fleet_project(root: Path, url: URL, source: str) -> SmallProject:
    """main with two revisions, and shop with three and a schema a tenant."""
    project = small_project(
        root,
        f"""
        apps: {{packages: [apps]}}
        default_bind: shop
        binds:
          main: {{url: {shown(url)}, version_table: main_version}}
          shop:
            url: {shown(url)}
            tenancy: schema
            name: "t_{{tenant}}"
            create: true
            tenants: {source}
        """,
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE customers (slug text)")')
    project.revision(
        "main", "m2", "op.execute(\"INSERT INTO customers VALUES ('acme')\")", after="m1"
    )
    project.revision("shop", "s1")
    project.revision("shop", "s2", after="s1")
    project.revision("shop", "s3", after="s2")
    return project


QUERY = "{query: {bind: main, sql: SELECT slug AS tenant FROM customers}}"


def test_tenants_that_are_not_known_yet(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    project = fleet_project(tmp_path, pg_database(), QUERY)
    words = (
        'shop: after main; tenants not known until main is applied: relation "customers" '
        "does not exist"
    )
    said = project.run("status")
    assert said.code == 0, said.all
    first, second = said.out.splitlines()
    assert first == "main  no version table (2 behind)"
    assert second.startswith(words)
    assert project.run("status", "--exit-code").code == 1
    listed = project.run("targets")
    assert listed.code == 0, listed.all
    assert listed.out.splitlines()[1].startswith(words)
    for verb in ("status", "targets"):
        [main, shop] = project.run(verb, "--json").json()
        assert main["target"] == "main"
        assert (shop["target"], shop["tenant"], shop["after"]) == ("shop", None, ["main"])
        assert words.partition("; ")[2] in shop["detail"]
    assert project.run("status", "--json", "--bind", "shop").json()[0]["status"] == (
        "tenants-unknown"
    )


def test_status_when_main_is_there(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = fleet_project(tmp_path, url, QUERY)
    rows(url, "CREATE TABLE customers (slug text)")
    rows(url, "INSERT INTO customers VALUES ('acme')")
    said = project.run("status")
    assert said.out.splitlines() == [
        "main       no version table (2 behind)",
        "shop/acme  missing: no schema t_acme",
    ]


def test_a_large_fleet_by_cohort(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    names = [f"n{number}" for number in range(60)]
    project = fleet_project(tmp_path, url, json.dumps({"list": names}))
    rows(url, "CREATE SCHEMA t_n58")
    for number in range(58):
        revision = "s3" if number > 9 else "s1"
        rows(url, f"CREATE SCHEMA t_n{number}")
        rows(url, f"CREATE TABLE t_n{number}.alembic_version (version_num varchar(32))")
        rows(url, f"INSERT INTO t_n{number}.alembic_version VALUES ('{revision}')")
    said = project.run("status")
    assert said.code == 0, said.all
    assert said.out.splitlines() == [
        "main: 1 without version table (2 behind: m1, m2)",
        "shop: 48 at s3 (head), 10 at s1 (2 behind: s2, s3), "
        "1 without version table (3 behind: s1, s2, s3),",
        "      1 missing (n59)",
    ]
    found = project.run("status", "--json").json()
    assert len(found) == 61
    assert {one["status"] for one in found} == {"head", "behind", "missing", "no-version-table"}
    assert re.fullmatch(r"n\d+", found[5]["tenant"])
    assert project.run("status", "--exit-code", "--tenant", "n1?").code == 0
    assert project.run("status", "--exit-code").code == 1
