"""The journal's texts and what its rows tell, without a server."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from orchestrator.safety.journal import (
    PLANNED,
    SHOWN,
    Entry,
    HalfApplied,
    Kind,
    digest_of,
    half_applied,
    header,
    insert_rows,
    row,
    shown,
    source_of,
    text_literal,
)

TEXTS = ["CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)", "ALTER TABLE t ADD a int"]
START = header("r1", "upgrade", source_of(TEXTS), TEXTS, "orchestrator run 1 host", live=False)


def stored(*entries: Entry) -> HalfApplied | None:
    """What comes back of rows."""
    return half_applied(
        [
            (
                one.revision,
                one.direction,
                one.number,
                one.kind,
                one.statement,
                one.digest,
                json.dumps(dict(one.before)),
                one.owner,
                datetime(2026, 1, 2),
            )
            for one in entries
        ]
    )


def test_an_empty_journal_tells_nothing() -> None:
    assert half_applied([]) is None


def test_a_header_names_all_that_is_to_run() -> None:
    half = stored(START)
    assert half is not None
    assert half.planned == tuple((text, digest_of(text)) for text in TEXTS)
    assert (half.source, half.live, half.done, half.in_doubt) == (source_of(TEXTS), False, 0, None)


@pytest.mark.parametrize(
    ("kind", "done", "doubt"), [("ddl", 2, True), ("data", 3, False), ("refused", 2, False)]
)
def test_the_last_row_is_in_doubt(kind: Kind, done: int, doubt: bool) -> None:
    half = stored(
        START,
        row(START, 1, "ddl", TEXTS[0], {"table t": ""}),
        row(START, 3, kind, TEXTS[2], {"table t": "x"}),
    )
    assert half is not None
    assert half.done == done
    assert (half.in_doubt is not None) is doubt
    assert half.rows[-1].before == {"table t": "x"}


def test_rows_without_a_header_are_nobodys_plan() -> None:
    half = stored(row(START, 1, "ddl", TEXTS[0], {}))
    assert half is not None
    assert (half.planned, half.source, half.live) == ((), "", True)


def test_long_steps_keep_short_headers() -> None:
    many = [f"INSERT INTO t VALUES ({number}, '{'x' * 300}')" for number in range(PLANNED + 5)]
    start = header("r1", "upgrade", source_of(many), many, "", live=False)
    assert len(start.statement) < 2_000_000
    half = stored(start)
    assert half is not None
    assert len(half.planned) == PLANNED
    assert half.planned[3][1] == digest_of(many[3])


def test_another_order_or_cut_is_another_source() -> None:
    assert source_of(["a", "b"]) != source_of(["b", "a"])
    assert source_of(["a", "b"]) != source_of(["ab"])
    assert source_of(["a\udcff"]) != source_of(["a"])


def test_what_is_shown_is_text() -> None:
    assert shown("a\0b\udcffc") == "a\ufffdb\ufffdc"
    assert len(shown("x" * (SHOWN + 1))) == SHOWN


def test_literals_hold_under_every_mode() -> None:
    assert text_literal("postgresql", "it's \\ 100%") == "E'it''s \\\\ 100%'"
    assert text_literal("mysql", "a'\\") == "CONVERT(0x61275c USING utf8mb4)"
    assert text_literal("mysql", "") == "''"


def test_the_server_may_look_for_the_last_row() -> None:
    rows = [START, row(START, 1, "ddl", TEXTS[0], {})]
    text = insert_rows("mysql", "j", rows, "JSON_OBJECT('a', 1)")
    assert text.startswith("INSERT INTO j (revision,")
    assert text.count("JSON_OBJECT('a', 1)") == 1
