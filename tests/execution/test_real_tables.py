"""What real tables tell lint: their size, and the row versions that they have used up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from orchestrator.checks.lint.catalogue import all_rules
from orchestrator.checks.lint.types import Answer, Sent, Subject, TableFacts
from orchestrator.config import Flavour
from orchestrator.execution.real_tables import real_tables
from orchestrator.fleet.types import Target
from orchestrator.revisions.types import Direction, Step
from tests.execution.replayed import target_of

STEP = Step("r1", Direction.UPGRADE, "", Path("r1.py"), ())


def _target(url: URL) -> Target:
    """A tenant of this database: a schema of it, or the whole."""
    target = target_of(url)
    if url.get_backend_name() == "postgresql":
        return replace(target, tenant="acme", schema="t_acme")
    return replace(target, tenant="acme", database=url.database)


def test_the_largest_table_of_each_name_is_told(any_database: Callable[[], URL]) -> None:
    url = any_database()
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    target = _target(url)
    inside = '"t_acme".' if target.schema else ""
    with engine.connect() as connection:
        if target.schema:
            connection.exec_driver_sql('CREATE SCHEMA "t_acme"')
        connection.exec_driver_sql(f"CREATE TABLE {inside}items (id INT PRIMARY KEY)")
        values = ", ".join(f"({number})" for number in range(500))
        connection.exec_driver_sql(f"INSERT INTO {inside}items VALUES {values}")
        connection.exec_driver_sql(f"ANALYZE {'' if target.schema else 'TABLE '}{inside}items")
    facts = real_tables([target])["items"]
    assert facts.rows == 500
    assert facts.bytes > 0
    assert facts.target == target.id


def test_a_server_that_does_not_answer_says_nothing(any_database: Callable[[], URL]) -> None:
    url = any_database().set(port=1)
    assert real_tables([_target(url)]) == {}


@pytest.mark.parametrize(
    ("version", "used", "found"),
    [((8, 4), 63, 0), ((8, 4), 64, 1), ((9, 7), 64, 0), ((9, 7), 255, 1)],
)
def test_an_instant_change_that_has_no_room(
    version: tuple[int, ...], used: int, found: int
) -> None:
    text = "ALTER TABLE items ADD COLUMN x INT"
    sent = Sent(text, 3, answer=Answer("instant", "none", rebuilds=False))
    tables = {"items": TableFacts(5, 5, "shop/acme", used)}
    subject = Subject("shop", Flavour("mysql", version), STEP, "r1.py", (sent,), tables=tables)
    assert len(list(all_rules()["row-versions-used-up"].check(subject))) == found
