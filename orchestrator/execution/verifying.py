"""Verify: targets of a cohort that were equal before a run must be equal after it.

Enters: plans before they run, and outcomes when they have.  Leaves: Mismatches, each with what
differs.  Fingerprints are read in bulk, and nothing is written.

Targets belong together that share bind, flavour, fingerprint before, and the states where they
start and end.  What most of the first batch of them are like when they are done is what all others
must be like, over batches, waves and the runs of a rollout.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from orchestrator.checks.differences import differences
from orchestrator.checks.fingerprint import read_fingerprints
from orchestrator.checks.types import Difference, Fingerprints, Scope, Shape
from orchestrator.config import Flavour
from orchestrator.execution.types import Mismatch, Outcome
from orchestrator.fleet.types import Target
from orchestrator.ledger.rollout_types import RolloutTarget
from orchestrator.planning.plan import Cohort, Plan
from orchestrator.planning.statements import states_along

EMPTY = Shape(())
"""What a schema or database is like before it is made."""

_KEPT = 500
"""Shapes that are kept to tell differences from; others are read from a target again."""

_WRITTEN = 50
"""Shapes that are written down for other processes."""

_TRIED = 3
"""Targets that are read again to find one shape."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where targets of one bind and flavour start and end: the revisions, sorted."""

    bind: str
    flavour: Flavour
    start: tuple[str, ...]
    end: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """What targets are like at the end of their way. like: the one that it was read from."""

    digest: str
    like: Target


class Verifier:
    """The fingerprints of one run or rollout, before and after."""

    def __init__(self, scope_of: Callable[[Target], Scope]) -> None:
        """scope_of: what of a target's schema counts (`execution.scopes.scope_of(project)`)."""
        self._shapes = _Shapes(scope_of)
        self._targets: dict[str, Target] = {}
        self._ways: dict[str, Way] = {}
        self._before: dict[str, str] = {}
        self._after: dict[str, str] = {}
        self._references: dict[tuple[Way, str], Reference] = {}

    @property
    def digests(self) -> Mapping[str, str]:
        """The fingerprints before, by the targets' ids; what could not be read has none."""
        return self._before

    @property
    def after_digests(self) -> Mapping[str, str]:
        """The fingerprints of targets that are done, by their ids."""
        return self._after

    @property
    def references(self) -> Mapping[tuple[Way, str], Reference]:
        """What is compared with, by way and fingerprint before."""
        return self._references

    def before(self, plan: Plan) -> tuple[Mismatch, ...]:
        """Take the fingerprints of all targets that have steps to take.

        Gives those that are not like most of their cohort, and those that cannot be read; none of
        them stops anything. Plans of other targets (later stages, new tenants) may follow. A target
        that is half-way through a step counts as having been like most of its cohort.
        """
        targets = self._learn(plan)
        halfway = {name for cohort in plan.moving for name in cohort.continued}
        made = {one.id for cohort in plan.moving if cohort.missing for one in cohort.targets}
        read = [one for one in targets if one.id not in halfway]
        found = self._shapes.read(read)
        told: list[Mismatch] = []
        for index, target in enumerate(read):
            if found.digests[index]:
                self._before[target.id] = found.digests[index]
            elif target.id in made:
                self._before[target.id] = EMPTY.digest
            else:
                told.append(_unread(target, "before", found.problems[index], stops=False))
        most = self._most()
        for target in targets:
            if target.id in halfway and self._ways[target.id] in most:
                self._before[target.id] = most[self._ways[target.id]].digest
        return (*told, *self._mixed(targets))

    @property
    def kept(self) -> str:
        """The shapes that most targets had before, as a text for `remember`: when every target has
        moved on, nothing else tells what one was like."""
        frequent = Counter(self._before.values()).most_common(_WRITTEN)
        return self._shapes.write(digest for digest, _count in frequent)

    def remember(self, rows: Iterable[RolloutTarget], plan: Plan, kept: str = "") -> None:
        """Go on with a rollout: what was taken at its start, and what those of its targets are like
        that are done.

        rows: all its targets. plan: its whole plan as it stands now
        (`execution.planner.resume_plan`), in which targets at their end have no steps. kept: from
        the Verifier of the start.
        """
        self._shapes.read_back(kept)
        known = {
            target.id: (target, cohort) for cohort in plan.cohorts for target in cohort.targets
        }
        for row in rows:
            if row.target not in known or not row.before:
                continue
            target, cohort = known[row.target]
            way = Way(
                row.bind, cohort.flavour, _states(row.from_revisions), _states(row.to_revisions)
            )
            self._targets[target.id], self._ways[target.id] = target, way
            self._before[target.id] = row.before
            if row.after and row.state in ("done", "unchanged"):
                self._after[target.id] = row.after
                self._references.setdefault((way, row.before), Reference(row.after, target))

    def again(self, plan: Plan) -> tuple[Mismatch, ...]:
        """Read once more, just before a wave, what its targets are like.

        plan: of the wave. Gives those that somebody changed since their fingerprints were taken
        (these stop the wave), and those that were not like their cohort from the start (these do
        not). Targets that are on their way already are not read.
        """
        self._learn(plan)
        targets = [target for target in self._waiting(plan) if target.id in self._before]
        found = self._shapes.read(targets)
        told: list[Mismatch] = []
        rest: list[Target] = []
        for index, target in enumerate(targets):
            digest, taken = found.digests[index], self._before[target.id]
            # One that cannot be read now will fail in the run, and is told there.
            if digest in ("", taken):
                rest.append(target)
            else:
                was = Reference(taken, target)
                told.append(self._mismatch(target, "before", digest, was, stops=True))
        return (*told, *self._mixed(rest))

    def after(self, outcomes: Sequence[Outcome]) -> tuple[Mismatch, ...]:
        """Compare those of a batch that are at their end.

        Gives those that are not like the others that were equal before and went the same way, and
        those that cannot be read; all of them stop a wave.
        """
        targets = [
            one.target
            for one in outcomes
            if one.result in ("done", "unchanged") and one.target.id in self._ways
        ]
        found = self._shapes.read(targets, tries=2)
        told: list[Mismatch] = []
        ended: dict[tuple[Way, str], list[Target]] = {}
        for index, target in enumerate(targets):
            if not found.digests[index]:
                told.append(_unread(target, "after", found.problems[index], stops=True))
                continue
            self._after[target.id] = found.digests[index]
            if target.id in self._before:
                key = self._ways[target.id], self._before[target.id]
                ended.setdefault(key, []).append(target)
        for key, equal in ended.items():
            if key not in self._references:
                self._references[key] = self._frequent(equal, self._after)
            reference = self._references[key]
            for target in equal:
                digest = self._after[target.id]
                if digest != reference.digest:
                    told.append(self._mismatch(target, "after", digest, reference, stops=True))
        return tuple(told)

    def _learn(self, plan: Plan) -> list[Target]:
        """All targets that have steps to take. One that is known keeps its way: it may have come
        some steps along it since."""
        for cohort in plan.moving:
            way = _way(cohort)
            for target in cohort.targets:
                self._targets[target.id] = target
                self._ways.setdefault(target.id, way)
        return [target for cohort in plan.moving for target in cohort.targets]

    def _waiting(self, plan: Plan) -> Iterator[Target]:
        """The targets that nothing was applied to yet."""
        for cohort in plan.moving:
            start = tuple(sorted(cohort.state))
            for target in cohort.targets:
                if self._ways[target.id].start == start and target.id not in cohort.continued:
                    yield target

    def _most(self) -> dict[Way, Reference]:
        """What most targets of each way were like before."""
        ways: dict[Way, list[Target]] = {}
        for name in self._before:
            ways.setdefault(self._ways[name], []).append(self._targets[name])
        return {way: self._frequent(some, self._before) for way, some in ways.items()}

    def _frequent(self, targets: Sequence[Target], digests: Mapping[str, str]) -> Reference:
        """The most frequent fingerprint, the first of several."""
        digest = Counter(digests[one.id] for one in targets).most_common(1)[0][0]
        return Reference(digest, next(one for one in targets if digests[one.id] == digest))

    def _mixed(self, targets: Sequence[Target]) -> Iterator[Mismatch]:
        """Those that were not like most of their cohort from the start."""
        most = self._most()
        for target in targets:
            digest = self._before.get(target.id, "")
            if digest and digest != most[self._ways[target.id]].digest:
                usual = most[self._ways[target.id]]
                yield self._mismatch(target, "before", digest, usual, stops=False)

    def _mismatch(
        self,
        target: Target,
        when: Literal["before", "after"],
        digest: str,
        expected: Reference,
        *,
        stops: bool,
    ) -> Mismatch:
        """The mismatch of a target that has this fingerprint, where another is expected."""
        others: Iterable[Target] = [expected.like]
        if expected.like is target:
            others = (
                self._targets[name]
                for name, taken in self._before.items()
                if taken == expected.digest and name not in self._after and name != target.id
            )
        told = self._shapes.differences(expected.digest, others, digest, target)
        problem = "" if told else "what differs cannot be told: it has changed again since"
        return Mismatch(target, when, expected.like.id, told, stops, problem)


class _Shapes:
    """Reads fingerprints, and keeps some shapes to tell differences from."""

    def __init__(self, scope_of: Callable[[Target], Scope]) -> None:
        self._scope_of = scope_of
        self._kept: OrderedDict[str, Shape] = OrderedDict({EMPTY.digest: EMPTY})
        self._told: dict[tuple[str, str], tuple[Difference, ...]] = {}

    def read(self, targets: Sequence[Target], *, tries: int = 1) -> Fingerprints:
        """The fingerprints of these targets. tries: for those that cannot be read."""
        if not targets:
            return Fingerprints()
        found = read_fingerprints(targets, self._scope_of)
        # The most frequent are kept longest: they are what others are compared with.
        for digest, _count in reversed(Counter(found.digests).most_common()):
            if digest in found.shapes:
                self._keep(digest, found.shapes[digest])
        if tries == 1 or not found.problems:
            return found
        places = sorted(found.problems)
        second = self.read([targets[place] for place in places], tries=tries - 1)
        digests = list(found.digests)
        for place, digest in zip(places, second.digests, strict=True):
            digests[place] = digest
        problems = {places[index]: words for index, words in second.problems.items()}
        return Fingerprints(tuple(digests), problems, {**found.shapes, **second.shapes})

    def write(self, digests: Iterable[str]) -> str:
        """These shapes as JSON, as far as they are kept."""
        known = {one: self._kept[one] for one in digests if one in self._kept}
        return json.dumps({digest: shape.plain for digest, shape in known.items()})

    def read_back(self, text: str) -> None:
        """Keep what `write` wrote."""
        for digest, items in json.loads(text or "{}").items():
            shape = Shape.of(items)
            if shape.digest == digest:  # else an older release made it
                self._keep(digest, shape)

    def differences(
        self, expected: str, others: Iterable[Target], digest: str, target: Target
    ) -> tuple[Difference, ...]:
        """How a target with one fingerprint differs from others with another; () where one of the
        two cannot be read any more."""
        pair = expected, digest
        if pair not in self._told:
            there, here = self._of(expected, others), self._of(digest, [target])
            if there is None or here is None:
                return ()
            self._told[pair] = differences(there, here)
        return self._told[pair]

    def _of(self, digest: str, targets: Iterable[Target]) -> Shape | None:
        if digest not in self._kept:
            self.read(list(islice(targets, _TRIED)))
        return self._kept.get(digest)

    def _keep(self, digest: str, shape: Shape) -> None:
        self._kept[digest] = shape
        self._kept.move_to_end(digest)
        self._kept.move_to_end(EMPTY.digest)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


def _way(cohort: Cohort) -> Way:
    along = states_along(cohort.state, [one.step.changes for one in cohort.steps])
    return Way(cohort.bind, cohort.flavour, tuple(sorted(cohort.state)), along[-1])


def _states(written: str) -> tuple[str, ...]:
    """Revisions as a row has them."""
    return tuple(sorted(written.split(","))) if written else ()


def _unread(
    target: Target, when: Literal["before", "after"], words: str, *, stops: bool
) -> Mismatch:
    return Mismatch(target, when, "", (), stops, f"its schema cannot be read: {words}")
