"""The cases: how many tenants, where they stand, who takes part, and what shall be reached.

Enters: nothing.  Leaves: CASES.  Sizes are those of the full benchmark; `--scale` shrinks them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.contenders import (
    CLIENTS,
    COMMAND_LINE,
    DJANGO,
    LOOP,
    Contender,
)
from benchmarks.history import FIRST

GoalKind = Literal["at most, of", "at least, faster than", "at most, ms a target", "at most, MB"]


@dataclass(frozen=True, slots=True)
class Goal:
    """What the orchestrator shall reach.

    beyond_startup: both are compared without their start-up.
    """

    kind: GoalKind
    figure: float
    against: tuple[Contender, ...] = ()
    beyond_startup: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of work.

    samples: tenants that sampled contenders work on (the command line on a quarter of them).
    start and history: revisions that the tenants have, and that there are.
    whole: tenants have all tables, not the version table alone.
    delay: seconds that the network takes, each way.
    """

    name: str
    title: str
    mysql: bool
    targets: int
    samples: int
    start: int
    history: int
    peers: tuple[Contender, ...]
    goals: tuple[Goal, ...]
    whole: bool = True
    live: bool = False
    delay: float = 0.0


def _of_client(figure: float) -> Goal:
    return Goal("at most, of", figure, CLIENTS)


def _than_loop(figure: float, *, beyond_startup: bool = False) -> Goal:
    return Goal("at least, faster than", figure, (LOOP,), beyond_startup)


_ALEMBIC: Final = (COMMAND_LINE, LOOP)
_MORE: Final = FIRST + 1
_NOTHING: Final = (Goal("at most, ms a target", 0.1), _than_loop(100, beyond_startup=True))

CASES: Final = (
    Case(
        "a",
        "20 revisions into fresh schemas",
        mysql=False,
        targets=200,
        samples=40,
        start=0,
        history=FIRST,
        peers=(*CLIENTS, *_ALEMBIC, *DJANGO),
        goals=(
            _of_client(1.15),
            _than_loop(4),
            Goal("at least, faster than", 15, (COMMAND_LINE,)),
        ),
    ),
    Case(
        "b",
        "one more revision",
        mysql=False,
        targets=2000,
        samples=80,
        start=FIRST,
        history=_MORE,
        peers=(*CLIENTS, *_ALEMBIC, *DJANGO),
        goals=(_of_client(1.25),),
    ),
    Case(
        "c",
        "nothing to do",
        mysql=False,
        targets=10_000,
        samples=80,
        start=FIRST,
        history=FIRST,
        peers=(*_ALEMBIC, *DJANGO),
        goals=(*_NOTHING, Goal("at most, MB", 200)),
        whole=False,
    ),
    Case(
        "d1",
        "20 revisions into fresh databases",
        mysql=True,
        targets=20,
        samples=8,
        start=0,
        history=FIRST,
        peers=(*CLIENTS, *_ALEMBIC),
        goals=(_of_client(1.15),),
    ),
    Case(
        "d2",
        "one more revision",
        mysql=True,
        targets=200,
        samples=40,
        start=FIRST,
        history=_MORE,
        peers=(*CLIENTS, *_ALEMBIC),
        goals=(_of_client(1.15),),
    ),
    Case(
        "d3",
        "nothing to do",
        mysql=True,
        targets=1000,
        samples=40,
        start=FIRST,
        history=FIRST,
        peers=_ALEMBIC,
        goals=(),
        whole=False,
    ),
    Case(
        "e",
        "20 revisions into fresh schemas, every third of them live",
        mysql=False,
        targets=200,
        samples=40,
        start=0,
        history=FIRST,
        peers=_ALEMBIC,
        goals=(_than_loop(1.7),),
        live=True,
    ),
    Case(
        "f",
        "20 revisions into fresh schemas, 5 ms of network away",
        mysql=False,
        targets=200,
        samples=8,
        start=0,
        history=FIRST,
        peers=(CLIENTS[-1], *_ALEMBIC),
        goals=(_than_loop(10),),
        delay=0.0025,
    ),
)


@dataclass(frozen=True, slots=True)
class SimulatedCase:
    """Planning without a server, to be done in so many seconds and megabytes."""

    name: str
    title: str
    targets: int
    seconds: float
    megabytes: float


SIMULATED: Final = SimulatedCase("g", "planning a simulated fleet", 100_000, 10, 600)


@dataclass(frozen=True, slots=True)
class DriftCase:
    """Drift among PostgreSQL schemas of so many tables, to be found in so many seconds.

    megabytes: what each of the server's backends may take.
    """

    name: str
    title: str
    targets: int
    tables: int
    seconds: float
    megabytes: float


DRIFT: Final = (
    DriftCase("h", "drift of schemas with two tables", 10_000, 2, 20, 200),
    DriftCase("i", "drift of schemas with twelve tables", 1_000, 12, 10, 200),
)
