"""A selection as plan files keep it: plain values, and back.  No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from orchestrator.fleet.targets import Selection


def selection_data(selection: Selection) -> dict[str, Any]:
    """A selection as a plan file keeps it."""
    among = selection.among
    return asdict(selection) | {
        "among": None if among is None else sorted(among, key=lambda one: [*map(str, one)])
    }


def selection_of(data: Mapping[str, Any]) -> Selection:
    """The reverse of selection_data."""
    return Selection(
        bool(data.get("everything")),
        tuple(data.get("binds", ())),
        tuple(data.get("tenants", ())),
        tuple(data.get("servers", ())),
        tuple((name, value) for name, value in data.get("labels", ())),
        data.get("limit"),
        None if data.get("among") is None else frozenset(map(_place, data["among"])),
    )


def _place(written: Sequence[Any]) -> tuple[str, str, str | None]:
    bind, server, tenant = written
    return str(bind), str(server), None if tenant is None else str(tenant)
