"""Histories at random, for PostgreSQL and the MySQL family at once: three roads, one end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from orchestrator.config.flavour import Family
from servers import RunningServer
from tests.databases.fresh import fresh_database
from tests.roads.generated import histories
from tests.roads.history import Revision, lay_out
from tests.roads.project import Project
from tests.roads.site import ROADS, Road, Site, compare, full
from tests.roads.values import TRAPS, literal

FAST, SLOW = 1, 6

DATABASES = """\
binds:
  pg: {url: "${PG_URL}"}
  my: {url: "${MY_URL}", flavour: "${MYSQL_FLAVOUR}"}
"""

Pair = tuple[list[Revision], list[Revision]]
Judge = Callable[[Pair], None]
PAIRS = st.tuples(histories("postgresql"), histories("mysql"))


def bounded(examples: int) -> settings:
    """The same examples every time, and no shrinking: the files of a failure are kept instead."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture
def judge(
    postgres: RunningServer, mysql: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> Judge:
    """Up to the heads and back to base by each road, compared at both ends."""

    def same_on_all_roads(pair: Pair) -> None:
        with ExitStack() as stack:
            roads: dict[Road, Site] = {}
            for road in ROADS:
                databases = {
                    "pg": stack.enter_context(fresh_database(postgres)),
                    "my": stack.enter_context(fresh_database(mysql)),
                }
                environ = {f"{bind.upper()}_URL": full(url) for bind, url in databases.items()}
                environ["MYSQL_FLAVOUR"] = mysql.flavour
                project = Project(tmp_path_factory.mktemp(road), environ)
                lay_out(project, DATABASES, dict(zip(databases, pair, strict=True)))
                roads[road] = Site(project, databases)
                roads[road].upgrade(road, "heads")
            compare(roads)
            for road, site in roads.items():
                site.downgrade(road, start="heads")
            compare(roads)

    return same_on_all_roads


# A server keeps the text of a routine as it was sent, comments and all. (MySQL's own client puts
# a space behind each */ and nothing stops it: that one character is not tried.)
_ROUTINES: dict[Family, str] = {
    "postgresql": """\
CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $it$
BEGIN
  -- it's 100%; "really"
  RETURN E'\\\\a' || 'b;c' /* and 'here */;
END
$it$""",
    "mysql": """\
CREATE FUNCTION f() RETURNS TEXT DETERMINISTIC
BEGIN
  -- it's 100%; "really"
  # and `here
  RETURN CONCAT('\\\\a', 'b;c', "it's");
END;""",
}


def with_traps(family: Family) -> list[Revision]:
    """A history with every trap in a comment, a default, a check, as data and in texts."""
    ups = [
        "op.create_table('t', sa.Column('id', sa.Integer(), primary_key=True),"
        " sa.Column('s', sa.Text()), sa.Column('j', sa.JSON()), sa.Column('b', sa.LargeBinary()))"
    ]
    for number, trap in enumerate(TRAPS):
        value = f"a{trap}b"
        data = {"s": value, "j": {value: [value, None]}, "b": value.encode()}
        ups += [
            f"op.add_column('t', sa.Column('c{number}', sa.String(40), server_default={value!r},"
            f" comment={value if trap != '😀' else ''!r}))",
            "op.bulk_insert(sa.table('t', sa.column('s', sa.Text()), sa.column('j', sa.JSON()),"
            f" sa.column('b', sa.LargeBinary())), [{data!r}])",
            f"op.execute(sa.table('t', sa.column('s')).insert().values(s={value!r}))",
            f"op.get_bind().exec_driver_sql('INSERT INTO t (s) VALUES (%s)', ({value!r},))",
        ]
        if ":" not in value:
            text = f"INSERT INTO t (s) VALUES ({literal(family, value)})"
            ups.append(f"op.execute({text!r})")
    ups.append(f"op.execute({_ROUTINES[family]!r})")
    down = "op.execute('DROP FUNCTION f')\nop.drop_table('t')"
    return [Revision(f"{family[0]}1", None, "\n".join(ups), down)]


def test_every_trap(judge: Judge) -> None:
    judge((with_traps("postgresql"), with_traps("mysql")))


@bounded(FAST)
@given(pair=PAIRS)
def test_some_histories(judge: Judge, pair: Pair) -> None:
    judge(pair)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@bounded(SLOW)
@given(pair=PAIRS)
def test_more_histories(judge: Judge, pair: Pair) -> None:
    judge(pair)
