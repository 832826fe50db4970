"""Changes of types: what the words say is what a server does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import URL

from orchestrator.checks.lint.column_types import keeps_rows, narrows
from tests.cli.small import rows


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("character varying(20)", "character varying(10)", "values may be longer than 10"),
        ("character varying(20)", "character varying(30)", ""),
        ("character varying(20)", "text", ""),
        ("text", "character varying(5)", "values may be longer than 5"),
        ("integer", "bigint", ""),
        ("bigint", "integer", "values may be larger than 2,147,483,647"),
        ("numeric(10,2)", "numeric(12,2)", ""),
        ("numeric(10,2)", "numeric(10,1)", "values are rounded to 1 digits"),
        ("numeric(10,2)", "numeric(8,2)", "values may have more than 6 digits before the point"),
        ("numeric", "numeric(10,2)", "values may have more than 8 digits before the point"),
        ("numeric(10,2)", "integer", "values are rounded"),
        ("integer", "numeric(5,0)", "values may have more than 5 digits"),
        ("integer", "double precision", ""),
        ("bigint", "double precision", "large values are rounded"),
        ("double precision", "real", "values are rounded"),
        ("timestamp without time zone", "date", "the time of day is lost"),
        ("timestamp without time zone", "timestamp with time zone", ""),
        ("text", "uuid", "not every text is one"),
        ("text", "integer", "not every value of text is one of integer"),
        ("integer", "text", ""),
        ("integer", "character varying(5)", "values may be longer than 5 as text"),
        ("integer[]", "bigint[]", ""),
        ("mood", "text", ""),
    ],
)
def test_narrowing_on_postgresql(before: str, after: str, why: str) -> None:
    assert narrows(before, after, mysql=False) == why


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("int(11)", "int(11) unsigned", "values may be negative"),
        ("int unsigned", "int", "values may be larger than 2,147,483,647"),
        ("tinyint(1)", "int(11)", ""),
        ("varchar(255)", "text", ""),
        ("text", "varchar(255)", "values may be longer than 255"),
        ("longtext", "text", "values may be longer than 65,535"),
        ("enum('a','B)')", "enum('a')", "B) is no value any more"),
        ("enum('a')", "enum('a','b')", ""),
        ("enum('abc')", "varchar(2)", "values may be longer than 2"),
        ("datetime(6)", "datetime", "seconds are rounded to 0 digits"),
        ("decimal(10,2)", "decimal(10,2)", ""),
    ],
)
def test_narrowing_on_mysql(before: str, after: str, why: str) -> None:
    assert narrows(before, after, mysql=True) == why


CHANGES = [
    ("character varying(20)", "character varying(30)"),
    ("character varying(20)", "character varying(10)"),
    ("character varying(20)", "character varying"),
    ("character varying(20)", "text"),
    ("text", "character varying"),
    ("text", "character varying(20)"),
    ("character(5)", "text"),
    ("integer", "bigint"),
    ("bigint", "integer"),
    ("numeric(10,2)", "numeric(12,2)"),
    ("numeric(10,2)", "numeric"),
    ("numeric(10,2)", "numeric(12,3)"),
    ("numeric(10,2)", "numeric(8,2)"),
    ("timestamp(3) without time zone", "timestamp(6) without time zone"),
    ("timestamp(3) without time zone", "timestamp without time zone"),
    ("timestamp without time zone", "timestamp(3) without time zone"),
    ("timestamp without time zone", "date"),
    ("integer", "numeric(12,0)"),
    ("cidr", "inet"),
    ("json", "jsonb"),
    ("bit varying(5)", "bit varying(8)"),
]


def test_postgresql_writes_tables_anew_as_said(pg_database: Callable[[], URL]) -> None:
    """A table that is written anew stands in another file."""
    url = pg_database()
    told = {}
    for number, (before, after) in enumerate(CHANGES):
        rows(url, f"CREATE TABLE t{number} (a {before})")
        file = f"SELECT pg_relation_filenode('t{number}')"
        was = rows(url, file)
        rows(url, f"ALTER TABLE t{number} ALTER a TYPE {after} USING a::{after}")
        told[before, after] = was == rows(url, file)
    assert {change: keeps_rows(*change) for change in CHANGES} == told
