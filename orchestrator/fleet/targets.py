"""The fleet: every target of every bind, and which of them a command is about.

Enters: Config and a Selection.  Leaves: targets, in order of binds as declared, and what cannot be
told of them now.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate

from orchestrator.config import Bind, Config, Server, TenantEntry
from orchestrator.config.duplicates import Claim, Place, duplicates, places_on
from orchestrator.errors import ConfigError, DatabaseError, EmptySelection, Problem, UsageError
from orchestrator.fleet.names import fault_of, name_of
from orchestrator.fleet.tenants import tenants_of
from orchestrator.fleet.types import Target, UnknownTenants


@dataclass(frozen=True, slots=True)
class Found:
    """The targets of some binds. unknown: tenants that cannot be told now."""

    targets: tuple[Target, ...] = ()
    unknown: tuple[UnknownTenants, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """What --all, --bind, --tenant, --server, --select, --limit and --failed say.

    Different options narrow, values of the same option widen. tenants are shell globs on the
    tenant's name. labels: (name, value) pairs; pairs of one name widen. among: the only targets
    that come into question, by bind, server and tenant; None when all do.
    """

    everything: bool = False
    binds: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    limit: int | None = None
    among: frozenset[tuple[str, str, str | None]] | None = None

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
            or self.among is not None
        )


def selected_binds(config: Config, selection: Selection) -> tuple[Bind, ...]:
    """The binds that a selection can touch, as declared.

    Raises UsageError for a bind that does not exist.
    """
    unknown = [name for name in selection.binds if name not in config.binds]
    if unknown:
        raise UsageError([unknown_bind(config, name) for name in unknown])
    wanted = set(selection.binds or config.binds)
    if selection.among is not None:
        wanted &= {bind for bind, _server, _tenant in selection.among}
    return tuple(bind for name, bind in config.binds.items() if name in wanted)


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


def find_targets(config: Config, selection: Selection, *, allow_empty: bool = False) -> Found:
    """The targets that a selection names, as far as they can be known now.

    Raises UsageError for unknown binds and servers, ConfigError for bad tenants and sources, and
    EmptySelection when nothing matches and nothing is unknown (unless allow_empty).
    """
    binds = selected_binds(config, selection)
    _known_servers(config, selection)
    if selection.servers:
        binds = tuple(
            bind for bind in binds if not bind.servers.keys().isdisjoint(selection.servers)
        )
    found = fleet_of(config, binds, selection.servers or None)
    targets = narrow(found.targets, selection)
    if selection.limit is not None:
        targets = targets[: selection.limit]
    if not targets and not found.unknown and not allow_empty:
        raise nothing_selected()
    return Found(targets, found.unknown)


def select_targets(
    config: Config, selection: Selection, *, allow_empty: bool = False
) -> tuple[Target, ...]:
    """The targets that a selection names, all of them.

    Raises what `find_targets` raises, and DatabaseError when tenants cannot be told now.
    """
    found = find_targets(config, selection, allow_empty=allow_empty)
    if found.unknown:
        raise DatabaseError([one.problem for one in found.unknown])
    return found.targets


def nothing_selected() -> EmptySelection:
    """The error of a selection that names no target."""
    return EmptySelection(
        Problem(
            "the selection names no target",
            todo="See `orchestrator targets` for the fleet, or pass --allow-empty.",
        )
    )


def _known_servers(config: Config, selection: Selection) -> None:
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


def narrow(targets: Sequence[Target], selection: Selection) -> tuple[Target, ...]:
    """Those of these targets that --tenant, --server, --select and --failed name."""
    tests: list[Callable[[Target], bool]] = []
    if selection.servers:
        servers = frozenset(selection.servers)
        tests.append(lambda target: target.server.name in servers)
    if selection.tenants:
        # As fnmatchcase does it, with the globs read once.
        glob = re.compile("|".join(translate(one) for one in selection.tenants)).match
        tests.append(lambda target: target.tenant is not None and glob(target.tenant) is not None)
    among = selection.among
    if among is not None:
        tests.append(lambda one: (one.bind.name, one.server.name, one.tenant) in among)
    wanted: dict[str, set[str]] = {}
    for name, value in selection.labels:
        wanted.setdefault(name, set()).add(value)
    if wanted:
        tests.append(
            lambda target: all(target.labels.get(name) in values for name, values in wanted.items())
        )
    if not tests:
        return tuple(targets)
    return tuple(target for target in targets if all(test(target) for test in tests))


def all_targets(config: Config, binds: Iterable[Bind]) -> tuple[Target, ...]:
    """Every target of these binds.

    Raises ConfigError with every bad tenant of every bind, and DatabaseError when tenants cannot be
    told now.
    """
    found = fleet_of(config, binds)
    if found.unknown:
        raise DatabaseError([one.problem for one in found.unknown])
    return found.targets


def target_named(config: Config, name: str) -> Target:
    """The target with this id, such as "main", "shop/acme" or "shop/acme@eu1".

    Raises UsageError when there is none, and what `all_targets` raises for its bind.
    """
    bind = config.binds.get(re.split("[/@]", name)[0])
    if bind is not None:
        for target in all_targets(config, [bind]):
            if target.id == name:
                return target
    raise UsageError(
        Problem(f"there is no target {name!r}", todo="See `orchestrator targets` for their names.")
    )


def fleet_of(
    config: Config, binds: Iterable[Bind], servers: Collection[str] | None = None
) -> Found:
    """The targets of these binds, as far as they can be known now.

    servers: the only ones that matter (None: all). Raises ConfigError with every bad tenant of
    every bind.
    """
    targets: list[Target] = []
    problems: list[Problem] = []
    unknown: list[UnknownTenants] = []
    for bind in binds:
        if bind.tenancy is None:
            targets.extend(
                Target(bind, server, labels=server.labels) for server in bind.servers.values()
            )
            continue
        tenants = tenants_of(config, bind, servers)
        placed, misplaced = _placed(bind, tenants.entries)
        targets.extend(placed)
        problems.extend((*tenants.problems, *misplaced))
        unknown.extend(tenants.unknown)
    problems.extend(shared_places(targets) if not problems else ())
    if problems:
        raise ConfigError(problems)
    return Found(tuple(targets), tuple(unknown))


def _placed(bind: Bind, entries: Iterable[TenantEntry]) -> tuple[list[Target], list[Problem]]:
    """The targets of a bind's tenants, and a problem for each tenant that can have none."""
    targets: list[Target] = []
    problems: list[Problem] = []
    seen: dict[tuple[str, str], TenantEntry] = {}
    schemas = bind.tenancy == "schema"
    for entry in entries:
        server, fault = _placement(bind, entry)
        name = name_of(bind, entry.name)
        fault = fault or fault_of(bind, entry.name, name)
        if fault is None and server is not None:
            twin = seen.setdefault((server.name, name), entry)
            if twin is entry:
                labels = {**server.labels, **entry.labels} if entry.labels else server.labels
                schema, database = (name, None) if schemas else (None, name)
                targets.append(Target(bind, server, entry.name, schema, database, labels))
                continue
            fault = f"the tenant {entry.name!r} stands here twice (first at {twin.where})"
        problems.append(
            Problem(
                fault or "it has no server",
                where=str(entry.where),
                key=f"binds.{bind.name}.tenants",
                todo="Correct the entry.",
            )
        )
    return targets, problems


def _placement(bind: Bind, entry: TenantEntry) -> tuple[Server | None, str | None]:
    if entry.server is not None:
        server = bind.servers.get(entry.server)
        if server is None:
            return None, (
                f"the tenant {entry.name!r} names the server {entry.server!r}, "
                f"which bind {bind.name} does not have ({', '.join(bind.servers)})"
            )
        return server, None
    if len(bind.servers) > 1:
        return None, (
            f"the tenant {entry.name!r} names no server, and the bind has {', '.join(bind.servers)}"
        )
    return next(iter(bind.servers.values())), None


def shared_places(targets: Sequence[Target]) -> list[Problem]:
    """A problem for every target in the place of another: two histories over one version table."""
    on: dict[tuple[str, str], Callable[[str | None], Place]] = {}
    for target in targets:
        name, url = (target.bind.name, target.server.name), target.server.migration_url
        if name not in on and url is not None:
            on[name] = places_on(target.bind, url)
    # Tenants of one bind on one server have different names (`_placed`): only where two binds or
    # two URLs meet on a server, with one version table, can there be two in one place.
    meeting = Counter(
        (place.server, place.version_table) for place in (of(None) for of in on.values())
    )
    if all(count == 1 for count in meeting.values()):
        return []
    placed = [
        (target, on[name](target.tenant))
        for target in targets
        if (name := (target.bind.name, target.server.name)) in on
    ]
    counts = Counter(place for _, place in placed)
    return duplicates(
        Claim(target.id, str(target.bind.where), f"binds.{target.bind.name}", place)
        for target, place in placed
        if counts[place] > 1
    )
