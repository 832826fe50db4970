"""Rules about one bind, for what a single key cannot tell.

Enters: a `Subject`: one bind, as built and as written.  Leaves: problems.  A key that is unset or
was refused counts as given (`Table.given`), so that nothing is complained about twice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.config.document import Document, Table
from orchestrator.config.flavour import Family
from orchestrator.config.mistake import meant, shown
from orchestrator.config.types import Bind, Server, SourceKind, TenantEntry
from orchestrator.config.urls import family_of
from orchestrator.errors import Problem

URL_KEYS = ("url", "url_file", "servers")
SOURCES: tuple[SourceKind, ...] = ("list", "file", "query", "pattern", "callable", "command")
_SERVER_KEYS = ("direct_url", "max_connections", "labels")
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")


@dataclass(frozen=True, slots=True)
class Subject:
    """A bind under examination."""

    bind: Bind
    document: Document

    @property
    def written(self) -> Table:
        """The bind as the file has it."""
        return self.document.table("binds", self.bind.name)

    def given(self, *keys: str) -> list[str]:
        """Those of the bind's keys that the file gives."""
        return [key for key in keys if self.written.given(key)]

    def problem(self, keys: Sequence[str | int], what: str, todo: str = "") -> Problem:
        """A problem of a key inside the bind."""
        return self.document.problem(("binds", self.bind.name, *keys), what, todo)


def problems_of(bind: Bind, document: Document) -> Iterator[Problem]:
    """Everything that is wrong with one bind by itself."""
    subject = Subject(bind, document)
    for rule in _RULES:
        yield from rule(subject)


def _one_way_to_connect(subject: Subject) -> Iterator[Problem]:
    given = subject.given(*URL_KEYS)
    if not given:
        yield subject.problem(
            (), "the bind has no server", "Give it one of url, url_file and servers."
        )
    if len(given) > 1:
        yield subject.problem(
            (given[1],), f"{' and '.join(given)} exclude each other", "Keep one of them."
        )
    if "servers" not in given:
        return
    for key in subject.given(*_SERVER_KEYS):
        yield subject.problem(
            (key,),
            f"with servers, {key} belongs to each of them",
            f"Move it under servers, as servers.<name>.{key}.",
        )
    servers = subject.document.at(("binds", subject.bind.name, "servers"))
    if isinstance(servers, Table):
        yield from _servers(subject, servers)


def _servers(subject: Subject, servers: Table) -> Iterator[Problem]:
    if not servers.lines:
        yield subject.problem(
            ("servers",), "no server is listed", "Write at least one: name: {url: ...}."
        )
    if len(servers.lines) > 1 and not subject.written.given("tenancy"):
        yield subject.problem(
            ("servers",),
            f"a bind without tenancy has one database, and here are {len(servers.lines)} servers",
            "Keep one server, declare a bind for each, or set tenancy.",
        )
    for name, table in servers.items():
        if not isinstance(table, Table):
            continue
        given = [key for key in ("url", "url_file") if table.given(key)]
        if not given:
            yield subject.problem(
                ("servers", name), "the server has no URL", "Give it a url or a url_file."
            )
        if len(given) > 1:
            yield subject.problem(
                ("servers", name, "url_file"),
                "url and url_file exclude each other",
                "Keep one of them.",
            )


def _flavour(subject: Subject) -> Iterator[Problem]:
    flavour = subject.bind.flavour
    families: dict[Family, tuple[Server, str]] = {}
    for server in subject.bind.servers.values():
        for key, url in (("url", server.url), ("direct_url", server.direct_url)):
            if url is None:
                continue
            dialect = url.get_backend_name()
            families.setdefault(family_of(url), (server, key))
            fits = flavour is None or (
                flavour.family == family_of(url)
                # SQLAlchemy's mariadb dialect refuses a MySQL server; mysql takes both.
                and not (dialect == "mariadb" and flavour.name == "mysql")
            )
            if not fits:
                yield subject.problem(
                    ("flavour",),
                    f"the flavour {flavour} does not fit the {dialect} URL of "
                    f"{_server_words(server, subject)}",
                    "Correct the flavour, or the URL.",
                )
    if len(families) > 1:
        server, key = list(families.values())[1]
        yield subject.problem(
            _server_keys(server, subject, key),
            "the URLs of one bind mix PostgreSQL and MySQL",
            "Declare a bind for each.",
        )


def _server_words(server: Server, subject: Subject) -> str:
    return f"server {server.name}" if subject.written.given("servers") else "this bind"


def _server_keys(server: Server, subject: Subject, key: str) -> tuple[str, ...]:
    """The keys of a server's URL inside the bind; key: url or direct_url."""
    before = ("servers", server.name) if subject.written.given("servers") else ()
    table = subject.document.table("binds", subject.bind.name, *before)
    return (*before, "url_file" if key == "url" and table.given("url_file") else key)


def _postgresql_only(subject: Subject) -> Iterator[Problem]:
    bind = subject.bind
    mysql = any(server.url and family_of(server.url) == "mysql" for server in bind.servers.values())
    if not mysql and not (bind.flavour and bind.flavour.family == "mysql"):
        return
    if bind.tenancy == "schema":
        yield subject.problem(
            ("tenancy",),
            "MySQL and MariaDB have no schemas inside a database",
            "Write tenancy: database.",
        )
    if bind.search_path:
        yield subject.problem(
            ("search_path",), "MySQL and MariaDB have no search_path", "Remove the key."
        )


def _database(subject: Subject) -> Iterator[Problem]:
    if subject.written.given("tenancy"):
        return
    for server in subject.bind.servers.values():
        if server.url and family_of(server.url) == "mysql" and not server.url.database:
            yield subject.problem(
                _server_keys(server, subject, "url"),
                "the URL names no database",
                "Add it after the host: mysql://host/database.",
            )


def _tenancy(subject: Subject) -> Iterator[Problem]:
    given = subject.given("tenancy", "tenants", "name")
    if "tenancy" in given and "tenants" not in given:
        yield subject.problem(
            ("tenancy",), "there are no tenants", "Add tenants: with one source, such as list."
        )
    if "tenancy" not in given and "tenants" in given:
        yield subject.problem(
            ("tenants",), "there is no tenancy", "Add tenancy: schema, or tenancy: database."
        )
    if "tenancy" not in given and "name" in given:
        yield subject.problem(
            ("name",),
            "only tenants' schemas and databases are named so, and there is no tenancy",
            "Remove the key, or add tenancy and tenants.",
        )
    template = subject.bind.tenant_name
    if "{tenant}" not in template:
        yield subject.problem(
            ("name",),
            f"{shown(template)} gives every tenant the same name",
            "Put {tenant} into it.",
        )
    others = [brace for brace in _BRACES.findall(template) if brace != "{tenant}"]
    if others:
        yield subject.problem(
            ("name",), f"{shown(others[0])} means nothing here", "Use no braces but {tenant}."
        )


def _sources(subject: Subject) -> Iterator[Problem]:
    table = subject.document.at(("binds", subject.bind.name, "tenants"))
    if not isinstance(table, Table):
        return
    given = [kind for kind in SOURCES if table.given(kind)]
    if not given:
        yield subject.problem(("tenants",), "no source is given", f"Use one of: {_or(SOURCES)}.")
    if len(given) > 1:
        yield subject.problem(
            ("tenants", given[1]),
            f"{' and '.join(given)} exclude each other",
            "Keep one source of tenants.",
        )


def _or(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + " or " + words[-1]


def _entries(subject: Subject) -> Iterator[Problem]:
    bind = subject.bind
    servers = subject.document.table("binds", bind.name, "servers").lines or bind.servers
    seen: dict[str, list[TenantEntry]] = {}
    for index, entry in enumerate(bind.tenants.entries if bind.tenants else ()):
        keys = ("tenants", "list", index)
        twin = next((one for one in seen.get(entry.name, ()) if _overlap(one, entry)), None)
        if twin is not None:
            yield subject.problem(
                keys,
                f"the tenant {shown(entry.name)} stands here twice, first in line "
                f"{twin.where.line}",
                "Remove one.",
            )
        seen.setdefault(entry.name, []).append(entry)
        if entry.server is not None and entry.server not in servers:
            yield subject.problem(
                (*keys, "server"),
                f"the bind has no server {shown(entry.server)}",
                meant(entry.server, servers),
            )


def _overlap(one: TenantEntry, other: TenantEntry) -> bool:
    """Whether two entries of one tenant mean one target; on two servers they are two."""
    return one.server is None or other.server is None or one.server == other.server


def _tables(subject: Subject) -> Iterator[Problem]:
    if subject.bind.version_table == subject.bind.journal_table:
        key = subject.given("journal_table", "version_table")[0]
        yield subject.problem(
            (key,), "version_table and journal_table are the same table", "Give them two names."
        )


def _files(subject: Subject) -> Iterator[Problem]:
    baseline = subject.bind.baseline
    if baseline is not None and not baseline.is_file():
        yield subject.problem(
            ("baseline",),
            f"there is no file {shown(os.path.relpath(baseline, subject.document.file.parent))}",
            "Correct the path (relative to the project's folder), or write the file.",
        )
    if subject.document.at(("binds", subject.bind.name, "versions")) == []:
        yield subject.problem(
            ("versions",), "no folder is listed", "Name one, or remove the key for the default."
        )


_RULES: tuple[Callable[[Subject], Iterator[Problem]], ...] = (
    _one_way_to_connect,
    _flavour,
    _postgresql_only,
    _database,
    _tenancy,
    _sources,
    _entries,
    _tables,
    _files,
)
