"""A cohort's path cut into scripts: what can be written ahead of time, around what cannot.

Enters: a path's steps.  Leaves: Parts: scripts, and the steps between them that orchestrator must
run itself.  No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from orchestrator.config import Bind, Flavour
from orchestrator.planning.bundle import mysql, postgresql
from orchestrator.planning.bundle.types import Script, ScriptStep, joined
from orchestrator.planning.plan import PlanStep
from orchestrator.planning.statements import states_along

_LONGEST = 80
"""Characters of revisions in a file's name."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A step that no script can take. before: where targets stand when its turn comes. why: a
    sentence for each reason; where: file:line."""

    revision: str
    message: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """Scripts in their order, and the cuts between them."""

    scripts: tuple[Script, ...] = ()
    cuts: tuple[Cut, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """A path that is to be cut. root: the project's folder. folder: where its scripts stand in the
    bundle. way: the direction of its steps."""

    bind: Bind
    flavour: Flavour
    state: tuple[str, ...]
    steps: tuple[PlanStep, ...]
    way: Literal["up", "down"]
    folder: str
    digest: str
    root: Path


def parts_of(way: Way) -> Parts:
    """The scripts of a path, and what lies between them."""
    states = states_along(way.state, [one.step.changes for one in way.steps])
    scripts: list[Script] = []
    cuts: list[Cut] = []
    run: list[ScriptStep] = []
    for one, before, after in zip(way.steps, states[:-1], states[1:], strict=True):
        step = ScriptStep(one.step, one.recording.segments, before, after, _file(one, way.root))
        why = _why_not(one, step, way)
        if not why:
            run.append(step)
            continue
        if run:
            scripts.append(_script(way, run))
        run = []
        cuts.append(Cut(one.step.revision, one.step.message, before, after, why))
    if run:
        scripts.append(_script(way, run))
    return Parts(tuple(scripts), tuple(cuts))


def _why_not(one: PlanStep, step: ScriptStep, way: Way) -> tuple[str, ...]:
    if one.live:
        return tuple(
            f"{_relative(reason.where, way.root)}: {reason.detail} ({reason.name})"
            for reason in one.recording.live
        )
    dialect = postgresql if way.flavour.family == "postgresql" else mysql
    words = dialect.unscriptable(step)
    return (f"{step.file}: {words}",) if words else ()


def _script(way: Way, steps: Sequence[ScriptStep]) -> Script:
    ends = (steps[0].before, steps[-1].after)
    # A pair of scripts has one name: from where the way up begins to where it ends.
    low, high = ends if way.way == "up" else ends[::-1]
    name = f"{_token(low)}-{_token(high)}.{way.way}.sql"
    path = f"{way.folder}/{name}"
    return Script(path, way.way, way.bind, way.flavour, tuple(steps), way.digest)


def _token(rows: tuple[str, ...]) -> str:
    text = "+".join(quote(one, safe="") for one in rows) or "base"
    return text if len(text) <= _LONGEST else sha256(joined(rows).encode()).hexdigest()[:16]


def _file(one: PlanStep, root: Path) -> str:
    return _relative(str(one.step.file), root)


def _relative(where: str, root: Path) -> str:
    return where.removeprefix(f"{root}/")


def text_of(script: Script) -> bytes:
    """What stands in its file."""
    if script.flavour.family == "postgresql":
        text = postgresql.postgresql_script(script)
    else:
        text = mysql.mysql_script(script)
    return text.encode("utf-8", "surrogateescape")
