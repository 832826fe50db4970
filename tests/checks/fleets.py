"""Targets for tests of checks, without a project around them.

Enters: the URL of a database. Leaves: targets in it, and their shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import URL

from orchestrator.checks.fingerprint import read_fingerprints
from orchestrator.checks.types import Fingerprints, Item, Scope, Shape
from orchestrator.config import Bind, Server, Where
from orchestrator.fleet.types import Target

_WHERE = Where(Path("databases.yaml"), 1)


def bind_at(
    url: URL, search_path: tuple[str, ...] = (), *, name: str = "shop", connections: int = 8
) -> Bind:
    """A bind with one server."""
    server = Server("only", url, _WHERE, max_connections=connections)
    return Bind(name, _WHERE, {"only": server}, (Path("versions"),), search_path=search_path)


def in_schemas(url: URL, names: Sequence[str], bind: Bind | None = None) -> list[Target]:
    """A target for each schema."""
    bind = bind or bind_at(url)
    return [
        Target(bind, bind.servers["only"], tenant=f"n{number}", schema=name)
        for number, name in enumerate(names)
    ]


def in_databases(url: URL, names: Sequence[str], bind: Bind | None = None) -> list[Target]:
    """A target for each database on a server."""
    bind = bind or bind_at(url)
    return [
        Target(bind, bind.servers["only"], tenant=f"n{number}", database=name)
        for number, name in enumerate(names)
    ]


def whole(url: URL, search_path: tuple[str, ...] = ()) -> Target:
    """The target of a bind without tenancy."""
    bind = bind_at(url, search_path)
    return Target(bind, bind.servers["only"])


def read(targets: Sequence[Target], scope: Scope | None = None) -> Fingerprints:
    """Their fingerprints, under one scope."""
    one = scope or Scope()
    return read_fingerprints(targets, lambda _target: one)


def shapes(targets: Sequence[Target], scope: Scope | None = None) -> list[Shape]:
    """The shape of each; all can be read."""
    found = read(targets, scope)
    assert found.problems == {}
    return [found.shapes[digest] for digest in found.digests]


def apart(first: Shape, second: Shape) -> set[tuple[str, str, str]]:
    """The items in which two shapes differ, by kind, table and name."""
    return {(one.kind, one.table, one.name) for one in {*first.items} ^ {*second.items}}


def item(shape: Shape, kind: str, name: str, table: str = "") -> Item:
    """The one item with this kind, table and name."""
    (found,) = (
        one for one in shape.items if (one.kind, one.table, one.name) == (kind, table, name)
    )
    return found


def facts(shape: Shape, kind: str, name: str, table: str = "") -> dict[str, str]:
    """The facts of that item."""
    return dict(item(shape, kind, name, table).facts)
