"""Drift on real servers: tenants altered by hand are found, with exactly what differs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from orchestrator.checks.differences import words
from orchestrator.errors import DiscoveryError, UsageError
from orchestrator.execution import scratch
from orchestrator.execution.drifting import Asked
from servers import RunningServer, start
from tests.cli.small import shown
from tests.conftest import DatabaseFactory
from tests.databases.fresh import fresh_database
from tests.execution.drifted import MODELS, R1, fleet, named, told
from tests.execution.halfway import stop_half_way

pytestmark = pytest.mark.usefixtures("own_apps")

HISTORY_ALONE = Asked(models=False)


def test_a_fleet_that_is_as_it_should_be(tmp_path: Path, any_database: DatabaseFactory) -> None:
    made = fleet(tmp_path, any_database(), {"a": "r2", "b": "r1", "c": "r2", "d": "base"})
    found = made.drift()
    assert [(named(one), one.group.revisions, one.verdict) for one in found.groups] == [
        (["a", "c"], ("r2",), "as-revision"),
        (["b"], ("r1",), "as-revision"),
        (["d"], (), "as-revision"),
    ]
    assert [one.group.at_head for one in found.groups] == [True, False, False]
    assert not found.found
    assert not any(one.models or one.models_reason or one.left_out for one in found.groups)


def test_each_is_compared_with_its_own_revision(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    tenants = {"a": "r2", "b": "r1", "c": "r2", "d": "r1", "e": "r2", "f": "r2", "g": "base"}
    made = fleet(tmp_path, any_database(), tenants)
    for tenant in "ce":
        made.do(tenant, "ALTER TABLE {p}.orders DROP COLUMN total")
    made.do("d", "CREATE TABLE {p}.mine (i int)")
    made.do("g", "CREATE TABLE {p}.orders (i int)")
    made.do("f", "CREATE INDEX by_note ON {p}.orders (note)" if made.prefix == "t_" else _MY_INDEX)
    found = made.drift(HISTORY_ALONE)
    assert told(found) == {
        "c": ["table orders: column total is missing"],
        "d": ["table mine is not expected"],
        "f": ["table orders: index by_note is not expected"],
        "g": ["table orders is not expected"],
    }
    sizes = {named(one)[0]: len(one.group.targets) for one in found.groups}
    assert sizes == {"a": 1, "b": 1, "c": 2, "d": 1, "f": 1, "g": 1}
    assert found.count("drifted") == 5
    assert found.found


_MY_INDEX = "CREATE INDEX by_note ON {p}.orders (note)"


def test_facts_of_columns_are_told(tmp_path: Path, any_database: DatabaseFactory) -> None:
    made = fleet(tmp_path, any_database(), {"a": "r1", "b": "r1", "c": "r1", "d": "r1"})
    if made.prefix == "t_":
        made.do("b", "ALTER TABLE {p}.orders ALTER note TYPE varchar(20)")
        made.do("c", "ALTER TABLE {p}.orders ALTER total DROP NOT NULL")
        made.do("d", "ALTER TABLE {p}.orders ALTER total SET DEFAULT 5")
        kind, none, five = "character varying", "0", "5"
    else:
        made.do("b", "ALTER TABLE {p}.orders MODIFY note varchar(20)")
        made.do("c", "ALTER TABLE {p}.orders MODIFY total decimal(10, 2) DEFAULT 0")
        made.do("d", "ALTER TABLE {p}.orders ALTER total SET DEFAULT 5")
        kind, none, five = "varchar", "0.00", "5.00"
    found = told(made.drift(HISTORY_ALONE))
    assert found["b"] == [f"table orders: column note: type is {kind}(20), expected {kind}(200)"]
    [nullable] = found["c"]
    assert nullable == "table orders: column total: is nullable, expected not nullable"
    [default] = found["d"]
    assert default.startswith("table orders: column total: default is ")
    assert five in default
    assert none in default.partition("expected")[2]


def test_the_story_of_stamped_databases(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """Databases stamped head whose table has 8 of its columns (topoteretes/cognee#4854)."""
    columns = [f"c{number:02}" for number in range(20)]
    body = "op.create_table('data', {})".format(
        ", ".join(f"sa.Column('{name}', sa.Integer)" for name in columns)
    )
    models = "import sqlalchemy as sa\nmetadata = sa.MetaData()\n" + body.replace(
        "op.create_table('data', ", "sa.Table('data', metadata, "
    )
    many = {f"d{number:03}": "" for number in range(148)}
    good = {"g1": "head", "g2": "head"}
    made = fleet(tmp_path, any_database(), many | good, revisions={"r1": body}, models=models)
    some = ", ".join(f"{name} int" for name in columns[:8])
    made.do(
        many,
        f"CREATE TABLE {{p}}.data ({some})",
        "CREATE TABLE {p}.alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY)",
        "INSERT INTO {p}.alembic_version VALUES ('r1')",
    )
    found = made.drift()
    right, wrong = found.groups
    assert named(right) == ["g1", "g2"]
    assert named(wrong) == list(many)
    missing = [f"table data: column {name} is missing" for name in columns[8:]]
    assert [words(one) for one in wrong.differences] == missing
    assert [one.words for one in wrong.models] == [f"add column data.{c}" for c in columns[8:]]


def test_models_ahead_of_the_history(tmp_path: Path, any_database: DatabaseFactory) -> None:
    models = MODELS.replace('sa.Column("note", sa.String(200))', 'sa.Column("other", sa.Integer)')
    made = fleet(tmp_path, any_database(), {"a": "r2", "b": "r2", "c": "r1"}, models=models)
    made.do("b", "ALTER TABLE {p}.orders ADD COLUMN other int")
    found = made.drift()
    ahead, behind, by_hand = sorted(found.groups, key=lambda one: one.verdict == "drifted")
    assert (ahead.verdict, behind.verdict) == ("as-revision", "as-revision")
    assert sorted(one.words for one in ahead.models) == [
        "add column orders.other",
        "remove column orders.note",
    ]
    assert behind.models == ()
    assert told(found) == {"b": ["table orders: column other is not expected"]}
    assert [one.words for one in by_hand.models] == ["remove column orders.note"]
    assert found.found
    assert not any(one.models for one in made.drift(HISTORY_ALONE).groups)


def test_what_is_ignored(tmp_path: Path, any_database: DatabaseFactory) -> None:
    models = MODELS.replace("sa.String(200)),", "sa.String(200)), sa.Column('x', sa.Integer),")
    more = "drift: {ignore: [tmp_*, orders.x, orders.y]}"
    made = fleet(tmp_path, any_database(), {"a": "r2", "b": "r2"}, more=more, models=models)
    made.do("b", "CREATE TABLE {p}.tmp_1 (i int)", "ALTER TABLE {p}.orders ADD COLUMN y int")
    found = made.drift()
    assert [(named(one), one.verdict, one.models) for one in found.groups] == [
        (["a", "b"], "as-revision", ())
    ]


def test_the_order_of_columns_counts_unless_told(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    made = fleet(tmp_path, any_database(), {"a": "r1", "b": "r1"})
    made.do(
        "b",
        "ALTER TABLE {p}.orders DROP COLUMN note",
        "ALTER TABLE {p}.orders DROP COLUMN total",
        "ALTER TABLE {p}.orders ADD COLUMN note varchar(200)",
        "ALTER TABLE {p}.orders ADD COLUMN total numeric(10, 2) NOT NULL DEFAULT '0'",
    )
    assert told(made.drift(HISTORY_ALONE)) == {
        "b": ["table orders: column order is id, note, total, expected id, total, note"]
    }
    assert not made.drift(Asked(models=False, column_order=False)).found


def test_branches_are_compared_with_exactly_their_rows(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    revisions = {"r1": R1}
    made = fleet(tmp_path, any_database(), {"a": "", "b": "", "c": ""}, revisions=revisions)
    table = "op.create_table('{}', sa.Column('id', sa.Integer, primary_key=True))"
    for name in ("left", "right"):
        made.folder.revision("shop", name, table.format(name), after="r1")
    made.upgrade("a")
    made.upgrade("b", "right")
    made.upgrade("c")
    made.do("c", "DROP TABLE {p}.right")
    found = made.drift()
    assert {named(one)[0]: one.group.revisions for one in found.groups} == {
        "a": ("left", "right"),
        "b": ("right",),
        "c": ("left", "right"),
    }
    assert told(found) == {"c": ["table right is missing"]}
    assert {named(one)[0]: one.models_reason for one in found.groups} == dict.fromkeys("abc", "")


def test_targets_that_cannot_be_judged_are_told(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    made = fleet(tmp_path, any_database(), {"a": "r1", "b": "r1", "c": "r1", "d": "", "e": "r1"})
    url = made.url
    made.do("b", "UPDATE {p}.alembic_version SET version_num = 'lost'")
    stop_half_way(url, "r2", ["CREATE TABLE x (i int)"], 1, table=f"{made.prefix}c.{_JOURNAL}")
    made.do("e", "DROP SCHEMA {p} CASCADE" if made.prefix == "t_" else "DROP DATABASE {p}")
    found = made.drift()
    assert {one.kind: [str(two.tenant) for two in one.targets] for one in found.asides} == {
        "unknown": ["b"],
        "half-applied": ["c"],
        "no-version-table": ["d"],
        "missing": ["e"],
    }
    details = {one.kind: one.detail for one in found.asides}
    assert details["unknown"] == "no revision file has lost"
    assert "stopped in statement 1 of 1" in details["half-applied"]
    assert [named(one) for one in found.groups] == [["a"]]
    assert found.found


_JOURNAL = "orchestrator_journal"


def test_a_server_that_does_not_answer(tmp_path: Path, any_database: DatabaseFactory) -> None:
    made = fleet(tmp_path, any_database(), {"a": "r1", "b": "r1"})
    text = (tmp_path / "databases.yaml").read_text(encoding="utf-8")
    dead = made.url.set(port=1)
    (tmp_path / "databases.yaml").write_text(
        text.replace(shown(made.url), shown(dead)), encoding="utf-8"
    )
    gone = type(made)(made.folder, type(made.project).open(root=tmp_path), dead, made.prefix)
    found = gone.drift()
    [aside] = found.asides
    assert (aside.kind, len(aside.targets), found.groups) == ("unreachable", 2, ())


def test_against_a_target(tmp_path: Path, any_database: DatabaseFactory) -> None:
    made = fleet(tmp_path, any_database(), {"model": "r2", "a": "r2", "b": "r2", "c": "r1"})
    made.do("b", "DROP TABLE {p}.items")
    found = made.drift(Asked(models=False, against=made.target("model")))
    assert told(found) == {"b": ["table items is missing"]}
    assert {one.reference for one in found.groups} == {"target shop/model", ""}
    [left] = [one for one in found.groups if one.verdict == "not-judged"]
    assert named(left) == ["c"]
    assert "target shop/model, to compare with, is at r2" in left.reason
    made.do("model", "UPDATE {p}.alembic_version SET version_num = 'lost'")
    found = made.drift(Asked(models=False, against=made.target("model")))
    assert {one.verdict for one in found.groups} == {"not-judged"}


def test_against_a_target_without_revisions(tmp_path: Path, any_database: DatabaseFactory) -> None:
    made = fleet(tmp_path, any_database(), {"model": "", "a": "r2"})
    with pytest.raises(UsageError, match="no version table"):
        made.drift(Asked(models=False, against=made.target("model")))


def test_nowhere_for_a_scratch_database(
    tmp_path: Path, any_database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "on_loopback", lambda _url: False)
    made = fleet(tmp_path, any_database(), {"a": "r2", "b": "r2", "c": "r2"})
    made.do("b", "ALTER TABLE {p}.orders DROP COLUMN total")
    found = made.drift()
    assert [(named(one), one.verdict) for one in found.groups] == [
        (["a", "c"], "not-judged"),
        (["b"], "not-judged"),
    ]
    assert all("--against TARGET" in one.reason for one in found.groups)
    # The models need no scratch database.
    assert [[two.words for two in one.models] for one in found.groups] == [
        [],
        ["add column orders.total"],
    ]
    assert found.found


def test_a_target_that_moves_meanwhile_is_not_called_drifted(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    made = fleet(tmp_path, any_database(), {"a": "r1", "b": "r1", "c": "r1"})
    for tenant in "bc":
        made.do(tenant, "DROP TABLE {p}.orders")

    def stamp(text: str) -> None:
        if text.startswith("comparing"):
            made.do("b", "UPDATE {p}.alembic_version SET version_num = 'r2'")

    found = made.drift(HISTORY_ALONE, stamp)
    assert [(one.kind, [two.tenant for two in one.targets]) for one in found.asides] == [
        ("moved", ["b"])
    ]
    assert told(found) == {"c": ["table orders is missing"]}


def test_broken_apps_are_told_before_any_server_is_asked(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    made = fleet(tmp_path, any_database(), {"a": "r1"})
    for name in [name for name in sys.modules if name.partition(".")[0] == "apps"]:
        del sys.modules[name]
    made.folder.write("apps/things/models.py", "import nowhere_at_all\n")
    broken = type(made)(made.folder, type(made.project).open(root=tmp_path), made.url, made.prefix)
    heard: list[str] = []
    with pytest.raises(DiscoveryError, match="nowhere_at_all"):
        broken.drift(heard=heard.append)
    assert heard == []
    model = broken.target("a")
    assert not broken.drift(Asked(models=False, against=model)).found


def test_the_projects_own_tables_never_differ(
    tmp_path: Path, any_database: DatabaseFactory
) -> None:
    """The ledger in a tenant's place, and journals, are no drift."""
    made = fleet(tmp_path, any_database(), {"a": "r1"})
    made.do(
        "a", "CREATE TABLE {p}.orchestrator_runs (i int)", f"CREATE TABLE {{p}}.{_JOURNAL} (i int)"
    )
    found = made.drift(HISTORY_ALONE)
    assert [one.verdict for one in found.groups] == ["as-revision"]


@pytest.mark.slow
@pytest.mark.parametrize(("here", "there"), [("pg18", "pg15"), ("mariadb", "mysql")])
def test_a_scratch_server_of_another_series(
    tmp_path: Path, here: str, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of the targets' series is preferred; without one, no difference is told that may
    come from the other server alone, and what a hand has changed is still found."""
    with started(here) as server, started(there) as other, fresh_database(server) as url:
        family = "postgresql" if here == "pg18" else "mysql"
        more = f"scratch: {{{family}: {shown(make_url(other.url))}}}"
        made = fleet(tmp_path, url, {"a": "r2", "b": "r2", "c": "r2"}, more=more, revisions=WIDE)
        alter = "ALTER note TYPE" if family == "postgresql" else "MODIFY note"
        made.do("b", f"ALTER TABLE {{p}}.orders {alter} varchar(20)")
        made.do("c", "ALTER TABLE {p}.orders DROP COLUMN note")
        like = made.drift(HISTORY_ALONE)
        with monkeypatch.context() as patched:
            patched.setattr(scratch, "on_loopback", lambda _url: False)
            unlike = made.drift(HISTORY_ALONE)
    print([(one.reference, one.left_out) for one in (*like.groups, *unlike.groups)])
    series = {"pg18": "postgresql-18", "pg15": "postgresql-15", "mariadb": "mariadb-10.11"}
    assert {one.reference for one in like.groups} == {f"a scratch database on {series[here]}"}
    assert {one.left_out for one in like.groups} == {0}
    assert told(unlike) == told(like)
    assert set(told(like)) == {"b", "c"}
    [told_of] = {one.reference for one in unlike.groups}
    assert told_of != f"a scratch database on {series[here]}"
    if there == "mysql":
        assert all(one.left_out for one in unlike.groups), "JSON is a LONGTEXT with a CHECK there"


WIDE = {
    "r1": R1,
    "r2": "op.create_table('wide', sa.Column('id', sa.Integer, primary_key=True),"
    " sa.Column('data', sa.JSON), sa.Column('at', sa.DateTime, server_default=sa.func.now()),"
    " sa.Column('kind', sa.Enum('x', 'y', name='kinds')), sa.Column('flag', sa.Boolean),"
    " sa.Column('n', sa.Integer), sa.CheckConstraint('n > 0', name='positive'))",
}


@contextmanager
def started(name: str) -> Iterator[RunningServer]:
    """A server of the test's own."""
    server = start(name)
    try:
        yield server
    finally:
        server.stop()
