"""Histories at random, for PostgreSQL and the MySQL family at once: three roads, one end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from servers import RunningServer
from tests.databases.fresh import fresh_database
from tests.roads.generated import histories
from tests.roads.history import Revision, lay_out
from tests.roads.project import Project
from tests.roads.site import ROADS, Road, Site, compare, full

FAST, SLOW = 2, 15

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
