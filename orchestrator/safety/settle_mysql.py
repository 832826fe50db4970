"""Whether the statement in doubt ran, on MySQL and MariaDB.

Enters: its row of the journal, its text, and what the things that it touches are like now.  Leaves:
a Verdict.  No I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.safety.definitions_mysql import Reading, Thing
from orchestrator.safety.journal import Entry


@dataclass(frozen=True, slots=True)
class Verdict:
    """ran: "again" where it may run again in any case, "partly" where `rest` does what is left of
    it, "unknown" where nothing tells. why: for people."""

    ran: Literal["yes", "no", "again", "partly", "unknown"]
    why: str
    rest: str = ""


def settle(entry: Entry, reading: Reading, now: Mapping[str, str]) -> Verdict:
    """reading: of the statement's whole text. now: by the keys of its things, as
    `definitions_now.kept` gives them."""
    if entry.kind == "data":
        return Verdict("yes", "it is committed together with its row")
    if entry.kind == "refused":
        return Verdict("no", "the server refused it")
    if reading.again:
        return Verdict("again", "it may run again without harm")
    before = entry.before
    if not before:
        return Verdict("unknown", "nothing in the database tells whether it ran")
    changed = [key for key, value in before.items() if now.get(key, "") != value]
    if len(changed) == len(before):
        return Verdict("yes", f"{_list(changed)} changed")
    if changed:
        left = [one for one in reading.things if one.key not in changed]
        if reading.drops:
            return Verdict("partly", f"{_list(changed)} changed", _dropping(reading.drops, left))
        return Verdict("unknown", f"{_list(changed)} changed, the rest of it did not")
    if not reading.equal_tells:
        return Verdict("unknown", f"{_list(before)} may be the same behind it as before it")
    return Verdict("no", f"{_list(before)} did not change")


def _list(keys: Mapping[str, str] | list[str]) -> str:
    return ", ".join(keys)


def _dropping(begins: str, things: list[Thing]) -> str:
    names = (
        ".".join("`" + part.replace("`", "``") + "`" for part in (one.database, one.name) if part)
        for one in things
    )
    return f"{begins} {', '.join(names)}"
