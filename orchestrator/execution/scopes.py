"""What of each target's schema counts when schemas are compared.

Enters: a project.  Leaves: a function from targets to Scopes, which asks the models only where the
answer needs them: for other binds that keep tables in the same place, and for the schemas of a
PostgreSQL bind whose targets have no schema of their own.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable

from orchestrator.checks.types import Scope
from orchestrator.config import Bind
from orchestrator.config.duplicates import Place, places_on
from orchestrator.errors import OrchestratorError
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import fleet_of
from orchestrator.fleet.types import Target
from orchestrator.revisions.options import hidden_tables

_Site = tuple[str, str, str]
"""Server, database and schema: a Place without its version table."""


def scope_of(project: Project, *, column_order: bool | None = None) -> Callable[[Target], Scope]:
    """What counts of each target; equal ones get one and the same Scope. Any thread may ask.

    column_order: instead of `drift.column_order` of databases.yaml. The function raises
    DiscoveryError (and what env.py raises) where models are needed and cannot be read.
    """
    return _Scopes(project, column_order).of


class _Scopes:
    """Works out each thing once."""

    def __init__(self, project: Project, column_order: bool | None) -> None:
        drift = project.config.drift
        self._project = project
        self._column_order = drift.column_order if column_order is None else column_order
        self._scopes: dict[tuple[str, frozenset[str]], Scope] = {}
        self._sites = _Sites(project)
        self._guard = threading.Lock()

    def of(self, target: Target) -> Scope:
        """What counts of one target."""
        with self._guard:
            neighbours = self._sites.neighbours(target)
            key = target.bind.name, neighbours
            known = self._scopes.get(key)
            if known is None:
                known = self._scopes[key] = self._scope(target.bind, neighbours)
            return known

    def _scope(self, bind: Bind, neighbours: Iterable[str]) -> Scope:
        hidden = hidden_tables(self._project.config)
        theirs = frozenset(
            key for name in neighbours for key in self._project.models.of(name).table_keys
        )
        if theirs:
            hidden |= theirs - self._project.models.of(bind.name).table_keys
        return Scope(
            hidden,
            self._project.config.drift.ignore,
            self._column_order,
            self._schemas(bind),
        )

    def _schemas(self, bind: Bind) -> tuple[str, ...]:
        """Those that its models name."""
        if bind.tenancy == "schema" or bind.family != "postgresql":
            return ()
        keys = self._project.models.of(bind.name).table_keys
        return tuple(sorted({key.rpartition(".")[0] for key in keys} - {""}))


class _Sites:
    """Which binds keep tables in the same database and schema as a target."""

    def __init__(self, project: Project) -> None:
        self._config = project.config
        self._of_server: dict[tuple[str, str], Callable[[str | None], Place]] = {}
        self._near: dict[tuple[str, str], tuple[Bind, ...]] = {}
        self._taken: dict[str, Callable[[_Site], bool]] = {}

    def neighbours(self, target: Target) -> frozenset[str]:
        """The names of the other binds that have a target in the same place."""
        name = target.bind.name, target.server.name
        near = self._near.get(name)
        if near is None:
            near = self._near[name] = self._reachable(target)
        if not near:
            return frozenset()
        site = self._site(target)
        return frozenset(bind.name for bind in near if site and self._takes(bind)(site))

    def _reachable(self, target: Target) -> tuple[Bind, ...]:
        """The other binds with a server that is this one, so that they could meet there."""
        site = self._site(target)
        found = []
        for bind in self._config.binds.values():
            if site is None or bind.name == target.bind.name:
                continue
            free = "database" in (bind.tenancy, target.bind.tenancy)
            for server in bind.servers.values():
                if server.migration_url is None:
                    continue
                place = places_on(bind, server.migration_url)(None)
                if place.server == site[0] and (free or place.database == site[1]):
                    found.append(bind)
                    break
        return tuple(found)

    def _site(self, target: Target) -> _Site | None:
        name, url = (target.bind.name, target.server.name), target.server.migration_url
        if url is None:
            return None
        if name not in self._of_server:
            self._of_server[name] = places_on(target.bind, url)
        return _site(self._of_server[name](target.tenant))

    def _takes(self, bind: Bind) -> Callable[[_Site], bool]:
        """Whether a bind has a target in a place."""
        if bind.name not in self._taken:
            self._taken[bind.name] = self._known(bind) or _could_take(bind)
        return self._taken[bind.name]

    def _known(self, bind: Bind) -> Callable[[_Site], bool] | None:
        """None when its tenants cannot be told now."""
        try:
            found = fleet_of(self._config, [bind])
        except OrchestratorError:
            return None
        if found.unknown:
            return None
        sites = {self._site(target) for target in found.targets}
        return lambda site: site in sites


def _site(place: Place) -> _Site:
    return place.server, place.database, place.schema


def _could_take(bind: Bind) -> Callable[[_Site], bool]:
    """Whether the name of a place could be that of a tenant of the bind."""
    parts = map(re.escape, bind.tenant_name.split("{tenant}"))
    name = re.compile(".+".join(parts), re.DOTALL)
    index = 1 if bind.tenancy == "database" else 2
    return lambda site: name.fullmatch(site[index]) is not None
