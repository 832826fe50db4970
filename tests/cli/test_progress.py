"""Progress: what is told while a run goes on, of few targets and of many."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import make_url

from orchestrator.cli import progress
from orchestrator.cli.progress import observe
from orchestrator.config import Bind, Server, Where
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.types import Target

HERE = Where(Path("databases.yaml"), 1)


def targets(bind: str, count: int, *servers: str) -> list[Target]:
    names = servers or ("one",)
    made = {
        name: Server(name, make_url(f"postgresql+psycopg2://u@{name}/x"), HERE) for name in names
    }
    on = Bind(bind, HERE, made, (), tenancy="schema")
    return [Target(on, made[names[n % len(names)]], f"c{n}") for n in range(count)]


def follow(log_format: str, *stages: Sequence[Target], failing: str = "") -> None:
    """Run every stage: a step each, and its end."""
    with observe(log_format) as observer:
        for stage in stages:
            observer.planned(stage)
            for target in stage:
                observer.started(target)
                observer.step(target, "r1")
                failed = target.tenant == failing
                failure = Failure("no [red]way", "r1") if failed else None
                observer.ended(
                    Outcome(target, "failed" if failed else "done", (), ("r1",), ("r1",), failure)
                )


def test_few_targets_are_told_each(capsys: pytest.CaptureFixture[str]) -> None:
    follow("text", targets("shop", 2), failing="c1")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "shop/c0: running r1",
        "shop/c0: r1 in 0.0 s",
        "shop/c1: running r1",
        "shop/c1: failed",
    ]


def test_many_targets_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    follow("text", targets("main", 1), targets("shop", 9_000) + targets("crm", 60), failing="c7")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["main/c0: running r1", "main/c0: r1 in 0.0 s"]
    assert len(lines) < 20
    shop = [line for line in lines if line.startswith("shop: 9,000 of 9,000 (")]
    crm = [line for line in lines if line.startswith("crm: 60 of 60 (")]
    assert [len(shop), len(crm)] == [1, 1]
    assert shop[0].endswith(", 1 failed")


def test_counts_come_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.0)
    follow("text", targets("shop", 60))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 60
    assert lines[29].startswith("shop: 30 of 60 (")
    assert " s left)" in lines[29]
    assert " s left)" not in lines[59]


def test_events_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    follow("json", targets("shop", 2), failing="c1")
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(one["event"], one["target"]) for one in events] == [
        (event, f"shop/c{number}")
        for number in (0, 1)
        for event in ("target-started", "step-started", "target-ended")
    ]
    assert events[2]["result"] == "done"
    assert (events[5]["error"], events[5]["revision"]) == ("no [red]way", "r1")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_line_a_bind_and_server_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    for name, value in (("TERM", "xterm"), ("COLUMNS", "160")):
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    follow("text", targets("main", 1), targets("shop", 9, "eu1", "us1"), failing="c3")
    text = screen.getvalue()
    for line in ("shop@eu1", "shop@us1", "5/5", "4/4", "1/1", "1 failed", "c3@us1: failed"):
        assert line in text


def test_waits_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    one, *_rest = targets("shop", 3)
    for log_format in ("text", "json"):
        with observe(log_format) as observer:
            observer.planned([one])
            observer.waiting(one, "waiting for its lock")
    plain, event = capsys.readouterr().err.splitlines()
    assert plain == "shop/c0: waiting for its lock"
    told = json.loads(event)
    assert (told["event"], told["target"], told["reason"]) == (
        "waiting",
        "shop/c0",
        "waiting for its lock",
    )


def test_waits_are_told_above_the_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    for name, value in (("TERM", "xterm"), ("COLUMNS", "160")):
        monkeypatch.setenv(name, value)
    (one,) = targets("shop", 1)
    with observe("text") as observer:
        observer.planned([one])
        observer.waiting(one, "lock timeout: attempt 2 of 10 in 0.3 s")
    assert "shop/c0: lock timeout: attempt 2 of 10 in 0.3 s" in screen.getvalue()
