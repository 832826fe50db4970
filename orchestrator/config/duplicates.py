"""Targets that are one and the same place.

Enters: places, each with the server, database, schema and version table of a target.  Leaves: a
problem for every place that was there before.  Two histories over one version table destroy each
other, so this is an error and never a warning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.engine import URL

from orchestrator.config.types import Bind
from orchestrator.config.urls import database_name, family_of, server_identity
from orchestrator.errors import Problem


@dataclass(frozen=True, slots=True)
class Place:
    """Where a target keeps its version table, comparable between URLs that are written differently.

    schema: "public" for PostgreSQL's default, empty on MySQL.
    """

    server: str
    database: str
    schema: str
    version_table: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A target that says: this place is mine. label: how people name it; where and key: its line
    in databases.yaml or in a tenant file."""

    label: str
    where: str
    key: str
    place: Place


def place_of(bind: Bind, url: URL, tenant: str | None = None) -> Place:
    """The place of a bind's target on the server of this URL; tenant is None without tenancy."""
    name = None if tenant is None else bind.tenant_name.replace("{tenant}", tenant)
    database = name if name is not None and bind.tenancy == "database" else database_name(url)
    schema = ""
    if family_of(url) == "postgresql":
        # A URL's own `options` may set the search_path, which moves the version table with it.
        options = url.query.get("options", "")
        first = (name,) if name is not None and bind.tenancy == "schema" else bind.search_path
        schema = (first[0] if first else None) or str(options or "public")
    return Place(server_identity(url), database, schema, bind.version_table)


def duplicates(claims: Iterable[Claim]) -> list[Problem]:
    """A problem for every claim on a place that an earlier one has."""
    owners: dict[Place, Claim] = {}
    problems = []
    for claim in claims:
        owner = owners.setdefault(claim.place, claim)
        if owner is not claim:
            problems.append(
                Problem(
                    f"{claim.label} is the same place as {owner.label} ({owner.where}): same "
                    "server, database, schema and version table",
                    where=claim.where,
                    key=claim.key,
                    todo="Give one of them another place, or a `version_table` of its own.",
                )
            )
    return problems
