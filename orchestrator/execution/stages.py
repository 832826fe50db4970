"""Stages: binds in the order in which they can be planned and applied.

Enters: Config, and binds or a Selection.  Leaves: stages of binds, and the targets of each stage,
found when its turn comes: a bind whose tenants another one lists has none before that is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from orchestrator.config import Bind, Config
from orchestrator.errors import ConfigError
from orchestrator.fleet.targets import (
    Found,
    Selection,
    find_targets,
    nothing_selected,
    selected_binds,
    shared_places,
)
from orchestrator.fleet.types import Target


def stages(config: Config, binds: Iterable[Bind]) -> tuple[tuple[Bind, ...], ...]:
    """Binds in stages, each after all stages that one of its binds depends on.

    A bind stands in the first stage that it can; in a stage, binds keep the order of
    databases.yaml. What a bind depends on counts also through binds that are not among these.
    """
    depths: dict[str, int] = {}
    wanted = {bind.name for bind in binds}

    def depth(name: str) -> int:
        """How many stages of wanted binds come before this one; databases.yaml has no cycles."""
        if name not in depths:
            depths[name] = max(
                (
                    depth(other) + (other in wanted)
                    for other in config.binds[name].depends_on
                    if other in config.binds
                ),
                default=0,
            )
        return depths[name]

    found: dict[int, list[Bind]] = {}
    for name, bind in config.binds.items():
        if name in wanted:
            found.setdefault(depth(name), []).append(bind)
    return tuple(tuple(found[number]) for number in sorted(found))


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a command.

    targets: bind by bind. found.unknown is what is still not known now that the stages before are
    applied: failures, whose targets cannot even be named.
    """

    binds: tuple[Bind, ...]
    found: Found

    @property
    def targets(self) -> tuple[Target, ...]:
        """The stage's targets."""
        return self.found.targets


def staged_targets(
    config: Config, selection: Selection, *, allow_empty: bool = False
) -> Iterator[Stage]:
    """The selected targets, stage by stage; the caller applies a stage before it asks for the next.

    All that can be known is looked at before the first stage is given, so that a mistake in the
    last one is told while nothing has been touched. A bind whose tenants come from a bind of an
    earlier stage is asked again when its turn comes.

    Raises UsageError, ConfigError and EmptySelection as `find_targets` does; at a later stage
    ConfigError for tenants that the stages before have brought.
    """
    whole = replace(selection, limit=None)
    first = find_targets(config, whole, allow_empty=True)
    if not first.targets and not first.unknown and not allow_empty:
        raise nothing_selected()
    done: list[Target] = []
    left = selection.limit
    applied: set[str] = set()
    for binds in stages(config, selected_binds(config, selection)):
        found = _found(config, whole, binds, first, applied)
        problems = shared_places([*done, *found.targets]) if applied else []
        if problems:
            raise ConfigError(problems)
        targets = found.targets if left is None else found.targets[:left]
        done += targets
        left = None if left is None else left - len(targets)
        applied |= {bind.name for bind in binds}
        if targets or found.unknown:
            yield Stage(binds, Found(targets, found.unknown))
        if left == 0:
            return
    if not done and not allow_empty and not first.unknown:
        raise nothing_selected()


def _found(
    config: Config,
    selection: Selection,
    binds: tuple[Bind, ...],
    first: Found,
    applied: set[str],
) -> Found:
    """The targets of one stage: those found at first, but anew where a stage before may have
    changed what a source says."""
    again = [bind.name for bind in binds if _reads_from(bind, applied)]
    names = {bind.name for bind in binds}.difference(again)
    targets = [target for target in first.targets if target.bind.name in names]
    unknown = [one for one in first.unknown if one.bind.name in names]
    if again:
        anew = find_targets(config, replace(selection, binds=tuple(again)), allow_empty=True)
        targets += anew.targets
        unknown += [
            replace(one, after=tuple(name for name in one.after if name not in applied))
            for one in anew.unknown
        ]
    order = {bind.name: number for number, bind in enumerate(binds)}
    targets.sort(key=lambda target: order[target.bind.name])
    return Found(tuple(targets), tuple(unknown))


def _reads_from(bind: Bind, applied: set[str]) -> bool:
    """Whether a bind's tenants may be others, now that these binds have been applied.

    A query reads from one of them; a callable or a command may read from what it depends on.
    """
    source = bind.tenants
    if source is None or source.kind not in ("query", "callable", "command"):
        return False
    return not applied.isdisjoint(bind.depends_on)
