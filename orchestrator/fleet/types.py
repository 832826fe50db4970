"""Targets and their states: the types of the fleet floor."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.config import Bind, Server
from orchestrator.errors import Problem


@dataclass(frozen=True, slots=True)
class Target:
    """One place where a history is applied.

    schema: the PostgreSQL schema of a tenant, None elsewhere.
    database: the database's name when the tenant gives it, None when the server's URL does.
    """

    bind: Bind
    server: Server
    tenant: str | None = None
    schema: str | None = None
    database: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """How people name it: "main", "shop/acme", or "shop/acme@eu1" on one of several servers."""
        name = self.bind.name if self.tenant is None else f"{self.bind.name}/{self.tenant}"
        return f"{name}@{self.server.name}" if len(self.bind.servers) > 1 else name

    @property
    def options(self) -> str:
        """The options of a command that name this one: "--bind shop --tenant acme"."""
        named = {"bind": self.bind.name, "tenant": self.tenant}
        if len(self.bind.servers) > 1:
            named["server"] = self.server.name
        return " ".join(f"--{name} {shlex.quote(value)}" for name, value in named.items() if value)


@dataclass(frozen=True, slots=True)
class UnknownTenants:
    """Tenants of a bind that nobody can tell now: the table that lists them is not there yet, or
    the server that knows them does not answer.

    reason: what the server or the program said. where, key: the source in databases.yaml.
    server: the one server whose tenants are not known; None when none of the bind's are.
    after: the binds that may make them known once they are applied; empty when that is not the
    reason.
    """

    bind: Bind
    reason: str
    where: str
    key: str
    todo: str
    server: str | None = None
    after: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """For people: "tenants not known until main is applied: ..."."""
        on = f" on server {self.server}" if self.server else ""
        until = (
            f" until {' and '.join(self.after)} {'is' if len(self.after) == 1 else 'are'} applied"
        )
        return f"tenants{on} not known{until if self.after else ''}: {self.reason}"

    @property
    def problem(self) -> Problem:
        """The same as an error of a command that needs them."""
        return Problem(self.words, self.where, self.key, self.todo)


StateKind = Literal["known", "no-version-table", "missing", "denied", "unreachable"]


JOURNAL_COLUMNS = (
    "revision",
    "direction",
    "number",
    "kind",
    "statement",
    "digest",
    "definitions",
    "owner",
    "started",
)
"""The columns of a journal (safety/journal.py says what they mean), in the order of its rows."""

JournalRow = tuple[str | int, ...]
"""The values of JOURNAL_COLUMNS."""


@dataclass(frozen=True, slots=True)
class State:
    """What a target's version table holds now, and its journal where one has rows.

    kind: "known" (revisions read; empty means base), "no-version-table" (the schema or database is
    there, the table is not), "missing" (no such schema or database), "denied" (there, and may not
    or cannot be read), "unreachable".
    detail: the server's message for the last three; for the others, why the journal cannot be read.
    journal: its first row and its last, () when nothing is half-applied; `safety.journal` reads
    them.
    """

    kind: StateKind
    revisions: tuple[str, ...] = ()
    detail: str = ""
    journal: tuple[JournalRow, ...] = ()
