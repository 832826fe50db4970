"""The end of a run: everybody fits on one screen, and each cause is told once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sqlalchemy import make_url

from orchestrator.cli.summary import causes, failures, outcome_data, print_outcomes
from orchestrator.config import Bind, Server, Where
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.types import Target

HERE = Where(Path("databases.yaml"), 1)
SERVER = Server("one", make_url("postgresql+psycopg2://u:geheim@h/x"), HERE)
SHOP = Bind("shop", HERE, {"one": SERVER}, (), tenancy="schema")


def outcome(tenant: str, failure: Failure | None = None) -> Outcome:
    target = Target(SHOP, SERVER, tenant, schema=f"t_{tenant}")
    if failure is not None:
        return Outcome(target, "failed", ("a",), ("a",), (), failure, 0.1)
    return Outcome(target, "done", ("a",), ("b",), ("b",), None, 0.1)


def fleet() -> list[Outcome]:
    """10,000, of which 37 fail: 20 without a table, 12 with a row of their own, 5 out of time."""
    outcomes = [outcome(f"c{number:05}") for number in range(10_000)]
    for place in range(37):
        name = f"c{place * 270:05}"
        if place < 20:
            message, statement = (
                f'relation "t_{name}.old" does not exist (42P01)',
                "ALTER TABLE old",
            )
        elif place < 32:
            message = f"duplicate key; detail: Key (id)=({place}) already exists. (23505)"
            statement = "\n".join(f"line {number}" for number in range(60))
        else:
            message, statement = f"canceling statement of {name}: lock timeout (55P03)", "ALTER"
        failure = Failure(message, "b", "/v/b.py:12", statement, "Do this next.")
        outcomes[place * 270] = outcome(name, failure)
    return outcomes


def test_ten_thousand_targets_fit_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    print_outcomes("upgrade", fleet())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 60
    assert "shop: 9,963 targets a -> b" in lines
    assert "shop: 37 targets FAILED in b" in lines
    heads = [line for line in lines if re.match(r"\d+ targets: ", line)]
    assert [head.split(" ")[0] for head in heads] == ["20", "12", "5"]
    assert lines[-1] == "upgrade: 10,000 targets, 9,963 changed, 37 failed"
    text = "\n".join(lines)
    assert text.count("and 12 more") == 1
    assert text.count("40 more lines") == 1
    assert text.count("/v/b.py:12") == text.count("Do this next.") == 3


def test_a_tenant_whose_name_is_a_word_of_the_message_is_in_its_group() -> None:
    names = ["e", "relation", "a", "1", "t.x", "(", "key"]
    failed = [outcome(name, Failure(f'relation "t_{name}.old" does not exist')) for name in names]
    plain = [outcome(name, Failure("the lock of a key was held")) for name in ("e", "w", "1")]
    assert [len(one.targets) for one in causes(failures(failed)).values()] == [6, 1]
    assert [len(one.targets) for one in causes(failures(plain)).values()] == [3]


def test_different_revisions_are_different_causes() -> None:
    failed = [outcome(name, Failure("out of memory", name)) for name in ("x", "y")]
    assert len(causes(failures(failed))) == 2


def test_many_causes_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    letters = "abcdefghijklmnop"
    print_outcomes("upgrade", [outcome(x, Failure(f"cause {x}{x}", "b")) for x in letters])
    out = capsys.readouterr().out
    assert "... and 6 targets for 6 other causes" in out
    assert "shop/a: cause aa" in out


def test_a_few_targets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    moved = outcome("stopped")
    outcomes = [
        outcome("acme"),
        Outcome(moved.target, "not-started", ("a",), ("b",), ("b",)),
        Outcome(outcome("later").target, "not-started"),
        Outcome(outcome("same").target, "unchanged", ("b",), ("b",)),
        Outcome(outcome("half").target, "failed", ("a",), ("b",), ("b",), Failure("oh", "c")),
    ]
    print_outcomes("upgrade", outcomes)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "shop/acme     a -> b (1 step, 0.1 s)",
        "shop/stopped  a -> b, then stopped",
        "shop/later    not started",
        "shop/same     b, nothing to do",
        "shop/half     a -> b, then FAILED in c",
    ]
    assert lines[-1] == (
        "upgrade: 5 targets, 1 changed, 1 unchanged, 1 failed, 1 stopped on the way, 1 not started"
    )


def test_for_machines() -> None:
    failure = Failure("no: postgresql://u:geheim@h/x", "b", "f:1", "S", "T")
    data = json.loads(json.dumps(outcome_data(outcome("acme", failure))))
    assert data["result"] == "failed"
    assert data["error"] | {"message": ""} == {
        "message": "",
        "revision": "b",
        "where": "f:1",
        "statement": "S",
        "todo": "T",
    }
    assert "geheim" not in json.dumps(data)
    assert outcome_data(outcome("acme"))["error"] is None
