"""Journals, read in bulk together with the version tables, on real servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.fleet.state import read_states
from orchestrator.fleet.targets import Selection, select_targets
from orchestrator.fleet.types import State, Target
from orchestrator.safety.journal import HalfApplied, half_applied
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.halfway import OWNER, stop_half_way
from tests.fleet.test_bulk_state import fleet, make_schemas

STATEMENTS = ("CREATE TABLE a (i int)", "INSERT INTO a VALUES ('5 %')", 'DROP TABLE "b\\\n\'c"')


def half_of(state: State) -> HalfApplied:
    found = half_applied(state.journal)
    assert found is not None
    return found


def schemas(root: Path, url: URL, count: int) -> tuple[Target, ...]:
    make_schemas(url, count)
    names = [str(number) for number in range(count)]
    return select_targets(fleet(root, url, names, "schema", "t_{tenant}"), Selection())


def test_a_half_applied_step_is_told_with_the_state(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    targets = schemas(tmp_path, url, 8)
    stop_half_way(url, "r4", STATEMENTS, 3, table="t_1.orchestrator_journal")
    stop_half_way(url, "r4", STATEMENTS, 0, table="t_2.orchestrator_journal")
    rows(url, "CREATE TABLE t_3.orchestrator_journal (LIKE t_1.orchestrator_journal)")
    rows(url, "DROP TABLE t_4.alembic_version")
    stop_half_way(url, "r0", STATEMENTS, 1, direction="downgrade", table="t_4.orchestrator_journal")
    found = read_states(targets)
    half = half_of(found[1])
    assert found[1].revisions == ("r1",)
    assert (half.revision, half.direction, half.owner) == ("r4", "upgrade", OWNER.label)
    assert [text for text, _digest in half.planned] == list(STATEMENTS)
    assert half.in_doubt is not None
    assert (half.in_doubt.number, half.in_doubt.statement) == (3, STATEMENTS[2])
    assert half_of(found[2]).in_doubt is None
    assert found[3] == State("known", ("r0",))
    assert (found[4].kind, half_of(found[4]).direction) == ("no-version-table", "downgrade")
    assert found[0] is found[3], "an empty journal costs no state of its own"


def test_a_journal_that_cannot_be_read_hides_nothing(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    targets = schemas(tmp_path, url, 6)
    rows(url, "CREATE TABLE t_1.orchestrator_journal (other int)")
    stop_half_way(url, "r4", STATEMENTS, 2, table="t_2.orchestrator_journal")
    found = read_states(targets)
    assert (found[1].kind, found[1].revisions) == ("known", ("r1",))
    assert found[1].detail.startswith("the journal orchestrator_journal cannot be read: ")
    assert half_of(found[2]).revision == "r4"
    assert [state.detail for state in (found[0], *found[2:])] == [""] * 5


def test_a_journal_that_this_user_may_not_read(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    schemas(tmp_path, url, 3)
    stop_half_way(url, "r4", STATEMENTS, 2, table="t_1.orchestrator_journal")
    stop_half_way(url, "r4", STATEMENTS, 2, table="t_2.orchestrator_journal")
    rows(url, "DROP TABLE t_2.alembic_version")
    rows(url, "CREATE ROLE h_reader LOGIN PASSWORD 'reads-only'")
    for number in range(3):
        rows(url, f"GRANT USAGE ON SCHEMA t_{number} TO h_reader")
    rows(url, "GRANT SELECT ON t_0.alembic_version, t_1.alembic_version TO h_reader")
    reader = url.set(username="h_reader", password="reads-only")
    names = ["0", "1", "2"]
    targets = select_targets(fleet(tmp_path, reader, names, "schema", "t_{tenant}"), Selection())
    found = read_states(targets)
    assert found[0] == State("known", ("r0",))
    assert found[1] == State("known", ("r1",), "no SELECT on orchestrator_journal")
    assert found[2] == State("no-version-table", (), "no SELECT on orchestrator_journal")
    # Alone, there is nothing to read at all.
    assert read_states(targets[2:]) == (found[2],)
    rows(url, "DROP OWNED BY h_reader; DROP ROLE h_reader")


@pytest.mark.parametrize("begun", [0, 2])
def test_one_target_in_its_search_path(
    tmp_path: Path, any_database: DatabaseFactory, begun: int
) -> None:
    url = any_database()
    rows(url, "CREATE TABLE alembic_version (version_num varchar(32))")
    rows(url, "INSERT INTO alembic_version VALUES ('r3')")
    config = fleet(tmp_path, url, [url.database or ""], "database", "{tenant}")
    (target,) = select_targets(config, Selection())
    assert read_states([target]) == (State("known", ("r3",)),)
    stop_half_way(url, "r4", STATEMENTS, begun)
    (found,) = read_states([target])
    assert (found.revisions, half_of(found).revision) == (("r3",), "r4")
    assert len(found.journal) == 1 + bool(begun)


def test_databases_of_a_mysql_server(tmp_path: Path, my_database: DatabaseFactory) -> None:
    urls = [my_database() for _ in range(4)]
    for url in urls:
        rows(url, "CREATE TABLE alembic_version (version_num varchar(32))")
        rows(url, "INSERT INTO alembic_version VALUES ('r3')")
    rows(urls[0], f"ALTER DATABASE {urls[0].database} COLLATE latin1_swedish_ci")
    stop_half_way(urls[1], "r4", STATEMENTS, 2)
    rows(urls[2], "CREATE TABLE orchestrator_journal (other int) CHARACTER SET latin1")
    rows(urls[3], "DROP TABLE alembic_version")
    stop_half_way(urls[3], "r1", STATEMENTS, 1)
    names = [url.database or "" for url in urls]
    targets = select_targets(fleet(tmp_path, urls[0], names, "database", "{tenant}"), Selection())
    found = {
        target.tenant: state for target, state in zip(targets, read_states(targets), strict=True)
    }
    assert found[names[0]] == State("known", ("r3",))
    half = half_of(found[names[1]])
    assert (half.revision, half.in_doubt and half.in_doubt.statement) == ("r4", STATEMENTS[1])
    assert found[names[2]].revisions == ("r3",)
    assert "cannot be read" in found[names[2]].detail
    assert found[names[3]].kind == "no-version-table"
    assert half_of(found[names[3]]).revision == "r1"
