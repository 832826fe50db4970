"""`--verify`: the schemas of what a run moves, compared before and after, and told.

Enters: the plans and outcomes of a run.  Leaves: which targets are not like their cohort, on stdout
behind the outcomes, or as events while the run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.cli.mismatches import mismatch_data, mismatch_lines
from orchestrator.cli.output import note, plural, say
from orchestrator.cli.progress import Events, Observer
from orchestrator.execution.project import Project
from orchestrator.execution.scopes import scope_of
from orchestrator.execution.types import Mismatch, Outcome
from orchestrator.execution.verifying import Verifier
from orchestrator.planning.plan import Plan

BATCH = 200
"""So many targets that are done are read together."""

_SHOWN = 20
"""So many targets are told, with what differs."""


class Verified:
    """What a run did to schemas. found: the targets that are not like their cohort."""

    def __init__(self, project: Project, observer: Observer) -> None:
        """observer: hears of them at once where it tells events."""
        self.found: list[Mismatch] = []
        self._verifier = Verifier(scope_of(project))
        self._events = observer if isinstance(observer, Events) else None
        self._done: list[Outcome] = []

    def planned(self, plan: Plan) -> None:
        """Read what the targets of a stage are like."""
        moving = sum(len(cohort.targets) for cohort in plan.moving)
        if moving and self._events is None:
            note(f"verify: reading {plural(moving, 'schema')}")
        self._hear(self._verifier.before(plan))

    def ended(self, outcome: Outcome) -> None:
        """Compare it, together with others."""
        self._done.append(outcome)
        if len(self._done) >= BATCH:
            self.catch_up()

    def catch_up(self) -> None:
        """Compare those that have ended since."""
        done, self._done = self._done, []
        self._hear(self._verifier.after(done))

    def _hear(self, mismatches: Sequence[Mismatch]) -> None:
        self.found += mismatches
        if self._events is not None:
            for one in mismatches:
                self._events.tell("mismatch", **mismatch_data(one))

    @property
    def wrong(self) -> list[Mismatch]:
        """Those that the run should have left like the others."""
        return [one for one in self.found if one.stops]

    @property
    def words(self) -> str:
        """The same for the ledger; "" when there are none."""
        return "\n".join(_lines(self.wrong))

    def print(self) -> None:
        """What was found, and how much was compared."""
        if self.found:
            say()
        for line in _lines(self.found):
            say(line)
        compared = plural(len(self._verifier.after_digests), "schema")
        before = len(self.found) - len(self.wrong)
        said = f", {len(self.wrong):,} not as expected" if self.wrong else ", all as expected"
        said += f", {before:,} not like their cohort before" if before else ""
        say(f"verify: {compared} compared{said}")

    def of(self, outcome: Outcome) -> list[dict[str, object]]:
        """What was found of one target, for machines."""
        return [mismatch_data(one) for one in self.found if one.target.id == outcome.target.id]


def _lines(mismatches: Sequence[Mismatch]) -> Iterable[str]:
    # Those that the run is to blame for come first.
    for one in sorted(mismatches, key=lambda one: not one.stops)[:_SHOWN]:
        yield from mismatch_lines(one)
    more = len(mismatches) - _SHOWN
    if more > 0:
        yield f"and {plural(more, 'other target')}"
