"""From targets and where they stand to cohorts: the one path from a command to its steps.

Enters: targets with their states and flavours, histories, and a Goal.  Leaves: Routes (cohorts
whose steps are not recorded yet), the paths that must be recorded, and with recordings a Plan.
No I/O but the revision files that a history reads when it is first asked.

A path is looked up once for each bind and state, whatever the number of targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.config import Flavour
from orchestrator.errors import HistoryError, Problem
from orchestrator.fleet.engines import missing_advice
from orchestrator.fleet.state import FleetState
from orchestrator.fleet.types import State, Target, UnknownTenants
from orchestrator.planning.halfway import obstacle
from orchestrator.planning.paths import Goal, WayBack
from orchestrator.planning.plan import Blocked, Cohort, Plan, PlanStep, Waiting
from orchestrator.revisions.history import History
from orchestrator.revisions.recordings import Compiled, Wanted
from orchestrator.revisions.types import Recording, Step

ASSUMED_POSTGRESQL = Flavour("postgresql", (16,))
"""The flavour of a PostgreSQL server that cannot tell it yet, because the database to connect to is
still to be made. SQLAlchemy writes the same SQL for every version that is supported
(sqlalchemy/dialects/postgresql/base.py differs below 12, and in what it reflects)."""


@dataclass(frozen=True, slots=True)
class Route:
    """A cohort whose steps are not recorded yet. continued: ids of the targets that are half-way
    through the first of them."""

    bind: str
    flavour: Flavour
    dialect: str
    state: tuple[str, ...]
    steps: tuple[Step, ...]
    targets: tuple[Target, ...]
    missing: int = 0
    continued: tuple[str, ...] = ()

    @property
    def wanted(self) -> Wanted:
        """Its path, to be recorded."""
        return Wanted(self.bind, self.flavour, self.dialect, self.steps)


@dataclass(frozen=True, slots=True)
class Routes:
    """All targets of a command: on a route, or blocked."""

    goal: Goal
    cohorts: tuple[Route, ...] = ()
    blocked: tuple[Blocked, ...] = ()

    def __add__(self, other: Routes) -> Routes:
        return Routes(self.goal, self.cohorts + other.cohorts, self.blocked + other.blocked)

    @property
    def moving(self) -> frozenset[str]:
        """The binds in which something is to be done, or cannot be."""
        return frozenset(
            {route.bind for route in self.cohorts if route.steps}
            | {one.target.bind.name for one in self.blocked}
        )


_Key = tuple[str, Flavour, str, tuple[str, ...], WayBack | None]
"""What the targets of a route share: bind, flavour, dialect, state, and way back."""


@dataclass(slots=True)
class _Gathered:
    """A route while its targets come in."""

    targets: list[Target] = field(default_factory=list)
    missing: int = 0
    continued: list[str] = field(default_factory=list)


def group(
    targets: Sequence[Target],
    fleet: FleetState,
    histories: Mapping[str, History],
    goal: Goal,
    *,
    purge: bool = False,
) -> Routes:
    """Group the targets whose bind takes part by bind, flavour and state (and way back, of a
    revert), and find each path once.

    A target that cannot be planned is blocked with its problem, and the others are not touched by
    it.  purge: plan as from an empty version table (stamp --purge).
    """
    paths = _Paths(histories, goal)
    flavours = Flavours(fleet.flavours)
    found: dict[_Key, _Gathered] = {}
    blocked: list[Blocked] = []
    stamps = goal.verb == "stamp"  # It runs nothing, so it finishes nothing.
    for target, state in zip(targets, fleet.states, strict=True):
        name = target.bind.name
        if name not in goal.destinations:
            continue
        known = flavours.of(target)
        rows, way = () if purge else state.revisions, goal.ways.get(target.id)
        problem = (
            out_of_reach(target, state, known)
            or obstacle(target, state, () if stamps else paths.steps(name, rows, way))
            or paths.problem(name, rows, way)
            or _not_to_be_made(target, state, goal)
        )
        if problem is not None or known is None:
            blocked.append(blocked_at(target, state, problem or _no_flavour()))
            continue
        gathered = found.setdefault((name, *known, rows, way), _Gathered())
        gathered.targets.append(target)
        gathered.missing += state.kind == "missing"
        gathered.continued += [target.id] if state.journal else []
    order = {name: place for place, name in enumerate(dict.fromkeys(t.bind.name for t in targets))}
    routes = sorted(
        _routes(found, paths),
        key=lambda one: (
            order[one.bind],
            -len(one.steps),
            str(one.flavour),
            one.dialect,
            one.state,
        ),
    )
    return Routes(goal, tuple(routes), tuple(blocked))


def _routes(found: Mapping[_Key, _Gathered], paths: _Paths) -> Iterator[Route]:
    for (bind, flavour, dialect, rows, way), one in found.items():
        yield Route(
            bind,
            flavour,
            dialect,
            rows,
            paths.steps(bind, rows, way),
            tuple(one.targets),
            one.missing,
            tuple(one.continued),
        )


class _Paths:
    """The path from each state of each bind, or why there is none; each found once."""

    def __init__(self, histories: Mapping[str, History], goal: Goal) -> None:
        self._histories = histories
        self._goal = goal
        self._found: dict[
            tuple[str, tuple[str, ...], WayBack | None], tuple[Step, ...] | Problem
        ] = {}

    def problem(self, bind: str, state: tuple[str, ...], way: WayBack | None) -> Problem | None:
        """Why there is no path, without a place; None when there is one."""
        found = self._of(bind, state, way)
        return found if isinstance(found, Problem) else None

    def steps(self, bind: str, state: tuple[str, ...], way: WayBack | None) -> tuple[Step, ...]:
        """The path."""
        found = self._of(bind, state, way)
        return () if isinstance(found, Problem) else found

    def _of(
        self, bind: str, state: tuple[str, ...], way: WayBack | None
    ) -> tuple[Step, ...] | Problem:
        key = bind, state, way
        if key not in self._found:
            self._found[key] = self._find(bind, state, way)
        return self._found[key]

    def _find(
        self, bind: str, state: tuple[str, ...], way: WayBack | None
    ) -> tuple[Step, ...] | Problem:
        history = self._histories[bind]
        unknown = history.unknown(state)
        if unknown:
            return Problem(
                f"it stands at {', '.join(unknown)}, which bind {bind} has no file for",
                todo="Deploy the code that has this revision, or `orchestrator stamp --purge` the "
                "target to where it really is.",
            )
        try:
            return history.path(state, self._goal.migrations(history, way))
        except HistoryError as error:
            first = error.problems[0]
            return Problem(first.what, todo=first.todo)


class Flavours:
    """The flavour and dialect of each server, as far as they decide what SQL is written."""

    def __init__(self, told: Mapping[tuple[str, str], Flavour]) -> None:
        self._told = told
        self._found: dict[tuple[str, str], tuple[Flavour, str] | None] = {}

    def of(self, target: Target) -> tuple[Flavour, str] | None:
        """None when nobody knows it."""
        key = target.bind.name, target.server.name
        if key not in self._found:
            self._found[key] = self._find(target, self._told.get(key))
        return self._found[key]

    def _find(self, target: Target, told: Flavour | None) -> tuple[Flavour, str] | None:
        url = target.server.migration_url
        dialect = url.get_backend_name() if url is not None else ""
        assumed = ASSUMED_POSTGRESQL if target.bind.family == "postgresql" else None
        flavour = told or target.bind.flavour or assumed
        return (flavour.series, dialect or flavour.name) if flavour is not None else None


def out_of_reach(target: Target, state: State, known: tuple[Flavour, str] | None) -> Problem | None:
    """Why nothing can be done on a target, whatever its history: it does not answer, or it is not
    what databases.yaml says."""
    if state.kind in ("denied", "unreachable"):
        return Problem(
            f"{state.kind}: {state.detail}", todo="Check its URL and the rights of its user."
        )
    declared = target.bind.flavour
    if declared is not None and known is not None and known[0].name != declared.name:
        return Problem(
            f"its server is {known[0]}, and binds.{target.bind.name}.flavour says {declared}",
            todo="Correct one of the two: the bind's flavour, or the server's URL.",
        )
    return None


def _not_to_be_made(target: Target, state: State, goal: Goal) -> Problem | None:
    """A place that is missing, and that nothing will make. What a bind depends on may make it."""
    bind = target.bind
    if state.kind != "missing" or goal.verb == "downgrade":
        return None
    if target.tenant is not None and (bind.create or bind.depends_on):
        return None
    return Problem(f"{place_words(target)} does not exist", todo=missing_advice(target))


def place_words(target: Target) -> str:
    """Where a target is: "the schema t_acme"."""
    noun = "schema" if target.schema else "database"
    return f"the {noun} {target.schema or target.database or ''}".rstrip()


def _no_flavour() -> Problem:
    return Problem(
        "nobody can tell the flavour of its server now",
        todo="Set the bind's `flavour` in databases.yaml, such as mysql-8.4.",
    )


def blocked_at(target: Target, state: State, problem: Problem) -> Blocked:
    """A target with what keeps it from its plan."""
    placed = Problem(problem.what, f"target {target.id}", problem.key, problem.todo)
    return Blocked(target, placed, state)


def assemble(
    routes: Routes,
    compiled: Iterable[Sequence[Compiled]] | None,
    waiting: Sequence[Waiting] = (),
    unknown: Sequence[UnknownTenants] = (),
) -> Plan:
    """The plan of these routes.

    compiled: the recordings of each route's path, in the order of the routes; None when nothing is
    recorded, because nothing is run (a stamp) or only steps are shown.
    """
    recordings = (
        [_unrecorded(one.steps) for one in routes.cohorts] if compiled is None else compiled
    )
    cohorts = tuple(
        Cohort(
            route.bind,
            route.flavour,
            route.state,
            tuple(
                PlanStep(step, one.recording, one.source, one.remembered)
                for step, one in zip(route.steps, recorded, strict=True)
            ),
            route.targets,
            route.dialect,
            route.missing,
            route.continued,
        )
        for route, recorded in zip(routes.cohorts, recordings, strict=True)
    )
    return Plan(routes.goal, cohorts, routes.blocked, tuple(waiting), tuple(unknown))


def _unrecorded(steps: Sequence[Step]) -> list[Compiled]:
    return [Compiled(Recording(step.revision, step.direction), "") for step in steps]
