"""`orchestrator targets`: the fleet after selection."""

from __future__ import annotations

import click

from orchestrator.cli.options import as_json, opened, selects
from orchestrator.cli.output import print_json, say
from orchestrator.execution.project import Project
from orchestrator.fleet.engines import target_url
from orchestrator.fleet.targets import Selection, find_targets
from orchestrator.fleet.types import Target, UnknownTenants


@click.command("targets", epilog="Example: orchestrator targets --bind shop --select tier=internal")
@selects
@as_json
@opened
def command(project: Project, selection: Selection, allow_empty: bool, as_json: bool) -> None:
    """List the targets that a selection names, the whole fleet by default.

    No database is touched but those that tenants' names are read from.
    """
    fleet = find_targets(project.config, selection, allow_empty=allow_empty)
    targets = fleet.targets
    if as_json:
        print_json([*map(describe, targets), *map(describe_unknown, fleet.unknown)])
        return
    width = max((len(target.id) for target in targets), default=0)
    for target in targets:
        labels = " ".join(f"{name}={value}" for name, value in sorted(target.labels.items()))
        say(f"{target.id:<{width}}  {_place(target)}  {labels}".rstrip())
    for one in fleet.unknown:
        say(waiting(one))


def describe(target: Target) -> dict[str, object]:
    """A target for machines; never its password."""
    return {
        "target": target.id,
        "bind": target.bind.name,
        "server": target.server.name,
        "tenant": target.tenant,
        "schema": target.schema,
        "database": target.database
        or (target.server.url.database if target.server.url is not None else None),
        "labels": dict(target.labels),
    }


def describe_unknown(one: UnknownTenants) -> dict[str, object]:
    """Tenants that cannot be told now, for machines: as a target without a tenant, and why."""
    return {
        "target": _named(one),
        "bind": one.bind.name,
        "server": one.server,
        "tenant": None,
        "schema": None,
        "database": None,
        "labels": {},
        "after": list(one.after),
        "detail": one.words,
    }


def waiting(one: UnknownTenants) -> str:
    """The same for people: "shop: after main; tenants not known until main is applied: ..."."""
    after = f"after {', '.join(one.after)}; " if one.after else ""
    return f"{_named(one)}: {after}{one.words}"


def _named(one: UnknownTenants) -> str:
    return f"{one.bind.name}@{one.server}" if one.server else one.bind.name


def _place(target: Target) -> str:
    if target.server.migration_url is None:
        return "(URL not set)"
    url = target_url(target)
    shown = f"{url.get_backend_name()}://{url.host or 'localhost'}"
    shown += f":{url.port}" if url.port else ""
    shown += f"/{url.database or ''}"
    return f"{shown} schema {target.schema}" if target.schema else shown
