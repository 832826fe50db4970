"""The text of scripts: what a client must read to send exactly what the driver sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config import Flavour
from orchestrator.planning.script import write_script
from orchestrator.planning.statements import Place
from orchestrator.revisions.types import Direction, Recording, Segment, Step, VersionChange

PG = Place("main", Flavour("postgresql", (16,)))
MY = Place("audit", Flavour("mysql", (8, 4)))


def script(place: Place, *segments: Segment, new: bool = False, changes: str = "insert") -> str:
    """The script of one step."""
    change = {
        "insert": VersionChange("insert", new="aa1"),
        "update": VersionChange("update", "aa0", "aa1"),
        "delete": VersionChange("delete", old="aa1"),
    }[changes]
    step = Step("aa1", Direction.UPGRADE, "two\nlines; ' x", Path("/v/aa1.py"), (change,))
    recordings = {("aa1", Direction.UPGRADE): Recording("aa1", Direction.UPGRADE, segments)}
    return write_script(place, [step], recordings, title="a title", new_version_table=new)


def test_a_postgresql_script_in_full() -> None:
    place = Place("shop/a", PG.flavour, schema='t_"a', search_path=("public",), create=True)
    assert script(place, Segment(("CREATE TABLE x (id int)",)), new=True) == (
        "-- a title\n"
        "-- Run it with: psql -X -v ON_ERROR_STOP=1 -f THIS_FILE\n"
        "\\set ON_ERROR_STOP on\n"
        "SET client_encoding = 'UTF8';\n"
        "SET standard_conforming_strings = on;\n"
        'CREATE SCHEMA IF NOT EXISTS "t_""a";\n'
        'SET search_path = "t_""a", "public";\n'
        "BEGIN;\n"
        'CREATE TABLE IF NOT EXISTS "t_""a"."alembic_version" (\n'
        "    version_num VARCHAR(32) NOT NULL, \n"
        '    CONSTRAINT "alembic_version_pkc" PRIMARY KEY (version_num)\n'
        ");\n"
        "COMMIT;\n"
        "\n-- upgrade aa1: two lines; ' x\n"
        "-- file aa1.py\n"
        "BEGIN;\n"
        "CREATE TABLE x (id int);\n"
        'INSERT INTO "t_""a"."alembic_version" (version_num) VALUES (\'aa1\');\n'
        "COMMIT;\n"
        "-- end: 1 step\n"
    )


def test_a_mysql_script_in_full() -> None:
    place = Place("b/a", MY.flavour, database="b`a", create=True, version_table="v")
    assert script(place, Segment(("CREATE TABLE x (id int)",)), changes="update") == (
        "-- a title\n"
        "-- Run it with: mysql --default-character-set=utf8mb4 --comments < THIS_FILE\n"
        "SET NAMES utf8mb4;\n"
        "CREATE DATABASE IF NOT EXISTS `b``a`;\n"
        "USE `b``a`;\n"
        "\n-- upgrade aa1: two lines; ' x\n"
        "-- file aa1.py\n"
        "SET autocommit = 0;\n"
        "CREATE TABLE x (id int);\n"
        "UPDATE `v` SET version_num = 'aa1' WHERE version_num = 'aa0';\n"
        "COMMIT;\n"
        "SET autocommit = 1;\n"
        "-- end: 1 step\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", "SELECT 1;"),
        ("SELECT 1 ;; \n", "SELECT 1;"),
        ("SELECT 1 -- why", "SELECT 1 -- why\n;"),
        ("SELECT '--'\nFROM x", "SELECT '--'\nFROM x;"),
        ("SELECT 'a\tb\\n;%s'", "SELECT 'a\tb\\n;%s';"),
    ],
)
def test_every_statement_has_one_end_for_psql(text: str, expected: str) -> None:
    assert f"BEGIN;\n{expected}\nINSERT" in script(PG, Segment((text,)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", "SELECT 1;"),
        ("SELECT 1 # why", "SELECT 1 # why\n;"),
        ("SELECT 'a;b'", "DELIMITER //\nSELECT 'a;b'\n//\nDELIMITER ;"),
        ("SELECT '//;'", "DELIMITER ///\nSELECT '//;'\n///\nDELIMITER ;"),
        (
            "CREATE TRIGGER t BEGIN SET @a = 1; END;",
            "DELIMITER //\nCREATE TRIGGER t BEGIN SET @a = 1; END;\n//\nDELIMITER ;",
        ),
        ("UPDATE x; -- done", "DELIMITER //\nUPDATE x; -- done\n//\nDELIMITER ;"),
    ],
)
def test_every_statement_has_one_end_for_mysql(text: str, expected: str) -> None:
    assert f"SET autocommit = 0;\n{expected}\nINSERT" in script(MY, Segment((text,)))


def test_an_autocommit_block_stands_outside_of_transactions() -> None:
    written = script(
        PG,
        Segment(("CREATE TABLE x (id int)",)),
        Segment(("CREATE INDEX CONCURRENTLY i ON x (id)",), transactional=False),
        changes="delete",
    )
    assert written.partition("aa1.py\n")[2] == (
        "BEGIN;\nCREATE TABLE x (id int);\nCOMMIT;\n"
        "CREATE INDEX CONCURRENTLY i ON x (id);\n"
        "BEGIN;\nDELETE FROM \"alembic_version\" WHERE version_num = 'aa1';\nCOMMIT;\n"
        "-- end: 1 step\n"
    )


def test_no_step_is_a_script_too() -> None:
    text = write_script(PG, [], {}, title="t", new_version_table=False)
    assert text.endswith("-- end: 0 steps\n")
    assert "BEGIN" not in text


def test_bytes_survive() -> None:
    raw = b"SELECT _binary '\xff\xfe'".decode("utf-8", "surrogateescape")
    assert b"'\xff\xfe';" in script(MY, Segment((raw,))).encode("utf-8", "surrogateescape")
