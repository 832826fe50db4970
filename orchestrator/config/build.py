"""A validated file as the frozen types that travel on.

Enters: a `FileSection`, its `Document` and its `Connections`.  Leaves: a `Config`, whole even when
the document has problems, so that the rules can look at all of it before anything is raised.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from orchestrator.config.connections import Connections, servers_of
from orchestrator.config.document import Document, dotted
from orchestrator.config.flavour import Family
from orchestrator.config.model import (
    BindSection,
    FileSection,
    RolloutSection,
    TenantsSection,
)
from orchestrator.config.types import (
    Apps,
    Bind,
    Config,
    Deferred,
    Drift,
    Lint,
    Rollout,
    Server,
    SourceKind,
    TenantEntry,
    TenantQuery,
    TenantSource,
    Wave,
    Where,
)
from orchestrator.config.urls import family_of
from orchestrator.errors import Problem


def build(file: FileSection, document: Document, connections: Connections, root: Path) -> Config:
    """Turn a file into a Config; relative paths start at root."""
    migrations = _absolute(root, file.migrations)
    return Config(
        file=document.file,
        root=root,
        migrations=migrations,
        ledger=connections.ledger,
        binds={
            name: _Builder(name, section, document, connections, root).bind(migrations)
            for name, section in file.binds.items()
        },
        apps=Apps(
            packages=file.apps.packages,
            installed=file.apps.installed,
            modules=file.apps.modules,
            models=file.apps.models,
            where=document.where("apps") if "apps" in document.top else None,
        ),
        default_bind=file.default_bind,
        scratch=connections.scratch,
        rollout=build_rollout(file.rollout),
        drift=Drift(file.drift.ignore, file.drift.column_order),
        lint=Lint(
            file.lint.fail_on,
            file.lint.rules,
            {name: document.where("lint", "rules", name) for name in file.lint.rules},
        ),
        deferred=(*unset_variables(document), *connections.deferred),
    )


def family_of_bind(connections: Connections, name: str, section: BindSection) -> Family | None:
    """The family that a bind's URLs show, else the one that its flavour names."""
    for (bind, _), url in (*connections.urls.items(), *connections.direct_urls.items()):
        if bind == name:
            return family_of(url)
    return section.flavour.family if section.flavour else None


def _absolute(root: Path, written: str) -> Path:
    # normpath and not resolve: a project behind a symbolic link keeps the paths its user knows.
    return Path(os.path.normpath(root / Path(written).expanduser()))


def unset_variables(document: Document) -> list[Deferred]:
    """Unset variables, each at the bind or the section that it belongs to."""
    found = []
    for one in document.unset:
        names = " and ".join(one.names)
        plural = len(one.names) > 1
        problem = Problem(
            f"the environment variable{'s' if plural else ''} {names} "
            f"{'are' if plural else 'is'} not set",
            where=str(Where(document.file, one.line)),
            key=dotted(one.keys),
            todo=f"Set {'them' if plural else 'it'}, or give a default: ${{{one.names[0]}:-...}}.",
        )
        if one.keys[0] == "binds":
            found.append(Deferred(str(one.keys[1]), dotted(one.keys[2:]), problem))
        else:
            found.append(Deferred("", str(one.keys[0]), problem))
    return found


def build_rollout(section: RolloutSection) -> Rollout:
    """Turn a rollout section into what travels on."""
    return Rollout(
        concurrency=section.concurrency,
        max_failures=section.max_failures,
        verify=section.verify,
        checks=section.checks,
        check_timeout=section.check_timeout,
        waves=tuple(
            Wave(
                name=wave.name,
                select=wave.select,
                percent=wave.percent,
                count=wave.count,
                pause=wave.pause,
                soak=wave.soak,
                concurrency=wave.concurrency,
                max_failures=wave.max_failures,
                checks=wave.checks,
                check_timeout=wave.check_timeout,
            )
            for wave in section.waves
        ),
    )


class _Builder:
    """Builds one bind."""

    def __init__(
        self,
        name: str,
        section: BindSection,
        document: Document,
        connections: Connections,
        root: Path,
    ) -> None:
        self._name = name
        self._section = section
        self._document = document
        self._connections = connections
        self._root = root

    def bind(self, migrations: Path) -> Bind:
        section = self._section
        family = family_of_bind(self._connections, self._name, section)
        versions = section.versions or (str(migrations / "versions" / self._name),)
        source = self._source(section.tenants) if section.tenants else None
        asked = (source.value.bind,) if source and isinstance(source.value, TenantQuery) else ()
        return Bind(
            name=self._name,
            where=self._document.where("binds", self._name),
            servers=self._servers(),
            versions=tuple(_absolute(self._root, folder) for folder in versions),
            flavour=section.flavour,
            family=family or ("postgresql" if section.tenancy == "schema" else None),
            tenancy=section.tenancy,
            tenant_name=section.name or "{tenant}",
            create=section.create,
            apps=section.apps,
            depends_on=tuple(dict.fromkeys((*section.depends_on, *asked))),
            tenants=source,
            search_path=section.search_path,
            baseline=_absolute(self._root, section.baseline) if section.baseline else None,
            version_table=section.version_table,
            version_num_length=section.version_num_length,
            journal_table=section.journal_table,
            lock_wait=section.lock_wait,
            lock_timeout=section.lock_timeout,
            statement_timeout=section.statement_timeout,
            concurrent_timeout=section.concurrent_timeout,
            attempts=section.attempts,
            transaction=section.transaction,
        )

    def _servers(self) -> Mapping[str, Server]:
        return {
            name: Server(
                name=name,
                url=self._connections.urls.get((self._name, name)),
                where=self._document.where(*keys),
                direct_url=self._connections.direct_urls.get((self._name, name)),
                max_connections=section.max_connections,
                labels=section.labels,
            )
            for name, (keys, section) in servers_of(self._name, self._section).items()
        }

    def _source(self, section: TenantsSection) -> TenantSource | None:
        """The first source that is given; `bind_rules.py` complains about a second one."""
        if section.entries is not None:
            where = self._where("list")
            return TenantSource("list", where, entries=self._entries(section))
        if section.file is not None:
            path = _absolute(self._root, section.file)
            return TenantSource("file", self._where("file"), path=path)
        if section.query is not None:
            query = TenantQuery(section.query.bind, section.query.sql)
            return TenantSource("query", self._where("query"), value=query)
        others: tuple[tuple[SourceKind, object], ...] = (
            ("pattern", section.pattern),
            ("callable", section.callable),
            ("command", section.command),
        )
        for kind, value in others:
            if value is not None:
                return TenantSource(kind, self._where(kind), value=value)
        return None

    def _where(self, kind: str) -> Where:
        return self._document.where("binds", self._name, "tenants", kind)

    def _entries(self, section: TenantsSection) -> tuple[TenantEntry, ...]:
        keys = ("binds", self._name, "tenants", "list")
        return tuple(
            TenantEntry(
                name=entry.tenant,
                server=entry.server,
                labels=dict(entry.__pydantic_extra__ or {}),
                where=self._document.where(*keys, index),
            )
            for index, entry in enumerate(section.entries or ())
        )
