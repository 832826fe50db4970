"""The ledger in a file and on servers: what is written is read again, by several at once too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect, make_url, text
from sqlalchemy.engine import Connection

from orchestrator.config.ledger_tables import LEDGER_TABLES
from orchestrator.errors import LedgerError, UsageError
from orchestrator.ledger import tables
from orchestrator.ledger.columns import TEXT_LENGTH
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.types import BindCount, RunView
from tests.ledger.made import NOON, batch, row, run, write

DEAD = {"host": "gone", "birth": "", "seen": NOON}
"""Of a run whose host has not been heard of for long."""


def test_a_run_comes_back_as_it_was_written(url: str) -> None:
    ledger = Ledger.open(url)
    its = run(who="Zoë \N{GRINNING FACE}", command="x --tenant 'ä'", git_commit="f+dirty")
    assert ledger.begin(its)
    assert not ledger.begin(its), "its id is taken"
    shop, Shop = BindCount("shop", 4, 1, 1, 1, 1), BindCount("Shop", 2, 1)
    rows = [
        replace(row(1), waited=1.5, seconds=0.25, attempts=3, statement="x" * TEXT_LENGTH),
        replace(row(2, "failed"), error="Ü'\"\\%s:x\N{GRINNING FACE}" * 100, todo="Do."),
        replace(row(3, "not-started"), tenant=None, schema_name=None),
        row(4, bind="Shop"),
    ]
    write(ledger, its.id, batch(*rows, counts=(shop, Shop), ended=NOON, result="failed"))
    found = Ledger.read(url)
    assert found is not None
    (view,) = found.runs(5)
    assert view.run == replace(its, ended=NOON, result="failed")
    assert sorted(view.counts, key=str) == sorted((shop, Shop), key=str)
    assert (view.planned, view.ended, view.failed, view.unfinished) == (6, 4, 1, 3)
    assert list(found.outcomes(view)) == rows
    assert found.outcomes(view, unfinished=True) == (rows[1], rows[2])


def test_a_batch_may_come_twice_and_outcomes_take_the_place_of_plans(url: str) -> None:
    ledger = Ledger.open(url)
    its = run()
    ledger.begin(its)
    write(ledger, its.id, batch(*(row(n, "planned") for n in range(1200))))
    news = batch(*(row(n) for n in range(700)), counts=(BindCount("shop", 1200, 700),))
    write(ledger, its.id, news)
    write(ledger, its.id, news)
    (view,) = ledger.runs(1)
    results = [one.result for one in ledger.outcomes(view)]
    assert (results.count("done"), results.count("planned"), len(results)) == (700, 500, 1200)
    assert ledger.outcomes(view, unfinished=True) == (), "it may still be at work on the others"
    dead = RunView(view.run, "interrupted", view.counts)
    assert len(ledger.outcomes(dead, unfinished=True)) == 500


def test_runs_are_found_by_the_start_of_their_ids(url: str) -> None:
    ledger = Ledger.open(url)
    with pytest.raises(UsageError, match="no run yet"):
        ledger.run("last")
    for minutes, name in enumerate(("20261122T12-aa", "20261122T12-ab", "20261122T12-a", "x%y")):
        ledger.begin(run(name, minutes))
    assert ledger.run("20261122T12-ab").run.id == "20261122T12-ab"
    assert ledger.run("20261122T12-a").run.id == "20261122T12-a", "the whole id"
    assert ledger.run("last").run.id == "x%y"
    assert ledger.run("x%").run.id == "x%y"
    with pytest.raises(UsageError, match="several runs start with '2026': 20261122T12-a, "):
        ledger.run("2026")
    with pytest.raises(UsageError, match="no run '%'"):
        ledger.run("%")


def test_the_last_runs_of_a_bind(url: str) -> None:
    ledger = Ledger.open(url)
    for number in range(5):
        ledger.begin(run(str(number), number))
        bind = "main" if number % 2 else "shop"
        write(ledger, str(number), batch(counts=(BindCount(bind, 1),)))
    assert [view.run.id for view in ledger.runs(3)] == ["4", "3", "2"]
    assert [view.run.id for view in ledger.runs(9, "main")] == ["3", "1"]
    assert ledger.runs(9, "MAIN") == ()


def test_the_last_run_that_left_something(url: str) -> None:
    ledger = Ledger.open(url)
    assert ledger.last_unfinished() is None
    left: Mapping[str, tuple[BindCount, dict[str, object]]] = {
        "failed": (BindCount("shop", 3, done=2, failed=1), {"result": "failed"}),
        "killed": (BindCount("shop", 3, done=2), DEAD),
        "good": (BindCount("shop", 3, done=2, unchanged=1), {"result": "done"}),
        "alive": (BindCount("shop", 3, done=1, failed=1), {}),
    }
    seen = []
    for minutes, (name, (count, fields)) in enumerate(left.items()):
        ledger.begin(run(name, minutes, **fields))
        with ledger.engine.begin() as connection:
            ledger.write(connection, name, batch(counts=(count,)))
        view = ledger.last_unfinished()
        seen.append(view.run.id if view else None)
    assert seen == ["failed", "killed", "killed", "killed"]


def test_times_are_on_the_clock_of_the_ledger(url: str) -> None:
    ledger = Ledger.open(url)
    assert abs(ledger.now() - datetime.now(UTC).replace(tzinfo=None)) < timedelta(seconds=5)
    ahead = replace(ledger, clock=timedelta(hours=1))
    assert ahead.now() - ledger.now() > timedelta(minutes=59)


def set_number(connection: Connection, number: int) -> None:
    connection.execute(text(f"UPDATE orchestrator_ledger SET schema_number = {number}"))


def test_a_newer_ledger_is_refused(url: str) -> None:
    with Ledger.open(url).engine.begin() as connection:
        set_number(connection, tables.SCHEMA + 1)
    for opened in (Ledger.open, Ledger.read):
        with pytest.raises(LedgerError, match="Upgrade orchestrator") as caught:
            opened(url)
        assert f"schema number {tables.SCHEMA + 1}" in caught.value.problems[0].what
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("opened", [Ledger.open, Ledger.read])
def test_an_older_ledger_is_brought_up_to_date(
    url: str, opened: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger.open(url).begin(run())

    def add(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE orchestrator_runs ADD COLUMN more INTEGER"))

    monkeypatch.setattr(tables, "SCHEMA", tables.SCHEMA + 1)
    monkeypatch.setattr(tables, "CHANGES", {tables.SCHEMA: add})
    assert callable(opened)
    ledger = opened(url)
    names = {one["name"] for one in inspect(ledger.engine).get_columns("orchestrator_runs")}
    assert "more" in names
    with ledger.engine.connect() as connection:
        assert tables.schema_number(connection) == tables.SCHEMA
    assert [view.run for view in ledger.runs(9)] == [run()]


def test_several_make_the_tables_at_once(url: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        for ledger in threads.map(Ledger.open, [url] * 8):
            with ledger.engine.connect() as connection:
                assert tables.schema_number(connection) == tables.SCHEMA
                assert set(inspect(connection).get_table_names()) == LEDGER_TABLES


def test_nothing_is_made_to_read(url: str) -> None:
    assert Ledger.read(url) is None
    file = make_url(url).database
    assert not url.startswith("sqlite") or not Path(file or "").exists()


WRITER = """
import sys
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.types import BindCount
from tests.ledger.made import batch, row, run, write
url, name = sys.argv[1:]
ledger = Ledger.open(url)
assert ledger.begin(run(name))
for number in range(100):
    write(ledger, name, batch(row(number), counts=(BindCount("shop", 100, number + 1),)))
"""


def test_processes_share_one_ledger(url: str) -> None:
    command = [sys.executable, "-c", WRITER, url]
    started = [
        subprocess.Popen([*command, f"run{number}"], stderr=subprocess.PIPE) for number in range(4)
    ]
    for process in started:
        assert process.communicate(timeout=120)[1] == b""
        assert process.returncode == 0
    ledger = Ledger.open(url)
    views = ledger.runs(9)
    assert [(view.planned, view.ended) for view in views] == [(100, 100)] * 4
    assert all(len(ledger.outcomes(view)) == 100 for view in views)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:////proc/none/ledger.db", "No such file or directory"),
        ("sqlite:////dev/null/x/ledger.db", "Not a directory"),
        ("postgresql+psycopg2://u:geheim@127.0.0.1:9/x", "Connection refused"),
        ("mysql+pymysql://u:geheim@127.0.0.1:9/x", "Can't connect"),
        ("oracle://u:geheim@127.0.0.1:9/x", "cannot be kept in oracle"),
        ("postgresql+none://u:geheim@127.0.0.1:9/x", "driver postgresql+none is not installed"),
    ],
)
def test_a_ledger_that_cannot_be_used_is_told(url: str, words: str) -> None:
    with pytest.raises(LedgerError) as caught:
        Ledger.open(url)
    (problem,) = caught.value.problems
    assert words in problem.what
    assert problem.todo
    assert "geheim" not in str(problem)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_text("something else entirely, and long enough to be looked at", encoding="utf-8")
    with pytest.raises(LedgerError, match="file is not a database"):
        Ledger.open(f"sqlite:///{file}")


def test_a_ledger_in_memory_lives_as_long_as_the_command() -> None:
    ledger = Ledger.open("sqlite://")
    assert ledger.begin(run())
    assert [view.run for view in ledger.runs(1)] == [run()]
