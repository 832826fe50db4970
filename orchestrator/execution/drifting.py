"""Drift: which targets of a fleet are not what their own revision, or the models, say.

Enters: a project and targets.  Leaves: Drift.  Nothing is written to a target.

States and fingerprints are read in bulk; targets that share bind, series, revisions and fingerprint
are one group, and one of each group is compared in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.checks.differences import differences
from orchestrator.checks.fingerprint import read_fingerprints
from orchestrator.checks.scope import is_ignored
from orchestrator.checks.types import Difference, Fingerprints, Item, Scope, Shape
from orchestrator.config import Flavour
from orchestrator.errors import DatabaseError, HistoryError, OrchestratorError
from orchestrator.execution.comparison import compare
from orchestrator.execution.drift_types import (
    Aside,
    AsideKind,
    Drift,
    Group,
    Judged,
    ModelDifference,
)
from orchestrator.execution.project import Project
from orchestrator.execution.references import Reference, References, pattern_of
from orchestrator.execution.scopes import scope_of
from orchestrator.fleet.state import FleetState, read_fleet, read_states
from orchestrator.fleet.types import State, Target
from orchestrator.planning.halfway import half_of, half_words
from orchestrator.revisions.author import NewRevision, subject
from orchestrator.revisions.history import History

Heard = Callable[[str], None]
"""Hears what is being done now, in words."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a look for drift shall do.

    models: compare with the models, too. against: a target instead of scratch databases, for its
    bind. column_order: instead of `drift.column_order` of databases.yaml.
    """

    models: bool = True
    against: Target | None = None
    column_order: bool | None = None


def find_drift(project: Project, targets: Sequence[Target], asked: Asked, heard: Heard) -> Drift:
    """Compare targets with what they should be.

    Raises what broken apps, histories and an env.py raise, and UsageError for an `against` that
    nothing can be compared with; what servers say stands in the result.
    """
    histories = project.histories(dict.fromkeys(one.bind.name for one in targets))
    if asked.models or asked.against is None:
        _ = project.models  # A broken app is told before any server is asked.
    scopes = scope_of(project, column_order=asked.column_order)
    references = References(project, pattern_of(asked.against) if asked.against else None)
    asides = _Asides()
    found = _read(targets, histories, scopes, asides, heard)
    judge = _Judge(project, references, asked.models, heard)
    judged = _still(judge.all(found), found.states, asides)
    return Drift(tuple(judged), asides.found)


@dataclass(frozen=True)
class _Seen:
    """A group, with what its comparison needs."""

    group: Group
    scope: Scope
    shape: Shape


@dataclass(frozen=True)
class _Found:
    """A fleet by group, and each target's state by its id."""

    groups: tuple[_Seen, ...]
    states: Mapping[str, State]


def _read(
    targets: Sequence[Target],
    histories: Mapping[str, History],
    scopes: Callable[[Target], Scope],
    asides: _Asides,
    heard: Heard,
) -> _Found:
    """Read states and fingerprints; what has none is put aside."""
    heard(f"reading the states of {_many(len(targets), 'target')}")
    fleet = read_fleet(targets)
    faults = _Faults(histories)
    known: list[tuple[Target, State]] = []
    for target, state in zip(targets, fleet.states, strict=True):
        fault = faults.of(target, state)
        if fault is None:
            known.append((target, state))
        else:
            asides.put(target, *fault)
    heard(f"reading the schemas of {_many(len(known), 'target')}")
    # Each scope once before any server is asked: it may need models, which may be broken.
    scoped = [scopes(target) for target, _state in known]
    prints = read_fingerprints([target for target, _state in known], scopes)
    readable = []
    for index, (target, state) in enumerate(known):
        if prints.digests[index]:
            readable.append((target, state, scoped[index], prints.digests[index]))
        else:
            asides.put(target, "unreadable", prints.problems.get(index, ""))
    states = {target.id: state for target, state in known}
    return _Found(_groups(readable, fleet, prints, histories), states)


def _groups(
    readable: Iterable[tuple[Target, State, Scope, str]],
    fleet: FleetState,
    prints: Fingerprints,
    histories: Mapping[str, History],
) -> tuple[_Seen, ...]:
    members: dict[tuple[str, Flavour, tuple[str, ...], str, Scope], list[Target]] = {}
    for target, state, scope, digest in readable:
        name = target.bind.name
        series = fleet.flavours[name, target.server.name].series
        key = name, series, tuple(sorted(state.revisions)), digest, scope
        members.setdefault(key, []).append(target)
    return tuple(
        _Seen(
            Group(ones[0].bind, series, rows, digest, tuple(ones), histories[name].at_head(rows)),
            scope,
            prints.shapes[digest],
        )
        for (name, series, rows, digest, scope), ones in members.items()
    )


class _Faults:
    """Why a state cannot be compared with its revision."""

    def __init__(self, histories: Mapping[str, History]) -> None:
        self._histories = histories
        self._unknown: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}

    def of(self, target: Target, state: State) -> tuple[AsideKind, str] | None:
        """None for a target at revisions that its history knows."""
        half = half_of(state)
        if half is not None:
            return "half-applied", f"{half_words(half)}; see `orchestrator repair`"
        if state.kind != "known":
            return state.kind, state.detail
        name = target.bind.name
        key = name, state.revisions
        if key not in self._unknown:
            self._unknown[key] = self._histories[name].unknown(state.revisions)
        unknown = self._unknown[key]
        return ("unknown", f"no revision file has {', '.join(unknown)}") if unknown else None


class _Asides:
    """Targets that cannot be judged, gathered by what keeps them from it."""

    def __init__(self) -> None:
        self._members: dict[tuple[str, AsideKind, str], list[Target]] = {}

    def put(self, target: Target, kind: AsideKind, detail: str) -> None:
        """Take one."""
        for name in (target.schema, target.database):
            detail = detail.replace(name, "...") if name else detail
        self._members.setdefault((target.bind.name, kind, detail), []).append(target)

    @property
    def found(self) -> tuple[Aside, ...]:
        """All of them, the most frequent reason of each bind first."""
        asides = [
            Aside(targets[0].bind, kind, detail, tuple(targets))
            for (_name, kind, detail), targets in self._members.items()
        ]
        return tuple(sorted(asides, key=lambda one: -len(one.targets)))


class _Judge:
    """Compares one target of each group with what it should be."""

    def __init__(
        self, project: Project, references: References, models: bool, heard: Heard
    ) -> None:
        self._project = project
        self._references = references
        self._models = models
        self._heard = heard

    def all(self, found: _Found) -> list[Judged]:
        """Every group: in each bind those that are as their revision says first, then the larger
        before the smaller."""
        alike: dict[tuple[str, Flavour, tuple[str, ...]], list[_Seen]] = {}
        for seen in found.groups:
            group = seen.group
            alike.setdefault((group.bind.name, group.flavour, group.revisions), []).append(seen)
        judged = [one for seens in alike.values() for one in self._alike(seens)]
        binds = list(dict.fromkeys(one.group.bind.name for one in judged))
        return sorted(
            judged,
            key=lambda one: (
                binds.index(one.group.bind.name),
                one.verdict != "as-revision",
                -len(one.group.targets),
            ),
        )

    def _alike(self, seens: Sequence[_Seen]) -> list[Judged]:
        """Groups that should be the same."""
        group = seens[0].group
        at = ", ".join(group.revisions) or "base"
        count = _many(len(seens), "different schema") if len(seens) > 1 else "the one schema"
        self._heard(f"comparing {count} of {group.bind.name} with what {at} says")
        try:
            reference = self._references.of(
                group.bind, group.flavour, group.revisions, {seen.scope for seen in seens}
            )
        except DatabaseError as error:
            reason = _reason(error)
            judged = [Judged(seen.group, "not-judged", reason=reason) for seen in seens]
        else:
            judged = _compared(seens, reference)
        if self._models and group.at_head:
            return [self._with_models(one, seen) for one, seen in zip(judged, seens, strict=True)]
        return judged

    def _with_models(self, judged: Judged, seen: _Seen) -> Judged:
        target = judged.group.targets[0]
        try:
            draft = compare(
                self._project,
                target.bind,
                NewRevision(),
                against=target,
                hidden=seen.scope.hidden,
            )
        except (DatabaseError, HistoryError) as error:
            return replace(judged, models_reason=_reason(error))
        home = "public" if seen.group.flavour.family == "postgresql" and not target.schema else ""
        found = []
        for words, diff in zip(draft.changes, draft.diffs, strict=True):
            kind, table, name = subject(diff)
            item = Item("index" if kind == "other" else kind, table, name)
            if not is_ignored(seen.scope.ignore, item, home):
                found.append(ModelDifference(words, table, name))
        return replace(judged, models=tuple(found))


def _compared(seens: Sequence[_Seen], reference: Reference) -> list[Judged]:
    """Groups against what they should be."""
    told = [
        differences(reference.shapes[seen.scope], seen.shape)
        if seen.group.fingerprint != reference.shapes[seen.scope].digest
        else ()
        for seen in seens
    ]
    doubtful = frozenset() if reference.same_series else _doubtful(told)
    judged = []
    for seen, all_of_it in zip(seens, told, strict=True):
        sure = tuple(one for one in all_of_it if one not in doubtful)
        judged.append(
            Judged(
                seen.group,
                "drifted" if sure else "as-revision",
                sure,
                reference=reference.words,
                left_out=len(all_of_it) - len(sure),
            )
        )
    return judged


def _doubtful(told: Sequence[Sequence[Difference]]) -> frozenset[Difference]:
    """Differences that every target shows, and that a server of another series may make by itself:
    it writes types, defaults and conditions its own way."""
    shared = frozenset(told[0]).intersection(*told[1:])
    return frozenset(
        one for one in shared if one.what == "changed" or one.kind == "check constraint"
    )


def _still(
    judged: Iterable[Judged], states: Mapping[str, State], asides: _Asides
) -> Iterable[Judged]:
    """Those that drifted, without targets whose state is no longer what it was: a run went by."""
    told = list(judged)
    drifted = [target for one in told if one.verdict == "drifted" for target in one.group.targets]
    moved = {
        target.id
        for target, state in zip(drifted, read_states(drifted), strict=True)
        if state != states[target.id]
    }
    for target in drifted:
        if target.id in moved:
            asides.put(target, "moved", "")
    for one in told:
        if one.verdict != "drifted" or not moved:
            yield one
            continue
        left = tuple(target for target in one.group.targets if target.id not in moved)
        if left:
            yield replace(one, group=replace(one.group, targets=left))


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _reason(error: OrchestratorError) -> str:
    return "; ".join(str(problem).replace("\n    ", ". ") for problem in error.problems)
