"""Where the names of tenants come from: six sources, one kind of entry.

Enters: a bind with its TenantSource.  Leaves: Tenants: entries in the order of the source, every
bad one as a problem, and what is not known now.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from orchestrator.config import Bind, Config, TenantEntry
from orchestrator.errors import ConfigError, Problem
from orchestrator.fleet.entries import Rows, SourceFailed, entries_of
from orchestrator.fleet.tenant_databases import pattern_rows, query_rows
from orchestrator.fleet.tenant_files import file_rows
from orchestrator.fleet.tenant_programs import callable_rows, command_rows
from orchestrator.fleet.types import UnknownTenants


@dataclass(frozen=True, slots=True)
class Tenants:
    """What a bind's source gives now."""

    entries: tuple[TenantEntry, ...] = ()
    problems: tuple[Problem, ...] = ()
    unknown: tuple[UnknownTenants, ...] = ()


def tenants_of(config: Config, bind: Bind, servers: Collection[str] | None = None) -> Tenants:
    """The tenants of a bind, from its source. Never raises for what a source says.

    servers: those of the bind that matter; a pattern is not looked for on the others (None: all).
    """
    source = bind.tenants
    if source is None:
        return Tenants()
    if source.kind == "list":
        return Tenants(source.entries)
    key = source_key(bind)
    try:
        rows = _rows(config, bind, key, bind.servers if servers is None else servers)
    except SourceFailed as error:
        if not bind.depends_on:
            return Tenants(problems=error.problems)
        # A program of the project may ask a database that is not there before the first upgrade.
        return Tenants(unknown=tuple(_waiting(bind, one) for one in error.problems))
    except ConfigError as error:
        return Tenants(problems=error.problems)
    entries, problems = entries_of(rows.rows, key, numbers=source.kind != "file")
    return Tenants(entries, tuple(problems), rows.unknown)


def source_key(bind: Bind) -> str:
    """The key of a bind's source in databases.yaml: "binds.shop.tenants.query"."""
    kind = bind.tenants.kind if bind.tenants is not None else ""
    return f"binds.{bind.name}.tenants.{kind}"


def _waiting(bind: Bind, problem: Problem) -> UnknownTenants:
    return UnknownTenants(
        bind, problem.what, problem.where, problem.key, problem.todo, after=bind.depends_on
    )


def _rows(config: Config, bind: Bind, key: str, servers: Collection[str]) -> Rows:
    source = bind.tenants
    assert source is not None
    if source.kind == "file":
        return file_rows(source, key)
    if source.kind == "query":
        return query_rows(config, bind, source, key)
    if source.kind == "pattern":
        return pattern_rows(config, bind, source, key, servers)
    if source.kind == "callable":
        return callable_rows(source, key, config.root)
    return command_rows(source, key, config.root)
