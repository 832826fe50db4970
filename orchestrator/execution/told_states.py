"""Where targets stand as somebody has told it: `--from`, or a file that `status --json` wrote.

Enters: revisions by bind, or the text of such a file.  Leaves: a reader of states that makes no
connection.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.config import Flavour
from orchestrator.errors import Problem, UsageError
from orchestrator.fleet.state import FleetState
from orchestrator.fleet.types import JournalRow, State, Target

Reader = Callable[[Sequence[Target]], FleetState]
Key = tuple[str, str, str | None]

_READ = frozenset(("head", "behind", "unknown", "half-applied", "dirty"))
"""Statuses of targets whose version table was read."""


def told_by_option(starts: Mapping[str, tuple[str, ...]]) -> Reader:
    """Every target of a bind stands at these rows."""

    def read(targets: Sequence[Target]) -> FleetState:
        states = {bind: State("known", tuple(sorted(rows))) for bind, rows in starts.items()}
        return FleetState(tuple(states[target.bind.name] for target in targets))

    return read


def told_by_status(text: str, name: str) -> Reader:
    """As a file says. name: how to call it in messages. Raises UsageError for what is no such file;
    a target that it does not name is unreachable."""
    rows = _rows(text, name)
    states: dict[Key, State] = {}
    flavours: dict[tuple[str, str], Flavour] = {}
    try:
        for row in rows:
            key = str(row["bind"]), str(row["server"]), row["tenant"]
            states[key] = _state(row)
            if row.get("flavour"):
                flavours[key[:2]] = Flavour.parse(row["flavour"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refused(name, f"it is damaged: {type(error).__name__}: {error}") from error
    absent = State("unreachable", detail=f"{name} does not tell where it stands")

    def read(targets: Sequence[Target]) -> FleetState:
        found = (
            states.get((target.bind.name, target.server.name, target.tenant), absent)
            for target in targets
        )
        return FleetState(tuple(found), flavours)

    return read


def _rows(text: str, name: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise _refused(name, f"it is no JSON: {error}") from error
    if not isinstance(rows, list) or not all(
        isinstance(one, dict) and {"bind", "server", "tenant", "status", "revisions"} <= one.keys()
        for one in rows
    ):
        raise _refused(name, "it is not what `status --json` prints")
    return rows


def _state(row: Mapping[str, Any]) -> State:
    status, detail = str(row["status"]), str(row.get("detail") or "")
    if status in _READ:
        half = row.get("half_applied")
        revisions = tuple(sorted(map(str, row["revisions"])))
        return State("known", revisions, journal=_journal(half) if half else ())
    if status == "no-version-table":
        return State("no-version-table")
    if status == "missing":
        return State("missing", detail=detail)
    return State("denied" if status == "denied" else "unreachable", detail=detail)


def _journal(half: Mapping[str, Any]) -> tuple[JournalRow, ...]:
    """The first row of a journal and its last, as far as the file tells them."""
    told = json.dumps({"live": bool(half["live"]), "planned": []})
    names = str(half["revision"]), str(half["direction"])
    behind = str(half["owner"]), str(half["started"])
    first: JournalRow = (*names, 0, "header", told, "", "{}", *behind)
    doubt = half.get("in_doubt")
    if doubt:
        statement = str(doubt["statement"])
        return first, (*names, int(doubt["number"]), "ddl", statement, "", "{}", *behind)
    if half["done"]:
        return first, (*names, int(half["done"]), "data", "", "", "{}", *behind)
    return (first,)


def _refused(name: str, what: str) -> UsageError:
    todo = "Make it with `orchestrator status --json`, where the servers can be reached."
    return UsageError(Problem(what, where=name, todo=todo))
