"""`orchestrator status`: where every target stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace

import click

from orchestrator.cli.options import as_json, opened, selects
from orchestrator.cli.output import print_json, revisions, say
from orchestrator.cli.targets import describe, describe_unknown, waiting
from orchestrator.errors import HistoryError
from orchestrator.execution.project import Project
from orchestrator.fleet.state import FleetState, read_fleet
from orchestrator.fleet.targets import Selection, find_targets
from orchestrator.fleet.types import State, Target, UnknownTenants
from orchestrator.planning.cohorts import Flavours
from orchestrator.planning.halfway import half_of, half_words, obstacle
from orchestrator.revisions.history import History
from orchestrator.revisions.recordings import Listener
from orchestrator.revisions.types import Step
from orchestrator.safety.journal import HalfApplied
from orchestrator.safety.owners import Owner

LARGE = 50
"""A fleet larger than this is shown by cohort."""

EXAMINED = 20
"""Up to so many half-applied targets are looked at one by one, to tell those that are dirty."""

_WIDTH = 100
_COHORTS = 12
"""How many cohorts of a bind are shown, the largest first."""
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """A target's state, in the words of its history. pending: the revisions up to the heads. half:
    the step inside which it stopped."""

    target: Target
    state: State
    kind: str
    pending: tuple[str, ...] = ()
    detail: str = ""
    half: HalfApplied | None = None

    @property
    def behind(self) -> int:
        """How many steps lead to the heads."""
        return len(self.pending)

    @property
    def words(self) -> str:
        """For people: "4f2a (head)", "1b7c (3 behind)", "missing: no schema t_acme"."""
        known = revisions(self.state.revisions)
        heads = len(self.state.revisions)
        said = {
            "head": f"{known} ({'heads' if heads > 1 else 'head'})",
            "behind": f"{known} ({f'{heads} heads, ' if heads > 1 else ''}{self.behind} behind)",
            "unknown": f"{known} (unknown: {self.detail})",
            "no-version-table": f"no version table ({self.behind} behind)",
            "half-applied": f"{known}, half-applied: {self.detail}",
            "dirty": f"{known}, dirty: {self.detail}",
        }
        words = said.get(self.kind) or self.kind + (f": {self.detail}" if self.detail else "")
        return f"{words}; {self.blind}" if self.blind else words

    @property
    def blind(self) -> str:
        """Why nobody can tell whether it is half-way through a step."""
        return self.state.detail if self.state.kind in ("known", "no-version-table") else ""


def standing(target: Target, state: State, history: History) -> Standing:
    """Read a state against a history."""
    if state.kind not in ("known", "no-version-table"):
        return Standing(target, state, state.kind, detail=state.detail)
    half = half_of(state)
    if half is not None:
        return _half_applied(target, state, half, history)
    unknown = history.unknown(state.revisions)
    if unknown:
        words = f"no revision file has {', '.join(unknown)}"
        return Standing(target, state, "unknown", detail=words)
    try:
        steps = history.path(state.revisions, history.upgrade("heads"))
    except HistoryError as error:
        # Rows that contradict each other, such as a revision together with one before it.
        return Standing(target, state, "unknown", detail=error.problems[0].what)
    pending = tuple(step.revision for step in steps)
    if state.kind == "no-version-table":
        return Standing(target, state, "no-version-table", pending)
    return Standing(target, state, "behind" if pending else "head", pending)


def _half_applied(target: Target, state: State, half: HalfApplied, history: History) -> Standing:
    steps: tuple[Step, ...] = ()
    with suppress(HistoryError):  # Its files may be gone.
        steps = history.path(state.revisions, history.upgrade("heads"))
    goes_on = obstacle(target, state, steps) is None
    next_ = "the next upgrade continues it" if goes_on else "see `orchestrator repair`"
    pending = tuple(step.revision for step in steps)
    words = f"{half_words(half)}; {next_}"
    return Standing(target, state, "half-applied", pending, words, half)


def standings(
    targets: Sequence[Target], states: Sequence[State], histories: Mapping[str, History]
) -> list[Standing]:
    """`standing` for many; a history is asked once for each state, not for each target."""
    known: dict[tuple[str, State], Standing] = {}
    found = []
    for target, state in zip(targets, states, strict=True):
        key = (target.bind.name, state)
        one = known.get(key)
        if one is None:
            one = known[key] = standing(target, state, histories[target.bind.name])
        found.append(Standing(target, state, one.kind, one.pending, one.detail, one.half))
    return found


@click.command("status", epilog="Example: orchestrator status --bind shop --exit-code")
@selects
@as_json
@click.option("--exit-code", is_flag=True, help="Exit 1 when a target is not at head.")
@opened
def command(
    project: Project, selection: Selection, allow_empty: bool, as_json: bool, exit_code: bool
) -> int:
    """Show where every target stands: at head, behind, half-applied, dirty, unknown, missing.

    Without a selection it shows the whole fleet; more than 50 targets are grouped by their state.
    """
    fleet = find_targets(project.config, selection, allow_empty=allow_empty)
    binds = list(dict.fromkeys(target.bind.name for target in fleet.targets))
    project.config.require(binds=binds)
    told, histories = read_fleet(fleet.targets), project.histories(binds)
    found = standings(fleet.targets, told.states, histories)
    if 0 < sum(one.half is not None for one in found) <= EXAMINED:
        found = _examined(project, found, told, histories)
    if as_json:
        unknown = [describe_unknown(one) | _NO_STATE for one in fleet.unknown]
        flavours = Flavours(told.flavours)
        print_json([*(_as_json(one, flavours) for one in found), *unknown])
    else:
        _print(found, fleet.unknown)
    at_head = all(one.kind == "head" and not one.blind for one in found) and not fleet.unknown
    return int(exit_code and not at_head)


def _examined(
    project: Project, found: list[Standing], told: FleetState, histories: Mapping[str, History]
) -> list[Standing]:
    """The same, with what the databases of half-applied targets say of them."""
    # Few fleets have any, and start-up is short of time.
    from orchestrator.execution.examining import Examiner
    from orchestrator.execution.repairing import stopped_among
    from orchestrator.execution.sessions import SessionStore

    stopped = stopped_among([one.target for one in found], told, histories)
    with closing(SessionStore()) as sessions:
        examiner = Examiner(project.config, sessions, Owner.here(), Listener())
        known = {one.target.id: examiner.examine(one) for one in stopped}
    exact = []
    for one in found:
        seen = known.get(one.target.id)
        if seen is not None and seen.busy:
            words = f"{half_words(one.half or seen.half)}, or runs now: locked by {seen.busy}"
            one = replace(one, detail=words)
        elif seen is not None and seen.dirty:
            words = f"{half_words(seen.half)}: {seen.dirty}; see `orchestrator repair`"
            one = replace(one, kind="dirty", detail=words, half=seen.half)
        exact.append(one)
    return exact


_NO_STATE: dict[str, object] = {
    "status": "tenants-unknown",
    "flavour": None,
    "revisions": [],
    "behind": 0,
}


def _as_json(one: Standing, flavours: Flavours) -> dict[str, object]:
    known = flavours.of(one.target)
    return describe(one.target) | {
        "status": one.kind,
        "flavour": str(known[0]) if known else None,
        "revisions": list(one.state.revisions),
        "behind": one.behind,
        "detail": one.detail or one.blind,
        "half_applied": half_data(one.half) if one.half else None,
    }


def half_data(half: HalfApplied) -> dict[str, object]:
    """A half-applied step for machines. statements: 0 where nobody can tell how many there are."""
    doubt = half.in_doubt
    return {
        "revision": half.revision,
        "direction": half.direction,
        "live": half.live,
        "statements": len(half.planned),
        "done": half.done,
        "in_doubt": {"number": doubt.number, "statement": doubt.statement} if doubt else None,
        "owner": half.owner,
        "started": half.started,
    }


def _print(found: list[Standing], unknown: Sequence[UnknownTenants]) -> None:
    if len(found) > LARGE:
        for line in by_cohort(found):
            say(line)
    else:
        width = max((len(one.target.id) for one in found), default=0)
        for one in found:
            say(f"{one.target.id:<{width}}  {one.words}")
    for bind in unknown:
        say(waiting(bind))


def by_cohort(found: Sequence[Standing]) -> Iterator[str]:
    """Lines for a large fleet: "shop: 9,812 at 4f2a (head), 188 at 1b7c (3 behind: ...)"."""
    binds: dict[str, dict[tuple[object, ...], list[Standing]]] = {}
    for one in found:
        cohorts = binds.setdefault(one.target.bind.name, {})
        cohorts.setdefault(cohort_of(one), []).append(one)
    for bind, cohorts in binds.items():
        largest = sorted(cohorts.values(), key=len, reverse=True)
        parts = [_cohort_words(cohort) for cohort in largest[:_COHORTS]]
        rest = largest[_COHORTS:]
        if rest:
            count = sum(map(len, rest))
            parts.append(f"{count:,} in {len(rest):,} other states (--json lists all)")
        yield from _wrapped(f"{bind}: ", parts)


def cohort_of(one: Standing) -> tuple[object, ...]:
    """What targets have in common that are counted together: a state, or a cause."""
    if one.kind in ("missing", "denied", "unreachable"):
        server = one.target.server.name if one.kind == "unreachable" else ""
        cause = "" if one.kind == "missing" else _cause(one)
        return one.kind, server, cause
    return one.kind, one.state.revisions, one.detail, one.blind


def _cause(one: Standing) -> str:
    """A server's message without what it says of this target alone."""
    text = one.detail
    for name in (one.target.schema, one.target.database):
        text = text.replace(name, "...") if name else text
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def _cohort_words(cohort: Sequence[Standing]) -> str:
    one, count = cohort[0], f"{len(cohort):,}"
    known = revisions(one.state.revisions)
    if one.kind == "no-version-table":
        return f"{count} without version table ({_behind(one)})"
    if one.kind == "behind":
        heads = len(one.state.revisions)
        return f"{count} at {known} ({f'{heads} heads, ' if heads > 1 else ''}{_behind(one)})"
    if one.kind in ("head", "unknown"):
        return f"{count} at {one.words}"
    if one.kind in ("half-applied", "dirty"):
        return f"{count} at {one.words} ({_names(cohort)})"
    if one.kind == "missing":
        return f"{count} missing ({_names(cohort)})"
    on = f" on server {one.target.server.name}" if one.kind == "unreachable" else ""
    return f"{count} {one.kind}{on} ({_cause(one)}: {_names(cohort)})"


def _names(cohort: Sequence[Standing]) -> str:
    names = [standing.target.tenant or standing.target.id for standing in cohort[:_EXAMPLES]]
    names += ["..."] if len(cohort) > _EXAMPLES else []
    return ", ".join(names)


def _behind(one: Standing) -> str:
    """ "3 behind: 1b7c, 2d8e, 4f2a", with the middle left out of a long way."""
    if not one.pending:
        return "0 behind"
    shown = one.pending if len(one.pending) <= 4 else (*one.pending[:2], "...", one.pending[-1])
    return f"{one.behind:,} behind: {', '.join(shown)}"


def _wrapped(head: str, parts: Sequence[str]) -> Iterator[str]:
    """The parts behind each other, as many on a line as fit."""
    line = head
    for number, part in enumerate(parts):
        text = part + ("," if number < len(parts) - 1 else "")
        if line.strip() and line != head and len(line) + 1 + len(text) > _WIDTH:
            yield line
            line = " " * len(head)
        line += text if line == head or not line.strip() else f" {text}"
    yield line
