"""Targets that are one and the same place.

Enters: places, each with the server, database, schema and version table of a target.  Leaves: a
problem for every place that was there before.  Two histories over one version table destroy each
other, so this is an error and never a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    return places_on(bind, url)(tenant)


def places_on(bind: Bind, url: URL) -> Callable[[str | None], Place]:
    """`place_of` for one server after another tenant: what the URL says is worked out once."""
    server, own_database = server_identity(url), database_name(url)
    postgresql = family_of(url) == "postgresql"
    # A URL's own `options` may set the search_path, which moves the version table with it.
    default = str(url.query.get("options", "") or "public") if postgresql else ""

    def place(tenant: str | None) -> Place:
        name = None if tenant is None else bind.tenant_name.replace("{tenant}", tenant)
        database = name if name is not None and bind.tenancy == "database" else own_database
        schema = default
        if postgresql:
            first = (name,) if name is not None and bind.tenancy == "schema" else bind.search_path
            schema = (first[0] if first else None) or default
        return Place(server, database, schema, bind.version_table)

    return place


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
