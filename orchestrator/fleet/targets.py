"""The fleet: every target of every bind, and which of them a command is about.

Enters: Config and a Selection.  Leaves: targets, in order of binds as declared.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from orchestrator.config import Bind, Config, Server, TenantEntry
from orchestrator.config.urls import server_identity
from orchestrator.errors import ConfigError, EmptySelection, Problem, UsageError
from orchestrator.fleet.tenants import tenants_of
from orchestrator.fleet.types import Target

# PostgreSQL 18 manual, 4.1.1 "Identifiers": at most NAMEDATALEN - 1 bytes.
# MySQL 8.4 manual, 11.2.1 "Identifier Length Limits": at most 64 characters.
NAME_LIMIT = {"postgresql": 63, "mysql": 64}

SYSTEM_NAMES = {
    ("postgresql", "schema"): {"information_schema"},
    ("postgresql", "database"): {"template0", "template1"},
    ("mysql", "database"): {"information_schema", "mysql", "performance_schema", "sys"},
    ("mysql", "schema"): {"information_schema", "mysql", "performance_schema", "sys"},
}
"""Schemas and databases in which a server keeps its own things, by family and tenancy."""

# Control characters, surrogates (which no encoding can carry), and line and paragraph separators.
_REFUSED = {"Cc", "Cs", "Zl", "Zp"}


@dataclass(frozen=True, slots=True)
class Selection:
    """What --all, --bind, --tenant, --server, --select and --limit say.

    Different options narrow, values of the same option widen. tenants are shell globs on the
    tenant's name. labels: (name, value) pairs; pairs of one name widen.
    """

    everything: bool = False
    binds: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    limit: int | None = None

    @property
    def given(self) -> bool:
        """Whether the user selected anything at all."""
        return bool(
            self.everything
            or self.binds
            or self.tenants
            or self.servers
            or self.labels
            or self.limit is not None
        )


def selected_binds(config: Config, selection: Selection) -> tuple[Bind, ...]:
    """The binds that a selection can touch, as declared.

    Raises UsageError for a bind that does not exist.
    """
    unknown = [name for name in selection.binds if name not in config.binds]
    if unknown:
        raise UsageError([unknown_bind(config, name) for name in unknown])
    if not selection.binds:
        return tuple(config.binds.values())
    return tuple(bind for name, bind in config.binds.items() if name in selection.binds)


def unknown_bind(config: Config, name: str) -> Problem:
    """The problem of a bind that databases.yaml does not declare."""
    return Problem(
        f"there is no bind {name!r}{did_you_mean(name, config.binds)}",
        where=config.file.name,
        todo=f"Use one of: {', '.join(config.binds)}.",
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the known one that is nearest, if any is."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def select_targets(
    config: Config, selection: Selection, *, allow_empty: bool = False
) -> tuple[Target, ...]:
    """The targets that a selection names.

    Raises UsageError for unknown binds and servers, ConfigError for bad tenants, and EmptySelection
    when nothing matches (unless allow_empty).
    """
    binds = selected_binds(config, selection)
    known = {name for bind in config.binds.values() for name in bind.servers}
    strange = [name for name in selection.servers if name not in known]
    if strange:
        raise UsageError(
            [
                Problem(
                    f"there is no server {name!r}{did_you_mean(name, known)}",
                    where=config.file.name,
                    todo=f"Use one of: {', '.join(sorted(known))}.",
                )
                for name in strange
            ]
        )
    targets = [target for target in all_targets(config, binds) if _matches(target, selection)]
    if selection.limit is not None:
        targets = targets[: selection.limit]
    if not targets and not allow_empty:
        raise EmptySelection(
            Problem(
                "the selection names no target",
                todo="See `orchestrator targets` for the fleet, or pass --allow-empty.",
            )
        )
    return tuple(targets)


def _matches(target: Target, selection: Selection) -> bool:
    if selection.servers and target.server.name not in selection.servers:
        return False
    if selection.tenants and not any(
        target.tenant is not None and fnmatchcase(target.tenant, glob) for glob in selection.tenants
    ):
        return False
    wanted: dict[str, set[str]] = {}
    for name, value in selection.labels:
        wanted.setdefault(name, set()).add(value)
    return all(target.labels.get(name) in values for name, values in wanted.items())


def all_targets(config: Config, binds: Iterable[Bind]) -> tuple[Target, ...]:
    """Every target of these binds.

    Raises ConfigError with every bad tenant of every bind.
    """
    targets: list[Target] = []
    problems: list[Problem] = []
    for bind in binds:
        try:
            targets.extend(targets_of(bind))
        except ConfigError as error:
            problems.extend(error.problems)
    problems.extend(_duplicates(config, targets) if not problems else ())
    if problems:
        raise ConfigError(problems)
    return tuple(targets)


def targets_of(bind: Bind) -> tuple[Target, ...]:
    """The targets of one bind. Raises ConfigError with every bad tenant."""
    if bind.tenancy is None:
        return tuple(Target(bind, server, labels=server.labels) for server in bind.servers.values())
    targets: list[Target] = []
    problems: list[Problem] = []
    seen: dict[tuple[str, str], TenantEntry] = {}
    for entry in tenants_of(bind):
        server, fault = _placement(bind, entry)
        name = bind.tenant_name.replace("{tenant}", entry.name)
        fault = fault or _bad_name(bind, entry.name, name)
        if fault is None and server is not None:
            twin = seen.setdefault((server.name, name), entry)
            if twin is not entry:
                fault = f"the tenant {entry.name!r} stands here twice (first at {twin.where})"
        if fault is not None or server is None:
            problems.append(
                Problem(
                    fault or "it has no server",
                    where=str(entry.where),
                    key=f"binds.{bind.name}.tenants",
                    todo="Correct the entry.",
                )
            )
            continue
        targets.append(_tenant_target(bind, server, entry, name))
    if problems:
        raise ConfigError(problems)
    return tuple(targets)


def _tenant_target(bind: Bind, server: Server, entry: TenantEntry, name: str) -> Target:
    return Target(
        bind,
        server,
        tenant=entry.name,
        schema=name if bind.tenancy == "schema" else None,
        database=name if bind.tenancy == "database" else None,
        labels={**server.labels, **entry.labels},
    )


def _placement(bind: Bind, entry: TenantEntry) -> tuple[Server | None, str | None]:
    names = ", ".join(bind.servers)
    if entry.server is not None:
        server = bind.servers.get(entry.server)
        if server is None:
            return None, (
                f"the tenant {entry.name!r} names the server {entry.server!r}, "
                f"which bind {bind.name} does not have ({names})"
            )
        return server, None
    if len(bind.servers) > 1:
        return None, f"the tenant {entry.name!r} names no server, and the bind has {names}"
    return next(iter(bind.servers.values())), None


def _bad_name(bind: Bind, tenant: str, name: str) -> str | None:
    """What is wrong with the schema or database name of a tenant; names are data, never SQL."""
    if not tenant.strip():
        return "a tenant's name is empty"
    kinds = {unicodedata.category(letter) for letter in name}
    if kinds & _REFUSED:
        return f"the name {name!r} holds a control character"
    if bind.family is None:
        return None
    limit = NAME_LIMIT[bind.family]
    size = len(name.encode()) if bind.family == "postgresql" else len(name)
    if size > limit:
        unit = "bytes" if bind.family == "postgresql" else "characters"
        return f"the name {name!r} has {size} {unit}, and {bind.family} takes {limit}"
    if bind.family == "mysql" and name.endswith(" "):
        return f"the name {name!r} ends with a space, which MySQL refuses"
    if bind.family == "mysql" and any(ord(letter) > 0xFFFF for letter in name):
        return f"the name {name!r} holds a character above U+FFFF, which MySQL refuses"
    if bind.family == "postgresql" and name.startswith("pg_") and bind.tenancy == "schema":
        return f"the name {name!r} starts with pg_, which PostgreSQL keeps for itself"
    if bind.tenancy is not None and name.lower() in SYSTEM_NAMES[bind.family, bind.tenancy]:
        return f"the {bind.tenancy} {name!r} belongs to the server itself"
    return None


def _duplicates(config: Config, targets: Sequence[Target]) -> list[Problem]:
    """Two targets in one place would run two histories over one version table."""
    seen: dict[tuple[str, str, str, str], Target] = {}
    problems = []
    for target in targets:
        url = target.server.migration_url
        if url is None:
            continue
        place = (
            server_identity(url),
            target.database or url.database or "",
            target.schema or "",
            target.bind.version_table,
        )
        twin = seen.setdefault(place, target)
        if twin is not target:
            problems.append(
                Problem(
                    f"{target.id} is the same place as {twin.id}: same server, database, schema "
                    "and version table",
                    where=str(target.bind.where),
                    key=f"binds.{target.bind.name}",
                    todo="Give one of them another place, or another `version_table`.",
                )
            )
    return problems
