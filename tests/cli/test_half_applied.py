"""How a target that stopped inside a step is told, by every verb that looks at targets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url

from orchestrator.cli.status import by_cohort, standings
from orchestrator.config.load import load_config
from orchestrator.fleet.state import FleetState
from orchestrator.fleet.targets import Selection, find_targets
from orchestrator.fleet.types import State
from orchestrator.safety.locks import lock_of
from tests.cli.small import SmallProject, rows, shown, small_project
from tests.conftest import DatabaseFactory
from tests.execution.halfway import stop_half_way
from tests.planning.fleet import bind, half_way, history, tenants

STATEMENTS = ("CREATE TABLE a (i int)", "CREATE TABLE b (i int)", "CREATE TABLE c (i int)")


def test_the_words_of_status(tmp_path: Path) -> None:
    shop = bind("shop", tmp_path)
    past = {"shop": history(shop, {"r1": None, "r2": "r1"})}
    at_r1 = State("known", ("r1",))
    fleet = FleetState(
        (
            half_way(at_r1, "r2"),
            half_way(at_r1, "r1", direction="downgrade"),
            half_way(at_r1, "gone"),
            replace(at_r1, detail="no SELECT on orchestrator_journal"),
            half_way(at_r1, "r2"),
        )
    )
    found = standings(tenants(shop, ["a", "b", "c", "d", "e"]), fleet.states, past)
    assert [one.words for one in found[:4]] == [
        "r1, half-applied: upgrade of r2 stopped in statement 2 of 3; the next upgrade continues "
        "it",
        "r1, half-applied: downgrade of r1 stopped in statement 2 of 3; see `orchestrator repair`",
        "r1, half-applied: upgrade of gone stopped in statement 2 of 3; see `orchestrator repair`",
        "r1 (1 behind); no SELECT on orchestrator_journal",
    ]
    lines = " ".join(line.strip() for line in by_cohort(found))
    assert "2 at r1, half-applied: upgrade of r2" in lines
    assert "continues it (a, e)" in lines


@pytest.fixture
def shop(tmp_path: Path, pg_database: DatabaseFactory) -> SmallProject:
    """Two tenants at r1, of which acme stopped inside r2."""
    url = pg_database()
    project = small_project(
        tmp_path,
        f"""
apps: {{packages: [apps]}}
default_bind: shop
binds:
  shop:
    url: {shown(url)}
    tenancy: schema
    create: true
    tenants: {{list: [acme, globex]}}
""",
    )
    project.revision("shop", "r1", "op.execute('CREATE TABLE one (i int)')")
    upgraded = project.run("upgrade", "--all")
    assert upgraded.code == 0, upgraded.all
    body = "\n".join(f"op.execute('{text}')" for text in STATEMENTS)
    project.revision("shop", "r2", body, after="r1", down="op.execute('DROP TABLE a, b, c')")
    stop_half_way(url, "r2", STATEMENTS, 2, kind="data", table="acme.orchestrator_journal")
    return project


def test_every_verb_tells_it(shop: SmallProject) -> None:
    status = shop.run("status", "--exit-code")
    assert status.code == 1, status.all
    words = "r1, half-applied: upgrade of r2 stopped behind statement 2 of 3; the next upgrade"
    assert words in status.out.splitlines()[0]
    told = shop.run("status", "--json").json()
    assert [one["status"] for one in told] == ["half-applied", "behind"]
    assert told[0]["half_applied"]["in_doubt"] is None
    assert told[0]["half_applied"]["done"] == 2
    assert told[1]["half_applied"] is None

    plan = shop.run("plan")
    assert plan.code == 0, plan.all
    assert "    1 of them continues r2: shop/acme" in plan.out.splitlines()
    dry = shop.run("upgrade", "--all", "--dry-run")
    assert "shop/acme: r1, 1 step to upgrade, continues r2" in dry.out.splitlines()
    assert "shop/globex: r1, 1 step to upgrade" in dry.out.splitlines()
    told = shop.run("upgrade", "--all", "--dry-run", "--json").json()
    assert [one["continues"] for one in told] == ["r2", None]

    for verb in (["downgrade", "--to", "base", "--yes"], ["stamp", "r2"]):
        refused = shop.run(verb[0], *verb[1:], "--tenant", "acme")
        assert refused.code == 1, refused.all
        assert "shop/acme: it is half-way through `upgrade` of r2" in refused.out
        assert "`orchestrator upgrade --bind shop --tenant acme --to r2`" in refused.out
    checked = shop.run("check")
    assert checked.code == 1, checked.all
    assert "target shop/acme: it is half-way through `upgrade` of r2" in checked.err
    assert "globex" not in checked.err


def test_status_looks_whether_it_can_be_continued(shop: SmallProject) -> None:
    url = database_of(shop)
    rows(url, "UPDATE acme.orchestrator_journal SET kind = 'ddl' WHERE number = 2")
    told = shop.run("status", "--json").json()
    assert told[0]["status"] == "dirty"
    assert told[0]["half_applied"]["in_doubt"] == {"number": 2, "statement": STATEMENTS[1]}
    said = shop.run("status").out.splitlines()[0]
    assert said.startswith("shop/acme    r1, dirty: upgrade of r2 stopped in statement 2 of 3: ")
    assert said.endswith("; see `orchestrator repair`")
    engine = create_engine(url)
    target = find_targets(load_config(shop.root / "databases.yaml"), Selection()).targets[0]
    lock = lock_of("postgresql", None, target.schema, "alembic_version")
    with engine.connect() as connection:
        connection.exec_driver_sql(lock.take)
        said = shop.run("status").out.splitlines()[0]
    engine.dispose()
    assert "half-applied: upgrade of r2 stopped in statement 2 of 3, or runs now: locked by" in said


def database_of(project: SmallProject) -> URL:
    text = (project.root / "databases.yaml").read_text()
    return make_url(next(line for line in text.splitlines() if "url:" in line).split('"')[1])


def test_a_journal_that_nobody_may_read_is_not_at_head(
    shop: SmallProject,
) -> None:
    (shop.root / "migrations/versions/shop/r2.py").unlink()
    assert shop.run("status", "--exit-code", "--tenant", "globex").code == 0
    rows(database_of(shop), "CREATE TABLE globex.orchestrator_journal (other int)")
    told = shop.run("status", "--exit-code", "--tenant", "globex")
    assert told.code == 1, told.all
    assert "r1 (head); the journal orchestrator_journal cannot be read" in told.out
    refused = shop.run("upgrade", "--tenant", "globex")
    assert refused.code == 1, refused.all
    assert "nobody can tell whether it is half-way through a step" in refused.out
