"""What targets should be at a revision: a scratch database brought there, or a target that is.

Enters: a project, and a bind with flavour and revisions.  Leaves: a Reference with its shapes.
A scratch database is made on a server of the same series where there is one, and once for each
bind, series and set of revisions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from orchestrator.checks.fingerprint import read_shape
from orchestrator.checks.types import Scope, Shape
from orchestrator.config import Bind, Flavour
from orchestrator.errors import DatabaseError, Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.execution.scratch import scratch_urls, scratch_with
from orchestrator.fleet.engines import first_line, flavour_of, make_engine
from orchestrator.fleet.state import read_fleet
from orchestrator.fleet.types import Target
from orchestrator.planning.halfway import half_of, half_words


@dataclass(frozen=True)
class Reference:
    """What a schema should be, under each scope that was asked for.

    words: what it was read from. same_series: whether that server is of the targets' series, so
    that no difference can come from the server alone.
    """

    shapes: Mapping[Scope, Shape]
    words: str
    same_series: bool


@dataclass(frozen=True)
class Pattern:
    """A target that others are compared with, and where it stands."""

    target: Target
    revisions: tuple[str, ...]
    flavour: Flavour


def pattern_of(target: Target) -> Pattern:
    """Look at a target that others are to be compared with; nothing is written.

    Raises UsageError when its revisions are not known, or it is half-way through a step.
    """
    fleet = read_fleet([target])
    [state] = fleet.states
    half = half_of(state)
    fault = half_words(half) if half else state.detail or f"it has {state.kind.replace('-', ' ')}"
    if state.kind != "known" or half is not None:
        raise UsageError(
            Problem(
                f"nothing can be compared with it: {fault}",
                where=f"target {target.id}",
                todo="Give --against a target that can be read, at the revision of the others.",
            )
        )
    [flavour] = fleet.flavours.values()
    return Pattern(target, tuple(sorted(state.revisions)), flavour)


class References:
    """Finds or makes what targets should be."""

    def __init__(self, project: Project, against: Pattern | None) -> None:
        self._project = project
        self._against = against
        self._places: dict[str, tuple[tuple[URL, Flavour], ...]] = {}

    def of(
        self, bind: Bind, flavour: Flavour, revisions: tuple[str, ...], scopes: Collection[Scope]
    ) -> Reference:
        """What targets of a bind should be at these revisions.

        Raises OrchestratorError (mostly DatabaseError) when that cannot be told.
        """
        against = self._against
        if against is not None and against.target.bind.name == bind.name:
            return self._from_target(against, flavour, revisions, scopes)
        url, there = self._place(bind, flavour)
        with scratch_with(self._project, bind, revisions, url) as target:
            shapes = {scope: read_shape(target, scope) for scope in scopes}
        same = there.series == flavour.series
        return Reference(shapes, f"a scratch database on {there.series}", same)

    def _from_target(
        self,
        against: Pattern,
        flavour: Flavour,
        revisions: tuple[str, ...],
        scopes: Collection[Scope],
    ) -> Reference:
        target = against.target
        if against.revisions != revisions:
            at = ", ".join(against.revisions) or "base"
            raise DatabaseError(
                Problem(f"target {target.id}, to compare with, is at {at}", todo=_OTHER_TARGET)
            )
        shapes = {scope: read_shape(target, scope) for scope in scopes}
        same = against.flavour.series == flavour.series
        return Reference(shapes, f"target {target.id}", same)

    def _place(self, bind: Bind, flavour: Flavour) -> tuple[URL, Flavour]:
        """The server for a scratch database that is most like the targets'."""
        if bind.name not in self._places:
            self._places[bind.name] = self._ask(bind)
        return min(self._places[bind.name], key=lambda place: _unlike(place[1], flavour))

    def _ask(self, bind: Bind) -> tuple[tuple[URL, Flavour], ...]:
        """The servers where scratch databases may be made, of those that answer."""
        found, silent = [], []
        for url in dict.fromkeys(scratch_urls(self._project, bind)):
            engine = make_engine(url)
            try:
                with engine.connect() as connection:
                    found.append((url, flavour_of(connection)))
            except DBAPIError as error:
                silent.append(f"{url.render_as_string()}: {first_line(error)}")
            finally:
                engine.dispose()
        if found:
            return tuple(found)
        raise DatabaseError(
            Problem(
                f"no scratch database could be made: {'; '.join(silent)}",
                where=f"bind {bind.name}",
                todo="Correct `scratch:` in databases.yaml, or compare with --against TARGET.",
            )
        )


_OTHER_TARGET = "Compare with one at the same revision, or set `scratch:` in databases.yaml."


def _unlike(there: Flavour, wanted: Flavour) -> int:
    if there.series == wanted.series:
        return 0
    return 1 if there.name == wanted.name else 2
