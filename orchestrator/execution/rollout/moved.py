"""What a run or a rollout moved, as the ledger knows it.

Enters: an id.  Leaves: a Moved: each target with where it was and how far it was taken, and the
waves in which it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from orchestrator.config import Wave
from orchestrator.errors import Problem, UsageError
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import RolloutTarget, RolloutView, WaveRow
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.ledger.types import OutcomeRow, RunView
from orchestrator.planning.paths import WayBack
from orchestrator.planning.waves import ALL

_UPGRADES = ("upgrade", "rollout start", "rollout resume", "rollout retry")


@dataclass(frozen=True, slots=True)
class MovedTarget:
    """A target that was moved.

    place: its bind, server and tenant. start: where it was. end: how far it was taken, or at most;
    None where the process was killed before it could say that. wave: its place in `Moved.waves`.
    """

    id: str
    place: tuple[str, str, str | None]
    start: tuple[str, ...]
    end: tuple[str, ...] | None
    wave: int = 0

    @property
    def way(self) -> WayBack | None:
        """Its way back, where the end of it is known."""
        return None if self.end is None else WayBack(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Moved:
    """What a run or a rollout moved.

    id: its own. rollout: the one that it is, or that it drove, without its plan; None for other
    runs. waves: in the order in which the targets were taken, with the rules of a revert.
    """

    id: str
    rollout: RolloutView | None
    targets: tuple[MovedTarget, ...]
    waves: tuple[Wave, ...]


def moved(ledger: Ledger, name: str) -> Moved:
    """What the rollout or run of this name moved: an id, as much of one as only one starts with, or
    "last" for the last rollout.

    Raises UsageError for none and several, for what still runs, and for what moved nothing forward;
    LedgerError.
    """
    rollouts = Rollouts(ledger)
    rollout, run = _named(ledger, rollouts, name)
    if rollout is None:
        assert run is not None, "one of the two was found"
        _fits(run.run.verb, f"run {run.run.id}", runs=run.result == "running")
        targets = tuple(_targets([ledger.outcomes(run)], {}))
        waves = (Wave(ALL, checks=()),)
        return _filled(Moved(run.run.id, None, targets, waves), f"run {run.run.id}")
    id_ = rollout.row.id if run is None else run.run.id
    where = f"rollout {id_}" if run is None else f"run {id_}"
    _fits(rollout.row.verb, where, runs=rollout.driven)
    runs = list(_runs(ledger, rollouts, rollout)) if run is None else [run]
    rows = {row.target: row for row in rollouts.targets(rollout.row.id)}
    outcomes = [ledger.outcomes(one) for one in runs]
    targets = tuple(_targets(outcomes, rows, whole=run is None))
    return _filled(Moved(id_, rollout, targets, tuple(map(_rules, rollout.waves))), where)


def _runs(ledger: Ledger, rollouts: Rollouts, rollout: RolloutView) -> Iterator[RunView]:
    """The runs that drove a rollout; old ones may have been deleted from the ledger."""
    for one in rollouts.runs(rollout.row.id):
        try:
            yield ledger.run(one)
        except UsageError:
            continue


def _named(
    ledger: Ledger, rollouts: Rollouts, name: str
) -> tuple[RolloutView | None, RunView | None]:
    """A rollout, or a run, or both: a run that drove a rollout."""
    try:
        return rollouts.view(name, plan=False), None
    except UsageError as error:
        no_rollout = error
    try:
        run = ledger.run(name)
    except UsageError as no_run:
        raise _neither(name, no_rollout, no_run) from None
    rollout = rollouts.of_run(run.run.id)
    return (None if rollout is None else rollouts.view(rollout, plan=False)), run


def _neither(name: str, *errors: UsageError) -> UsageError:
    """The error of a name that means several of one kind, or none of both."""
    for error in errors:
        if error.problems[0].what.startswith("several"):
            return error
    return UsageError(
        Problem(
            f"the ledger has no run or rollout {name!r}",
            todo="See `orchestrator runs` and `orchestrator rollout status`.",
        )
    )


def _fits(verb: str, where: str, *, runs: bool) -> None:
    if runs:
        what, todo = "it still runs", "Stop it first: `orchestrator rollout pause`, or a signal."
    elif verb in _UPGRADES:
        return
    elif verb == "stamp":
        what, todo = "it stamped targets, and ran nothing", "Stamp them where they were."
    else:
        what = "it took targets back"
        todo = "Take them forward with `orchestrator upgrade` or `orchestrator rollout start`."
    raise UsageError(Problem(what, where=where, todo=todo))


def _filled(found: Moved, where: str) -> Moved:
    if not found.targets:
        raise UsageError(
            Problem("it moved no target", where=where, todo="See `orchestrator runs`.")
        )
    return found


def _targets(
    runs: Sequence[Sequence[OutcomeRow]],
    rows: Mapping[str, RolloutTarget],
    *,
    whole: bool = False,
) -> Iterator[MovedTarget]:
    """The targets that were moved. runs: the outcomes of each, the first one first. rows: of the
    rollout that they drove. whole: they are all its runs."""
    outcomes: dict[str, list[OutcomeRow]] = {}
    for one in chain.from_iterable(runs):
        # What is planned still, in a run that has ended, may have been done.
        if one.steps or one.result == "planned":
            outcomes.setdefault(one.target, []).append(one)
    numbers = {
        number: place for place, number in enumerate(sorted({r.wave for r in rows.values()}))
    }
    for target, its in outcomes.items():
        row = rows.get(target)
        if row is not None and row.state == "unchanged":
            continue  # Somebody else brought it there.
        end = None if its[-1].result == "planned" else _state(its[-1].to_revisions)
        if end is None and row is not None:
            end = _state(row.to_revisions)
        wave = 0 if row is None else numbers[row.wave]
        place = its[0].bind, its[0].server, its[0].tenant
        yield MovedTarget(target, place, _state(its[0].from_revisions), end, wave)
    for target, row in rows.items():
        if whole and target not in outcomes and row.state in ("done", "different"):
            start, end = _state(row.from_revisions), _state(row.to_revisions)
            place = row.bind, row.server, row.tenant
            yield MovedTarget(target, place, start, end, numbers[row.wave])


def _state(written: str) -> tuple[str, ...]:
    return tuple(sorted(one for one in written.split(",") if one))


def _rules(wave: WaveRow) -> Wave:
    """A wave of a revert: nobody waits for it, and what was checked of the new state is not asked
    of the old one."""
    return Wave(
        wave.name, concurrency=wave.concurrency, max_failures=str(wave.max_failures), checks=()
    )
