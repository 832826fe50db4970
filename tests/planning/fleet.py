"""Binds, histories and targets for planning: revision files on disk, no server.

Enters: revisions by name. Leaves: what `group` and `resume` take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import make_url

from orchestrator.config import Bind, Flavour, Server, Where
from orchestrator.fleet.state import FleetState
from orchestrator.fleet.types import State, Target
from orchestrator.planning.paths import Goal, Verb
from orchestrator.revisions.history import History
from orchestrator.revisions.recordings import Compiled
from orchestrator.revisions.types import LiveReason, Recording, Segment, Step
from orchestrator.safety.journal import Kind, header, row

PG16 = Flavour("postgresql", (16, 3))
HERE = Where(Path("databases.yaml"), 1)


def server(name: str = "one", url: str = "postgresql+psycopg2://u@localhost/x") -> Server:
    return Server(name, make_url(url), HERE)


def bind(name: str, root: Path, servers: Sequence[Server] = (), **options: object) -> Bind:
    found = servers or (server(),)
    return Bind(
        name,
        HERE,
        {one.name: one for one in found},
        (root / "versions" / name,),
        tenancy="schema",
        family="postgresql",
        **options,  # type: ignore[arg-type]
    )


def history(bind: Bind, revisions: Mapping[str, str | tuple[str, ...] | None]) -> History:
    """A bind's history. revisions: each with what it comes after."""
    (folder,) = bind.versions
    folder.mkdir(parents=True)
    for name, after in revisions.items():
        (folder / f"{name}.py").write_text(
            f'"""message of {name}"""\n\nrevision = {name!r}\ndown_revision = {after!r}\n'
            "\n\ndef upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n"
        )
    return History(bind, ScriptDirectory(str(folder.parent), version_locations=[str(folder)]))


def tenants(bind: Bind, names: Sequence[str], on: str = "one") -> list[Target]:
    return [Target(bind, bind.servers[on], name, f"t_{name}") for name in names]


def states(
    targets: Sequence[Target],
    revisions: Sequence[str | None],
    flavours: Mapping[tuple[str, str], Flavour] | None = None,
) -> FleetState:
    """Targets at these revisions (None: base)."""
    found = tuple(State("known", (one,) if one else ()) for one in revisions)
    told = flavours or {(one.bind.name, one.server.name): PG16 for one in targets}
    return FleetState(found, told)


def goal(*binds: str, verb: Verb = "upgrade", to: str = "head") -> Goal:
    return Goal(verb, dict.fromkeys(binds, to))


def compiled(
    steps: Sequence[Step], live: Sequence[str] = (), text: str = "CREATE TABLE {} (i int)"
) -> tuple[Compiled, ...]:
    """Recordings of steps: one statement each, named by the revision; some live."""
    return tuple(
        Compiled(
            Recording(
                step.revision,
                step.direction,
                live=(LiveReason("reads-result", f"{step.file}:7", "it reads rows"),),
            )
            if step.revision in live
            else Recording(
                step.revision, step.direction, (Segment((text.format(step.revision),)),)
            ),
            f"digest of {step.revision}",
        )
        for step in steps
    )


def half_way(
    state: State,
    revision: str,
    *,
    direction: str = "upgrade",
    begun: int = 2,
    kind: Kind = "ddl",
    planned: Sequence[str] = ("a", "b", "c"),
) -> State:
    """The same target, stopped inside a step whose statement `begun` was the last to begin."""
    top = header(revision, direction, "source", planned, "orchestrator r1 7 web-1", live=False)
    entries = [top, row(top, begun, kind, planned[begun - 1], {})] if begun else [top]
    journal = tuple(
        (
            one.revision,
            one.direction,
            one.number,
            one.kind,
            one.statement,
            one.digest,
            "{}",
            one.owner,
            "2026-11-22 03:00:00",
        )
        for one in entries
    )
    return replace(state, journal=journal)
