"""States that somebody has told (`execution.told_states`): --from, and the file of a status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import Flavour
from orchestrator.errors import UsageError
from orchestrator.execution.told_states import told_by_option, told_by_status
from orchestrator.fleet.types import State, Target
from orchestrator.planning.halfway import half_of
from tests.planning.fleet import bind, tenants


@pytest.fixture
def targets(tmp_path: Path) -> list[Target]:
    return tenants(bind("shop", tmp_path), ["acme", "globex"])


def _row(tenant: str = "acme", **more: Any) -> dict[str, Any]:
    row = {"bind": "shop", "server": "one", "tenant": tenant, "status": "behind"}
    return {**row, "revisions": ["b", "a"], **more}


def _read(targets: list[Target], *rows: dict[str, Any]) -> tuple[State, ...]:
    return told_by_status(json.dumps(rows), "s.json")(targets).states


def test_all_targets_of_a_bind_stand_at_the_same(targets: list[Target]) -> None:
    read = told_by_option({"shop": ("b", "a")})
    assert read(targets).states == (State("known", ("a", "b")),) * 2


@pytest.mark.parametrize("status", ["head", "behind", "unknown", "half-applied", "dirty"])
def test_a_version_table_that_was_read(targets: list[Target], status: str) -> None:
    one, _two = _read(targets, _row(status=status))
    assert one == State("known", ("a", "b"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("no-version-table", "no-version-table"),
        ("missing", "missing"),
        ("denied", "denied"),
        ("unreachable", "unreachable"),
        ("something-new", "unreachable"),
    ],
)
def test_targets_without_one(targets: list[Target], status: str, kind: str) -> None:
    one, _two = _read(targets, _row(status=status, revisions=[], detail="why"))
    assert (one.kind, one.revisions) == (kind, ())


def test_a_target_that_is_not_named_is_unreachable(targets: list[Target]) -> None:
    _one, two = _read(targets, _row(), _row("globex", server="another"))
    assert two == State("unreachable", detail="s.json does not tell where it stands")


def test_flavours_come_with_the_states(targets: list[Target]) -> None:
    told = told_by_status(json.dumps([_row(flavour="postgresql-15.4")]), "s.json")(targets)
    assert told.flavours == {("shop", "one"): Flavour("postgresql", (15, 4))}


@pytest.mark.parametrize(
    ("done", "doubt"),
    [(0, None), (3, None), (3, {"number": 4, "statement": "ALTER TABLE a ADD i int"})],
)
def test_a_half_applied_target(
    targets: list[Target], done: int, doubt: dict[str, Any] | None
) -> None:
    half = {
        "revision": "c",
        "direction": "upgrade",
        "live": False,
        "done": done,
        "owner": "me",
        "started": "2026-01-01T00:00:00",
        "in_doubt": doubt,
    }
    one, _two = _read(targets, _row(status="half-applied", half_applied=half))
    found = half_of(one)
    assert found is not None
    assert (found.revision, found.direction) == ("c", "upgrade")
    last = one.journal[-1]
    assert last[2] == (4 if doubt else done)
    assert (last[3] == "ddl") == bool(doubt)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "it is no JSON"),
        ("{}", "it is not what `status --json` prints"),
        ('["x"]', "it is not what `status --json` prints"),
        ('[{"bind": "shop"}]', "it is not what `status --json` prints"),
        (json.dumps([_row(status="half-applied", half_applied={"live": 1})]), "it is damaged"),
        (json.dumps([_row(revisions=None)]), "it is damaged"),
        (json.dumps([_row(flavour="oracle-23")]), "it is damaged"),
    ],
)
def test_what_is_no_status(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        told_by_status(text, "s.json")
    problem = caught.value.problems[0]
    assert words in problem.what
    assert problem.where == "s.json"
    assert "orchestrator status --json" in problem.todo
