"""A run is written while it goes on, and no ledger stops it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, text

from orchestrator.ledger import writer as writers
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.spool import spool_folder, take_in
from orchestrator.ledger.types import BindCount, Run, RunView
from orchestrator.ledger.writer import Writer, begin_run, run_id
from tests.conftest import DatabaseFactory
from tests.ledger.made import NOON, row


def begun(ledger: Ledger) -> Run:
    """A run of this process."""
    return begin_run(ledger, who="alice", version="0.1.0", verb="upgrade", command="x --all")


@contextmanager
def writing(ledger: Ledger, root: Path, heard: list[str]) -> Iterator[Writer]:
    """A writer that is ended."""
    writer = Writer(ledger, begun(ledger), root, heard.append)
    writer.start()
    try:
        yield writer
    finally:
        writer.end("done")


def wait_until(seen: Callable[[], bool]) -> None:
    """Wait until it is so."""
    end = time.monotonic() + 20
    while not seen():
        assert time.monotonic() < end, "never so"
        time.sleep(0.05)


def only(ledger: Ledger) -> RunView:
    (view,) = ledger.runs(9)
    return view


def test_ids_sort_by_time() -> None:
    assert re.fullmatch(r"20261122T120000-[0-9a-f]{4}", run_id(NOON))
    assert len({run_id(NOON) for _ in range(50)}) > 40


def test_an_id_that_is_taken_is_left_alone(file_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, ids = Ledger.open(file_url), iter(["a", "a", "a", "b"])
    monkeypatch.setattr(writers, "run_id", lambda _now: next(ids))
    assert [begun(ledger).id, begun(ledger).id] == ["a", "b"]


def test_a_run_is_seen_while_it_goes_on(url: str, tmp_path: Path) -> None:
    ledger, heard = Ledger.open(url), list[str]()
    with writing(ledger, tmp_path, heard) as writer:
        plan = [row(number, "planned") for number in range(1, 501)]
        writer.planned(plan, {"shop": 510, "main": 1}, "sha256:1")
        for _ in range(10):
            writer.unchanged("shop")
        wait_until(lambda: only(ledger).planned == 511)
        assert only(ledger).run.plan_digest == "sha256:1"
        for number in range(1, 251):
            writer.ended(row(number, "failed" if number % 50 == 0 else "done"))
        writer.ended(row(251, "not-started"))
        writer.ended(row(252, "unchanged"))
        # What is written at once comes at once, the rest in a second.
        wait_until(lambda: only(ledger).failed == 5)
        view = only(ledger)
        assert view.result == "running"
        main, shop = sorted(view.counts, key=lambda one: one.bind)
        assert main == BindCount("main", 1)
        assert shop == BindCount("shop", 510, 245, 11, 5, 1)
        assert len(ledger.outcomes(view)) == 500
        writer.ended(row(500))
    view = only(ledger)
    assert (view.result, view.run.result) == ("done", "done")
    assert view.run.ended is not None
    assert ledger.outcomes(view)[-1] == row(500)
    assert heard == []


def test_signs_of_life(file_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(writers, "EVERY_SECONDS", 0.1)
    ledger = Ledger.open(file_url)
    with writing(ledger, tmp_path, []):
        wait_until(lambda: only(ledger).run.seen > only(ledger).run.started)
        first = only(ledger).run.seen
        wait_until(lambda: only(ledger).run.seen > first)


@pytest.fixture
def full(file_url: str) -> Ledger:
    """A ledger whose file has no room for much more."""
    ledger = Ledger.open(file_url)
    with ledger.engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()

    @event.listens_for(ledger.engine, "connect")
    def limit(connection: object, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")  # type: ignore[attr-defined]

    return ledger


def fill(writer: Writer) -> None:
    """A run that is told of in batches."""
    writer.planned([row(number, "planned") for number in range(1, 901)], {"shop": 900})
    for number in range(1, 901):
        writer.ended(row(number))
        if number % 300 == 0:
            time.sleep(0.1)


def test_a_full_ledger_is_told_once_and_nothing_is_lost(
    full: Ledger, file_url: str, tmp_path: Path
) -> None:
    heard: list[str] = []
    with writing(full, tmp_path, heard) as writer:
        fill(writer)
    (warning,) = heard
    assert "cannot be written: database or disk is full" in warning
    spool = next(spool_folder(tmp_path).iterdir())
    assert str(spool) in warning
    assert only(full).result == "running", "its process lives, and its end is in the spool"
    roomy = Ledger.open(file_url)
    assert take_in(spool.parent, roomy, heard.append) == 1
    view = only(roomy)
    assert (view.result, view.ended, len(roomy.outcomes(view))) == ("done", 900, 900)
    assert len(heard) == 1


def test_no_room_for_the_spool_either_is_told_once_more(full: Ledger, tmp_path: Path) -> None:
    # A file stands where the folder would.
    (tmp_path / ".orchestrator").touch()
    heard: list[str] = []
    with writing(full, tmp_path, heard) as writer:
        fill(writer)
    assert len(heard) == 2
    assert "cannot be written: database or disk is full" in heard[0]
    assert "cannot be written either: Not a directory" in heard[1]


def test_a_table_that_goes_away(any_database: DatabaseFactory, tmp_path: Path) -> None:
    url = any_database().render_as_string(hide_password=False)
    ledger, heard = Ledger.open(url), list[str]()
    with writing(ledger, tmp_path, heard) as writer:
        with ledger.engine.begin() as connection:
            connection.execute(text("DROP TABLE orchestrator_outcomes"))
        writer.ended(row(1))
    (warning,) = heard
    assert "orchestrator_outcomes" in warning
    assert "s3cr" not in warning
    with ledger.engine.begin() as connection:
        connection.execute(text("DROP TABLE orchestrator_ledger"))
    again = Ledger.open(url)
    assert take_in(spool_folder(tmp_path), again, heard.append) == 1
    assert again.outcomes(only(again)) == (row(1),)
    assert only(again).result == "done"


def test_a_connection_that_was_cut_is_made_again(
    any_database: DatabaseFactory, tmp_path: Path
) -> None:
    url = any_database()
    ledger, heard = Ledger.open(url.render_as_string(hide_password=False)), list[str]()
    with writing(ledger, tmp_path, heard) as writer:
        writer.planned([row(1, "planned")], {"shop": 1})
        wait_until(lambda: only(ledger).planned == 1)
        with Ledger.open(ledger.url).engine.connect() as connection:
            cut = {
                "postgresql": "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()",
                "mysql": "SELECT id FROM information_schema.processlist "
                "WHERE db = database() AND id <> connection_id()",
            }[url.get_backend_name()]
            for (found,) in connection.execute(text(cut)).all():
                if url.get_backend_name() == "mysql":
                    connection.execute(text(f"KILL {found}"))
                else:
                    assert found
        writer.ended(row(1))
    assert heard == []
    assert only(ledger).result == "done"
    assert only(ledger).ended == 1
