"""Which rows a statement changes, as lint reads it."""

from __future__ import annotations

import time

import pytest

from orchestrator.checks.lint.data_statements import data_changes
from orchestrator.config import Family

PG: Family = "postgresql"
MY: Family = "mysql"


@pytest.mark.parametrize(
    ("family", "text", "found"),
    [
        (PG, "UPDATE users SET a = 1", [("UPDATE", "users", False)]),
        (PG, 'UPDATE ONLY s."Users" SET a = 1', [("UPDATE", "Users", False)]),
        (PG, "DELETE FROM users USING old WHERE users.id = old.id", [("DELETE", "users", False)]),
        (MY, "DELETE FROM users WHERE a < 1 LIMIT 100", [("DELETE", "users", True)]),
        (MY, "DELETE a FROM a JOIN b ON a.id = b.id", [("DELETE", "a", False)]),
        (MY, "UPDATE a JOIN b ON a.id = b.id SET a.x = 1", [("UPDATE", "a", False)]),
        (
            PG,
            "WITH x AS (SELECT id FROM t LIMIT 9) UPDATE t SET a = 1 FROM x WHERE x.id = t.id",
            [("UPDATE", "t", True)],
        ),
        (PG, "UPDATE t SET a = (SELECT b FROM u ORDER BY c LIMIT 1)", [("UPDATE", "t", False)]),
        (PG, "INSERT INTO a (x) SELECT y FROM b", [("INSERT", "b", False)]),
        (PG, "INSERT INTO a SELECT 1", []),
        (PG, "INSERT INTO a (x) VALUES ('UPDATE t SET a = 1')", []),
        (MY, "INSERT INTO a SET x = 1", []),
        (
            PG,
            "WITH d AS (DELETE FROM o RETURNING *) INSERT INTO n SELECT * FROM d",
            [("DELETE", "o", False)],
        ),
        (PG, "SELECT 'UPDATE t SET a = 1'", []),
        (PG, "CREATE TABLE t (a int)", []),
        (PG, "UPDATE t SET a = 1; DELETE FROM u", [("UPDATE", "t", False), ("DELETE", "u", False)]),
        # What sqlglot cannot read.
        (PG, "UPDATE t SET a = ((1 WHERE", [("UPDATE", "t", False)]),
        (MY, "DELETE FROM t WHERE ((a LIMIT 5", [("DELETE", "t", True)]),
    ],
)
def test_changes(family: Family, text: str, found: list[tuple[str, str, bool]]) -> None:
    changes = data_changes(text, family)
    assert [(one.verb, one.table, one.limited) for one in changes] == found


@pytest.mark.parametrize(
    ("where", "bounded"),
    [
        ("id = 4", True),
        ("t.id IN (1, 2)", True),
        ("id BETWEEN 1 AND 1000", True),
        ("id >= 1 AND id < 1000 AND a IS NULL", True),
        ("(id = 4)", True),
        ("id >= 1", False),
        ("id = 4 OR a = 1", False),
        ("id IN (SELECT id FROM t)", False),
        ("id = other_id", False),
        ("a = 4", False),
        ("NOT id = 4", False),
    ],
)
def test_bounds_of_a_key(where: str, bounded: bool) -> None:
    for family in (PG, MY):
        (one,) = data_changes(f"UPDATE t SET a = 1 WHERE {where}", family)
        assert one.bounded_by("id") is bounded


def test_a_large_insert_of_values_takes_no_time() -> None:
    text = "INSERT INTO t (a, b) VALUES " + ", ".join(["(1, 'SELECT x FROM y')"] * 50_000)
    started = time.process_time()
    assert data_changes(text, PG) == ()
    assert time.process_time() - started < 1.0
