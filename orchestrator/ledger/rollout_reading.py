"""Rows of rollouts as they are read: from the tables of the ledger to what others know of them.

Enters: a connection, and names or ids.  Leaves: the parts of RolloutViews.  Raises SQLAlchemyError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from sqlalchemy import Select, func, select
from sqlalchemy.engine import Connection, Row

from orchestrator.errors import Problem, UsageError
from orchestrator.ledger import tables
from orchestrator.ledger.rollout_types import OVER, RolloutRow, WaveCount, WaveRow

_LONG = ("plan", "shapes")


def rows_query(*, plan: bool) -> Select[Any]:
    """Asks for rollouts. plan: with the texts of their plans, and of their shapes."""
    columns = [one for one in tables.rollouts.columns if plan or one.name not in _LONG]
    return select(*columns)


def rollout_of(found: Row[Any]) -> RolloutRow:
    """A row that `rows_query` asked for."""
    return RolloutRow(**{**dict.fromkeys(_LONG, ""), **found._mapping})


def waves_of(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[WaveRow, ...]]:
    """The waves of these rollouts, in order."""
    own = tables.rollout_waves.c
    query = select(tables.rollout_waves).where(own.rollout.in_(ids))
    found: dict[str, tuple[WaveRow, ...]] = {}
    for row in connection.execute(query.order_by(own.rollout, own.number)).mappings():
        wave = WaveRow(**{name: value for name, value in row.items() if name != "rollout"})
        found[row["rollout"]] = (*found.get(row["rollout"], ()), wave)
    return found


def counts_of(connection: Connection, ids: Sequence[str]) -> dict[tuple[str, int], WaveCount]:
    """How far each wave that has targets has come, by rollout and number."""
    own = tables.rollout_targets.c
    query = select(own.rollout, own.wave, own.state, func.count().label("count"))
    query = query.where(own.rollout.in_(ids)).group_by(own.rollout, own.wave, own.state)
    found: dict[tuple[str, int], WaveCount] = {}
    for rollout, wave, state, count in connection.execute(query):
        known = found.get((rollout, wave), WaveCount(wave))
        found[rollout, wave] = replace(known, **{state: count})
    return found


def status_now(
    row: RolloutRow, driven: bool
) -> Literal["running", "interrupted", "paused", "stopped", "aborted", "done"]:
    """What a rollout's status means. driven: whether the process that drives it lives."""
    return "interrupted" if row.status == "running" and not driven else row.status


def ids_of(connection: Connection, name: str | None) -> list[str]:
    """The ids that a name means (see `Rollouts.view`): one, or none, or several."""
    own = tables.rollouts.c
    newest = select(own.id).order_by(own.created.desc(), own.id.desc()).limit(1)
    if name is None:
        active = select(own.id).where(own.status.not_in(OVER)).order_by(own.created, own.id)
        return list(connection.execute(active.limit(5)).scalars()) or list(
            connection.execute(newest).scalars()
        )
    if name == "last":
        return list(connection.execute(newest).scalars())
    starting = select(own.id).where(own.id.startswith(name, autoescape=True))
    found = list(connection.execute(starting.order_by(own.id).limit(5)).scalars())
    return [name] if name in found else found


def not_one(name: str | None, several: Sequence[str]) -> UsageError:
    """The error of a name that means none, or several."""
    if several:
        more = " and others" if len(several) > 4 else ""
        which = "are not over" if name is None else f"start with {name!r}"
        what = f"several rollouts {which}: {', '.join(several[:4])}{more}"
        todo = "Name one of them." if name is None else "Write more of its id."
        return UsageError(Problem(what, todo=todo))
    if name is None or name == "last":
        what, todo = "the ledger has no rollout yet", "`orchestrator rollout start` begins one."
    else:
        what, todo = f"the ledger has no rollout {name!r}", "See `orchestrator rollout status`."
    return UsageError(Problem(what, todo=todo))
