"""A fleet migrated by a DBA's bundle ends as one that is migrated online, and the proof of it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.conftest import DatabaseFactory
from tests.roads.bundled import HEAD, Bundled

_LARGE = [pytest.mark.slow, pytest.mark.one_of_each, pytest.mark.timeout(1800)]
SIZES = [12, pytest.param(300, marks=_LARGE)]


@pytest.mark.parametrize("tenants", SIZES)
def test_ends_as_the_online_run_does(
    tmp_path: Path, any_database: DatabaseFactory, tenants: int
) -> None:
    online = Bundled.make(tmp_path / "online", any_database(), tenants)
    by_hand = Bundled.make(tmp_path / "by_hand", any_database(), tenants)
    before = by_hand.contents()
    said = online.project.run("upgrade", "--all", timeout=600)
    assert said.code == 0, said.all
    folder = by_hand.bundle()
    assert len(list(folder.glob("shop/*/*.up.sql"))) == 4, "a script a cohort"
    ran = by_hand.run_all(folder, "-j", "4")
    assert ran.code == 0, ran.said
    assert f"{tenants} done, 0 failed, 0 not started" in ran.said
    expected, found = online.contents(), by_hand.contents()
    assert len(set(expected.values())) == 1
    assert found == expected
    told = by_hand.verify(folder)
    assert {one["verdict"] for one in told.values()} == {"done"}
    assert len(told) == tenants
    assert all(one["at"] == [HEAD] for one in told.values())

    # Once more is refused, target by target; and all the way back.
    again = by_hand.run_all(folder)
    assert "0 of" in again.said
    ran = by_hand.run_all(folder, "-j", "4", "-u")
    assert ran.code == 0, ran.said
    # A downgrade leaves an empty version table behind.
    back = by_hand.contents([name for name in by_hand.names if int(name[1:]) % 4])
    assert back == {name: before[name] for name in back}


@pytest.mark.parametrize("tenants", SIZES)
def test_verify_names_the_five(tmp_path: Path, any_database: DatabaseFactory, tenants: int) -> None:
    fleet = Bundled.make(tmp_path, any_database(), tenants)
    folder = fleet.bundle()
    # Two rows of one name: the unique index of r3 is refused in the middle of a revision.
    fleet.sql("t2", "UPDATE {at}.items SET name = 'same'")
    _leave_out(folder, "t3")
    ran = fleet.run_all(folder, "-f", "1")
    assert ran.code == 1, ran.said
    assert "1 failed, 0 not started" in ran.said
    fleet.sql("t5", "ALTER TABLE {at}.items ADD COLUMN by_hand INTEGER")
    fleet.sql("t6", "DROP TABLE {at}.notes")
    fleet.sql("t8", "UPDATE {at}.alembic_version SET version_num = 'other'")
    told = fleet.verify(folder, code=1)
    odd = {name: one["verdict"] for name, one in told.items() if one["verdict"] != "done"}
    assert odd == {
        "t2": "half-way",
        "t3": "untouched",
        "t5": "different",
        "t6": "different",
        "t8": "elsewhere",
    }
    assert "column by_hand" in str(told["t5"]["differences"]) or "by_hand" in str(told["t5"])
    assert told["t8"]["contradicts"]
    said = fleet.project.run("verify", str(folder))
    for words in ("shop/t2", "shop/t3", "column by_hand", "table notes", "at other", "SHA256SUMS"):
        assert words in said.out + said.err, said.all
    assert f"{tenants - 5} of {tenants} targets" in said.out

    # The cause repaired, the runner goes on where it stopped.
    fleet.sql("t2", "UPDATE {at}.items SET name = concat('n', id)")
    ran = fleet.run_all(folder)
    assert ran.code == 0, ran.said
    assert fleet.verify(folder, code=1)["t2"]["verdict"] == "done"


def _leave_out(folder: Path, tenant: str) -> None:
    path = folder / "targets.csv"
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in rows if row["tenant"] != tenant)


def test_a_script_on_the_wrong_target(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """Nothing is changed, and the client's words and exit code say why."""
    fleet = Bundled.make(tmp_path, any_database(), 4)
    folder = fleet.bundle()
    scripts = {path.name.partition("-")[0]: path for path in folder.glob("shop/*/*.up.sql")}
    for name, state in (("t1", "r1"), ("t3", "r3")):
        kind = f"{'schema' if fleet.schemas else 'database'} {fleet.place(name)}"
        before = fleet.contents([name])
        for start, script in scripts.items():
            if start == state:
                continue
            ran = fleet.client(name, script)
            assert ran.code not in (0, 2), ran.said
            words = f"{kind} stands at {state}, and this script starts from {start}; nothing was"
            assert f"orchestrator: refused: {words} changed" in ran.said
            assert fleet.contents([name]) == before
    ran = fleet.client("t0", scripts["r1"])
    assert ran.code not in (0, 2), ran.said
    assert ("t0 does not exist" if fleet.schemas else "Unknown database") in ran.said
    # Once is enough.
    assert fleet.client("t2", scripts["r2"]).code == 0
    after = fleet.contents(["t2"])
    again = fleet.client("t2", scripts["r2"])
    assert again.code not in (0, 2), again.said
    assert f"stands at {HEAD}, and this script starts from r2; nothing was changed" in again.said
    assert fleet.contents(["t2"]) == after


def test_a_script_without_its_target(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    fleet = Bundled.make(tmp_path, pg_database(), 4)
    script = next(iter(fleet.bundle().glob("shop/*/r1-r4.up.sql")))
    plain = script.with_name("plain.sql")
    plain.write_bytes(b"\\unset target\n" + script.read_bytes())
    ran = fleet.client("t1", plain)
    assert ran.code == 3, ran.said
    assert "orchestrator: refused: name the schema: psql -v target=SCHEMA" in ran.said
