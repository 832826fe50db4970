"""Waves: which target of a rollout is taken when, and how many may fail.

Enters: targets, the rollout section, and which bind depends on which.  Leaves: WavePlans.  No I/O.

Nothing here depends on the order in which the targets come: a fleet that is read twice has the same
waves, and a tenant more moves few others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from math import ceil, floor

from orchestrator.config import Rollout, Wave
from orchestrator.fleet.types import Target

ALL = "all"
"""The name of the only wave, where none is configured."""
REST = "rest"
"""The name of the last wave, where those that are configured leave something."""


@dataclass(frozen=True, slots=True)
class WavePlan:
    """One wave with its targets, in the order in which they are taken.

    pulled: the ids of those that are here because a target of this wave depends on their bind;
    without that they were in a later one.
    """

    wave: Wave
    targets: tuple[Target, ...]
    pulled: frozenset[str] = frozenset()


def split(
    targets: Sequence[Target], rollout: Rollout, depends: Mapping[str, Collection[str]]
) -> tuple[WavePlan, ...]:
    """Put every target into the first wave that takes it.

    depends: of each bind, those that it depends on. A wave that takes nothing is kept, for whoever
    wrote it; "rest" is added only where something is left.
    """
    ordered = _in_order(targets)
    places = _taken(ordered, rollout.waves)
    waves = rollout.waves or (Wave(ALL),)
    left = [target for target in ordered if target.id not in places]
    if left and rollout.waves:
        waves = (*waves, Wave(_free(REST, waves)))
    places.update((target.id, len(waves) - 1) for target in left)
    pulled = _pull(ordered, places, depends)
    members: list[list[Target]] = [[] for _ in waves]
    for target in ordered:
        members[places[target.id]].append(target)
    return tuple(
        WavePlan(
            wave,
            tuple(_spread(some)),
            frozenset(target.id for target in some if target.id in pulled),
        )
        for wave, some in zip(waves, members, strict=True)
    )


def backwards(
    targets: Sequence[Target], waves: Sequence[Wave], waves_of: Mapping[str, int]
) -> tuple[WavePlan, ...]:
    """The waves of a revert: those of what is taken back, the last one first, without those that
    none of these targets was in. waves_of: the place of each target's wave in `waves`, by id."""
    members: dict[int, list[Target]] = {}
    for target in _in_order(targets):
        members.setdefault(waves_of[target.id], []).append(target)
    return tuple(
        WavePlan(waves[number], tuple(_spread(members[number])))
        for number in sorted(members, reverse=True)
    )


def budget(max_failures: str, targets: int) -> int:
    """How many of so many targets may fail before a wave stops: a count as it is, a share ("1%")
    rounded down."""
    if max_failures.endswith("%"):
        return floor(Fraction(max_failures.removesuffix("%").strip()) * targets / 100)
    return int(max_failures)


def _in_order(targets: Iterable[Target]) -> list[Target]:
    """In an order that is always the same, and that has nothing to do with names: who is called
    "aaa" is no canary for that."""
    return sorted(targets, key=lambda target: hashlib.sha256(target.id.encode()).digest())


def _spread(ordered: Iterable[Target]) -> Iterator[Target]:
    """The first of every server, then the second of every one, and so on."""
    ranks: dict[tuple[str, str], int] = {}
    ranked: list[tuple[int, Target]] = []
    for target in ordered:
        server = _server(target)
        rank = ranks[server] = ranks.get(server, -1) + 1
        ranked.append((rank, target))
    # Stable: inside a rank the order stays.
    ranked.sort(key=lambda one: one[0])
    return (target for _rank, target in ranked)


def _server(target: Target) -> tuple[str, str]:
    """What tells servers apart: two binds may have one server under two names."""
    url = target.server.migration_url
    if url is None:
        return target.bind.name, target.server.name
    return url.host or "", str(url.port or "")


def _taken(ordered: Sequence[Target], waves: Sequence[Wave]) -> dict[str, int]:
    """The number of the wave of each target that a wave takes."""
    places: dict[str, int] = {}
    for number, wave in enumerate(waves):
        matching = [target for target in ordered if _matches(target, wave)]
        free = [target for target in matching if target.id not in places]
        most = _most(wave, len(matching))
        some = free if most is None else list(_spread(free))[:most]
        places.update((target.id, number) for target in some)
    return places


def _most(wave: Wave, matching: int) -> int | None:
    """How many targets a wave takes; None for all that are left."""
    if wave.count is not None:
        return wave.count
    if wave.percent is not None:
        # As it is written: 0.1 as a binary number is a little more.
        return ceil(Fraction(str(wave.percent)) * matching / 100)
    return None


def _matches(target: Target, wave: Wave) -> bool:
    """Whether a target has what a wave selects; each glob is matched whole, and case counts."""
    for name, globs in wave.select.items():
        value = _value(target, name)
        if value is None or not any(fnmatchcase(value, glob) for glob in globs):
            return False
    return True


def _value(target: Target, name: str) -> str | None:
    """What a target has under a name that `select` writes: reserved ones first."""
    if name == "tenant":
        return target.tenant
    if name == "server":
        return target.server.name
    if name == "bind":
        return target.bind.name
    return target.labels.get(name)


def _free(name: str, waves: Sequence[Wave]) -> str:
    """A name that no wave has."""
    taken = {wave.name for wave in waves}
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def _pull(
    ordered: Sequence[Target], places: dict[str, int], depends: Mapping[str, Collection[str]]
) -> frozenset[str]:
    """Move the targets of binds that others depend on to where the first of those others is. Gives
    the ids of those that moved; `places` has their new waves."""
    earliest: dict[str, int] = {}
    for target in ordered:
        name, place = target.bind.name, places[target.id]
        earliest[name] = min(place, earliest.get(name, place))
    wanted: dict[str, int] = {}
    for name, place in earliest.items():
        for other in _below(name, depends):
            wanted[other] = min(place, wanted.get(other, place))
    pulled: set[str] = set()
    for target in ordered:
        first = wanted.get(target.bind.name, places[target.id])
        if first < places[target.id]:
            places[target.id] = first
            pulled.add(target.id)
    return frozenset(pulled)


def _below(bind: str, depends: Mapping[str, Collection[str]]) -> frozenset[str]:
    """All binds that a bind depends on, itself left out; also through binds that have no target."""
    found: set[str] = set()
    waiting = [bind]
    while waiting:
        for other in depends.get(waiting.pop(), ()):
            if other not in found and other != bind:
                found.add(other)
                waiting.append(other)
    return frozenset(found)
