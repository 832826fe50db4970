"""`orchestrator rollout revert`: take back what a run or a rollout did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click

from orchestrator.cli.apply import dry_run, log_format, told
from orchestrator.cli.asking import agreed, yes
from orchestrator.cli.changing import patient
from orchestrator.cli.options import as_json, opened
from orchestrator.cli.output import named, note, plural, print_json, say
from orchestrator.cli.plan import Printer, destroyed
from orchestrator.cli.rollout.choosing import driven, ledger_of
from orchestrator.cli.rollout.control import Told, control
from orchestrator.cli.rollout.shown import Planned, mixed_lines, planned_data, wave_lines
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.execution.rollout.begin import begin, wave_row
from orchestrator.execution.rollout.moved import Moved, moved
from orchestrator.execution.rollout.reverting import Revert, revert
from orchestrator.execution.scopes import scope_of
from orchestrator.execution.verifying import Verifier
from orchestrator.fleet.selections import selection_data
from orchestrator.fleet.targets import Selection
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.process import who
from orchestrator.ledger.rollout_types import OVER, RolloutView
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.planning.plan import Plan
from orchestrator.planning.planfile import plan_document


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line asks for."""

    verify: bool
    yes: bool
    dry_run: bool
    told: Told


@click.command(
    "revert",
    epilog="Examples: orchestrator rollout revert last --dry-run; orchestrator rollout revert "
    "20261122T2103",
)
@click.argument("name", metavar="ROLLOUT|RUN")
@click.option(
    "--no-verify", is_flag=True, help="Do not compare schemas before and after each target."
)
@yes
@dry_run
@log_format
@as_json
@opened
@patient
def command(
    project: Project,
    name: str,
    no_verify: bool,
    yes: bool,
    dry_run: bool,
    log_format: str,
    as_json: bool,
) -> int:
    """Take the targets that a rollout or a run upgraded back to where each of them was.

    It shows which steps lose data, and asks. The waves are those of the rollout in the opposite
    order, without their pauses, soaks and checks; the revert is a rollout of its own, which
    `rollout status` shows and `rollout resume` goes on with. Targets that somebody moved since are
    listed and left alone. Revisions without a downgrade are refused before anything is touched. A
    rollout that is not over is ended. Exits 1, too, when a target's schema is not again what it was
    before the rollout.

    The name is an id, as much of one as only one starts with, or "last" for the last rollout.
    """
    if as_json and not (yes or dry_run):
        raise UsageError(
            Problem("--json leaves no room for a question", todo="Pass --yes or --dry-run too.")
        )
    ledger = ledger_of(project.config)
    back = moved(ledger, name)
    made = revert(project, back, told(log_format))
    verify = project.config.rollout.verify and not no_verify
    asked = _Asked(verify, yes, dry_run, Told(log_format, as_json))
    if not made.plan.moving:
        return _nothing(back, made, asked)
    return _begin(project, ledger, back, made, asked)


def _begin(project: Project, ledger: Ledger, back: Moved, made: Revert, asked: _Asked) -> int:
    """Show it, ask, and run it."""
    plan, rules = made.plan, project.config.rollout
    selection = Selection(among=frozenset(one.place for one in back.targets))
    document = plan_document(plan, project.config.root, selection_data(selection))
    verifier = Verifier(scope_of(project))
    planned = Planned(
        plan,
        document["digest"],
        tuple((one, wave_row(number, one, rules)) for number, one in enumerate(made.waves)),
        verifier.before(plan) if asked.verify else (),
    )
    _show(back, made, planned, asked)
    blocked = int(bool(plan.blocked))
    if asked.dry_run:
        return blocked
    if not asked.yes and not agreed(
        _what(back, planned), "Pass --yes to do it, or --dry-run to see the steps alone."
    ):
        return 1
    _end(ledger, back)
    view = begin(
        ledger,
        plan,
        document,
        made.waves,
        rules,
        who=who(),
        verify=asked.verify,
        before=verifier.digests,
        shapes=verifier.kept,
        reverts=back.id,
    )
    code = control(project, ledger, view, "revert", asked.told) or blocked
    unlike = _unlike(Rollouts(ledger), back, view.row.id)
    if unlike:
        note(
            f"{plural(len(unlike), 'target')} went back, and not to the schema from before: "
            f"{named(unlike)}; `orchestrator drift` shows what differs"
        )
    return code or int(bool(unlike))


def _unlike(rollouts: Rollouts, back: Moved, name: str) -> list[str]:
    """The targets whose fingerprint is not the one that they had before the rollout, as far as both
    are known: their downgrades are not the inverse of their upgrades."""
    if back.rollout is None:
        return []
    was = {
        (row.target, row.from_revisions): row.before
        for row in rollouts.targets(back.rollout.row.id)
        if row.before
    }
    return [
        row.target
        for row in rollouts.targets(name, states=("done", "unchanged"))
        if row.after and was.get((row.target, row.to_revisions), row.after) != row.after
    ]


def _end(ledger: Ledger, back: Moved) -> None:
    """End the rollout that is taken back, where it is not over."""
    if not _open(back.rollout):
        return
    rollouts, view = Rollouts(ledger), back.rollout
    assert view is not None, "it is not over"
    if not rollouts.settle(view.row.id, "aborted", f"taken back by {who()}", run=view.row.run):
        raise driven(rollouts.view(view.row.id, plan=False))


def _open(view: RolloutView | None) -> bool:
    return view is not None and view.row.status not in OVER


def _nothing(back: Moved, made: Revert, asked: _Asked) -> int:
    """No target has steps to take back."""
    if asked.told.as_json:
        print_json(_data(back, made, Planned(made.plan, "", ())))
    else:
        for blocked in made.plan.blocked:
            say(f"{blocked.target.id}: {blocked.problem.what}")
        for line in _gone_lines(made):
            say(line)
        rest = "every other target is" if made.plan.blocked else "every target is"
        say(f"nothing to do: {rest} where it was")
    return int(bool(made.plan.blocked))


def _show(back: Moved, made: Revert, planned: Planned, asked: _Asked) -> None:
    if asked.told.as_json:
        if asked.dry_run:
            print_json(_data(back, made, planned))
        return
    Printer(planned.plan, verbose=False).print(planned.digest)
    for line in (*_gone_lines(made), *wave_lines(planned), *mixed_lines(planned.mixed)):
        say(line)


def _gone_lines(made: Revert) -> Iterator[str]:
    if made.gone:
        count = plural(len(made.gone), "target")
        yield f"{count} not in the fleet any more: {named(made.gone)}"


def _what(back: Moved, planned: Planned) -> str:
    steps = sum(len(one.steps) * len(one.targets) for one in planned.plan.moving)
    what = (
        f"this takes back {plural(steps, 'step')} on {plural(planned.targets, 'target')} in "
        f"{plural(len(planned.waves), 'wave')}"
    )
    losing = {(bind, revision) for bind, revision, _words in _losing(planned.plan)}
    if losing:
        what += f"; data of {plural(len(losing), 'revision')} is lost"
    if _open(back.rollout):
        assert back.rollout is not None, "it is not over"
        what += f"; rollout {back.rollout.row.id} ({back.rollout.status}) is ended by it"
    return what


def _losing(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """The statements that destroy data: bind, revision, and what each destroys."""
    found = dict.fromkeys(
        (cohort.bind, one.step.revision, words)
        for cohort in plan.moving
        for one in cohort.steps
        for words in destroyed(cohort, one)
    )
    yield from found


def _data(back: Moved, made: Revert, planned: Planned) -> dict[str, object]:
    return {
        "reverts": back.id,
        **planned_data(planned),
        "destroys": [
            {"bind": bind, "revision": revision, "what": words}
            for bind, revision, words in _losing(planned.plan)
        ],
        "gone": list(made.gone),
    }
