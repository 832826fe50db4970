"""What follows from the catalogue; and that the catalogue says what is thought."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import URL

from orchestrator.safety.alone import Alone, alone
from orchestrator.safety.evidence import (
    BUILDING,
    INVALID,
    PENDING,
    Finding,
    answers,
    judge,
    question,
)
from tests.cli.small import rows
from tests.conftest import DatabaseFactory

NAMED = Alone("create index", "i", "t", concurrent=True)
NAMELESS = Alone("create index", "", "t", concurrent=True)
ONE = "index public.i"
TWO = "index public.j"
DROPPED = ("DROP INDEX CONCURRENTLY IF EXISTS public.i",)


@pytest.mark.parametrize(
    ("before", "now", "ran", "first"),
    [
        ({}, {}, False, ()),
        ({}, {ONE: "d"}, True, ()),
        ({}, {ONE: INVALID}, False, DROPPED),
        ({ONE: INVALID}, {ONE: INVALID}, False, DROPPED),
        ({ONE: INVALID}, {ONE: "d"}, True, ()),
        ({ONE: "d"}, {ONE: "d"}, False, ()),
    ],
)
def test_an_index_with_a_name(
    before: dict[str, str], now: dict[str, str], ran: bool, first: tuple[str, ...]
) -> None:
    found = judge(NAMED, before, now)
    assert (found.ran, found.first, found.busy) == (ran, first, False)


def test_an_index_whose_name_the_server_chose() -> None:
    assert judge(NAMELESS, {TWO: "d"}, {TWO: "d"}).ran is False
    assert judge(NAMELESS, {TWO: "d"}, {TWO: "d", ONE: "d"}).ran is True
    assert judge(NAMELESS, {TWO: INVALID}, {TWO: INVALID, ONE: INVALID}).first == DROPPED
    unclear = judge(NAMELESS, {}, {TWO: "d", ONE: "d"})
    assert (unclear.ran, unclear.busy) == (None, False)


def test_nothing_is_dropped_that_somebody_builds() -> None:
    for one in (NAMED, Alone("reindex", "t", "TABLE", concurrent=True)):
        found = judge(one, {}, {ONE: BUILDING})
        assert (found.ran, found.first, found.busy) == (None, (), True)


def test_the_others() -> None:
    drop = Alone("drop index", "i", concurrent=True)
    assert [judge(drop, {ONE: "d"}, now).ran for now in ({}, {ONE: "d"}, {ONE: INVALID})] == [
        True,
        False,
        False,
    ]
    assert judge(drop, {}, {}).ran is False
    reindex = Alone("reindex", "i", "INDEX", concurrent=True)
    left = {TWO: INVALID, "index public.i_ccnew": INVALID}
    assert judge(reindex, {TWO: INVALID}, left).first == (
        "DROP INDEX CONCURRENTLY IF EXISTS public.i_ccnew",
    )
    detach = Alone("detach", "p1", "p", concurrent=True)
    part = "partition p1"
    assert judge(detach, {part: "attached"}, {part: PENDING}) == Finding(
        True,
        ("ALTER TABLE p DETACH PARTITION p1 FINALIZE",),
        "p1 is detached by half: finalized",
    )
    assert judge(detach, {part: "attached"}, {part: "attached"}).ran is False
    assert judge(detach, {part: "attached"}, {}).ran is True
    made = Alone("exists", "x", "pg_database")
    assert judge(made, {}, {"pg_database x": "1"}).ran is True
    assert judge(made, {}, {}).ran is False
    assert judge(Alone("repeat"), {}, {}).ran is False
    assert judge(Alone("unknown"), {}, {}).ran is None


def asked(url: URL, text: str) -> dict[str, str]:
    what = alone(text)
    assert what is not None
    found = dict(rows(url, question(what)))
    assert json.loads(rows(url, f"SELECT {answers(what)}")[0][0]) == found
    return {key: value if len(value) < 20 else "digest" for key, value in found.items()}


def test_what_the_catalogue_says(pg_database: DatabaseFactory) -> None:
    url = pg_database()
    for text in (
        'CREATE TABLE "T %s ü\'x" (id int, note text)',
        'CREATE INDEX "I:x" ON "T %s ü\'x" (id)',
        'CREATE INDEX other ON "T %s ü\'x" (note)',
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'other'::regclass",
        'CREATE INDEX x_ccnew1 ON "T %s ü\'x" (note)',
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'x_ccnew1'::regclass",
        "CREATE TABLE p (id int) PARTITION BY LIST (id)",
        "CREATE INDEX p_i ON ONLY p (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)",
    ):
        rows(url, text)
    name = '"T %s ü\'x"'
    assert asked(url, f'CREATE INDEX CONCURRENTLY "I:x" ON {name} (id)') == {
        'index public."I:x"': "digest"
    }
    assert asked(url, f"CREATE INDEX CONCURRENTLY OTHER ON public.{name} (id)") == {
        "index public.other": INVALID
    }
    assert asked(url, f"CREATE INDEX CONCURRENTLY nowhere ON {name} (id)") == {}
    assert asked(url, "CREATE INDEX CONCURRENTLY i ON nowhere (id)") == {}
    assert len(asked(url, f"CREATE INDEX CONCURRENTLY ON {name} (id)")) == 3
    assert asked(url, "CREATE INDEX CONCURRENTLY p_i ON p (id)") == {}
    assert asked(url, "DROP INDEX CONCURRENTLY other") == {"index other": INVALID}
    leftover = {"index public.x_ccnew1": INVALID}
    assert asked(url, f"REINDEX TABLE CONCURRENTLY {name}") == leftover
    assert asked(url, 'REINDEX INDEX CONCURRENTLY "I:x"') == leftover
    assert asked(url, "REINDEX SCHEMA CONCURRENTLY public") == leftover
    assert asked(url, "REINDEX DATABASE CONCURRENTLY") == leftover
    assert asked(url, "REINDEX TABLE CONCURRENTLY p") == {}
    detach = "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY"
    assert asked(url, detach) == {"partition p1": "attached"}
    rows(url, "UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = 'p1'::regclass")
    assert asked(url, detach) == {"partition p1": PENDING}
    assert asked(url, f'CREATE DATABASE "{url.database}"').keys() == {f"pg_database {url.database}"}
    assert asked(url, "CREATE TABLESPACE nowhere LOCATION ''") == {}
    assert asked(url, "DROP SUBSCRIPTION nowhere") == {}
    assert asked(url, "VACUUM") == {}
