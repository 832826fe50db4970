"""What every source of tenants gives, made into entries.

Enters: Rows as a source gives them: names, or mappings with a tenant, maybe a server, and labels.
Leaves: TenantEntry values, and a problem for each row that is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from orchestrator.config import TenantEntry, Where
from orchestrator.errors import ConfigError, Problem
from orchestrator.fleet.types import UnknownTenants


@dataclass(frozen=True, slots=True)
class Row:
    """One tenant as its source gives it, and where. given: a name, or a mapping of fields."""

    where: Where
    given: Any


@dataclass(frozen=True, slots=True)
class Rows:
    """All that a source gives now. unknown: what it could not tell."""

    rows: tuple[Row, ...] = ()
    unknown: tuple[UnknownTenants, ...] = ()


class SourceFailed(ConfigError):
    """A program that lists tenants was run, and failed; it may work when a database is there."""


def entries_of(
    rows: Iterable[Row], key: str, *, numbers: bool
) -> tuple[tuple[TenantEntry, ...], list[Problem]]:
    """The entries of these rows, and what is wrong with the others.

    key: the source's key in databases.yaml. numbers: whether a number may be a name; in a file
    written by hand it may not, for YAML's 007 is 7.
    """
    found: list[TenantEntry] = []
    problems: list[Problem] = []
    for row in rows:
        entry = _entry(row, numbers)
        if isinstance(entry, TenantEntry):
            found.append(entry)
        else:
            what, todo = entry
            problems.append(Problem(what, str(row.where), key, todo))
    return tuple(found), problems


def _entry(row: Row, numbers: bool) -> TenantEntry | tuple[str, str]:
    """A row's entry, or what is wrong and what to do."""
    given = row.given
    if isinstance(given, str) and given:
        return TenantEntry(given, None, {}, row.where)  # Ten thousand of these are common.
    fields = dict(given) if isinstance(given, Mapping) else {"tenant": given}
    name = _name(fields.pop("tenant", None), numbers)
    if not isinstance(name, str) or not name:
        return (
            "this entry has no tenant name",
            "Give it a `tenant` that is a non-empty text (quote numbers).",
        )
    server = _name(fields.pop("server", None), numbers)
    if not isinstance(server, (str, type(None))):
        return f"the server of the tenant {name!r} is no name", "Name a server of the bind."
    labels = {}
    for label, value in fields.items():
        if isinstance(value, (Mapping, list, tuple, set)):
            return (
                f"the label {label} of the tenant {name!r} holds more than one value",
                "Give it a single value.",
            )
        if value is not None:
            labels[str(label)] = _label(value)
    return TenantEntry(name, server or None, labels, row.where)


def _name(value: object, numbers: bool) -> object:
    """Ids are names too."""
    number = numbers and isinstance(value, int) and not isinstance(value, bool)
    return str(value) if number or isinstance(value, UUID) else value


def _label(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
