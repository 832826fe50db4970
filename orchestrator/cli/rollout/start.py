"""`orchestrator rollout start`: plan, show the waves, ask, and run them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click

from orchestrator.cli.apply import dry_run, log_format, planner, told, upgrade_to
from orchestrator.cli.asking import agreed
from orchestrator.cli.changing import patient
from orchestrator.cli.lint_output import tell_not_checked
from orchestrator.cli.options import as_json, must_select, opened, selects
from orchestrator.cli.output import note, plural, print_json, say
from orchestrator.cli.plan import Printer
from orchestrator.cli.progress import SMALL
from orchestrator.cli.recorder import open_ledger
from orchestrator.cli.rollout.control import Told, control
from orchestrator.cli.rollout.shown import (
    Planned,
    lint_lines,
    mixed_lines,
    planned_data,
    refused_findings,
    wave_lines,
)
from orchestrator.config import Rollout
from orchestrator.config.waves_file import load_waves
from orchestrator.errors import DatabaseError, Problem, UsageError
from orchestrator.execution.linting import lint_plan
from orchestrator.execution.planner import Request
from orchestrator.execution.project import Project
from orchestrator.execution.rollout.begin import begin, moving_targets, wave_row
from orchestrator.execution.scopes import scope_of
from orchestrator.execution.verifying import Verifier
from orchestrator.fleet.selections import selection_data
from orchestrator.fleet.targets import Selection
from orchestrator.ledger.process import who
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.planning.plan import Plan
from orchestrator.planning.planfile import plan_document
from orchestrator.planning.waves import split


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    selection: Selection
    allow_empty: bool
    to: tuple[str, ...]
    verify: bool
    lint: bool
    allow_lint: bool
    yes: bool
    dry_run: bool
    told: Told


@click.command(
    "start",
    epilog="Examples: orchestrator rollout start --all; orchestrator rollout start --bind shop "
    "--to +1 --waves waves.yaml; orchestrator rollout start --all --dry-run; orchestrator rollout "
    "start --all --yes --log-format json",
)
@selects
@upgrade_to
@click.option(
    "--waves",
    "waves_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take the waves from this file, not from `rollout:` in databases.yaml.",
)
@click.option(
    "--no-verify", is_flag=True, help="Do not compare schemas before and after each target."
)
@click.option("--no-lint", is_flag=True, help="Do not look for dangers in the revisions first.")
@click.option(
    "--allow-lint",
    is_flag=True,
    help="Agree to what lint finds from `lint.fail_on` on; --yes alone does not.",
)
@click.option("--yes", is_flag=True, help="Do not ask; refuse when lint finds something.")
@dry_run
@log_format
@as_json
@opened
@patient
def command(
    project: Project,
    selection: Selection,
    allow_empty: bool,
    to: tuple[str, ...],
    waves_file: Path | None,
    no_verify: bool,
    no_lint: bool,
    allow_lint: bool,
    yes: bool,
    dry_run: bool,
    log_format: str,
    as_json: bool,
) -> int:
    """Upgrade the selected targets in waves, each when the one before has proved right.

    It plans, shows the waves and what lint says of the revisions, and asks. With --yes nobody is
    there to read that: it exits 1 when lint finds something from `lint.fail_on` on, unless each
    finding is allowed in its revision file, or --allow-lint agrees to them. A wave ends when all
    its targets are through, its checks have passed and its soak is over; more failures than its
    budget stop the rollout. Its state is in the ledger: `rollout status` shows it from anywhere,
    and `rollout resume` goes on after a pause, a stop, or a process that was killed.
    """
    must_select(selection, "rollout start")
    if as_json and not (yes or dry_run):
        raise UsageError(
            Problem("--json leaves no room for a question", todo="Pass --yes or --dry-run too.")
        )
    rules = _rules(project, waves_file)
    asked = Asked(
        selection,
        allow_empty,
        to,
        rules.verify and not no_verify,
        not no_lint,
        allow_lint,
        yes,
        dry_run,
        Told(log_format, as_json),
    )
    plan = _plan(project, asked)
    if not plan.moving:
        return _nothing(plan, asked)
    return _begin(project, asked, plan, rules)


def _rules(project: Project, waves_file: Path | None) -> Rollout:
    """The waves. Raises ConfigError for a file that is not right."""
    return project.config.rollout if waves_file is None else load_waves(waves_file)


def _plan(project: Project, asked: Asked) -> Plan:
    """The plan of all that a rollout would do. Raises UsageError for a bind whose tenants are not
    known before another is applied, and DatabaseError for one whose tenants cannot be told."""
    request = Request(
        asked.selection,
        "upgrade",
        asked.to or ("head",),
        allow_empty=asked.allow_empty,
        listener=told(asked.told.log_format),
    )
    plan = planner(project, request).plan()
    if plan.waiting:
        raise UsageError(
            [
                Problem(
                    f"its tenants are known only when {' and '.join(one.after)} "
                    f"{'is' if len(one.after) == 1 else 'are'} applied",
                    where=f"bind {one.bind}",
                    todo="Run `orchestrator upgrade "
                    + " ".join(f"--bind {name}" for name in one.after)
                    + "` first, then start the rollout.",
                )
                for one in plan.waiting
            ]
        )
    if plan.unknown:
        raise DatabaseError([one.problem for one in plan.unknown])
    return plan


def _nothing(plan: Plan, asked: Asked) -> int:
    """No target has steps to take: there is no rollout."""
    if asked.told.as_json:
        print_json(planned_data(Planned(plan, "", ())))
    else:
        for blocked in plan.blocked:
            say(f"{blocked.target.id}: {blocked.problem.what}")
        say("nothing to do: every other target is there" if plan.blocked else "nothing to do")
    return int(bool(plan.blocked))


def _begin(project: Project, asked: Asked, plan: Plan, rules: Rollout) -> int:
    """Show it, ask, and run it."""
    ledger = None
    if not asked.dry_run:
        ledger = open_ledger(project.config, told(asked.told.log_format).warning)
        # What cannot begin need not be compared and linted first.
        Rollouts(ledger).refuse_taken({cohort.bind for cohort in plan.moving})
    depends = {name: bind.depends_on for name, bind in project.config.binds.items()}
    waves = split(moving_targets(plan), rules, depends)
    document = plan_document(plan, project.config.root, selection_data(asked.selection))
    verifier = Verifier(scope_of(project))
    rows = [wave_row(number, one, rules) for number, one in enumerate(waves)]
    planned = Planned(plan, document["digest"], tuple(zip(waves, rows, strict=True)))
    planned = _looked_at(project, asked, planned, verifier)
    _show(planned, asked)
    for one, row in planned.waves:
        if not one.targets:
            told(asked.told.log_format).warning(
                f"wave {row.name} gets no target: no target that has steps to take is in it"
            )
    blocked = int(bool(plan.blocked))
    if ledger is None:
        return blocked
    if not _agreed(planned, asked):
        return 1
    view = begin(
        ledger,
        plan,
        document,
        waves,
        rules,
        who=who(),
        verify=asked.verify,
        before=verifier.digests,
        shapes=verifier.kept,
    )
    return control(project, ledger, view, "start", asked.told) or blocked


def _agreed(planned: Planned, asked: Asked) -> bool:
    """Whether to begin. Raises FindingsError for findings that nobody agreed to, and UsageError
    where there is nobody to ask."""
    unread = bool(planned.findings) and not asked.allow_lint
    if asked.yes and unread:
        if asked.told.as_json:
            print_json(planned_data(planned))
        raise refused_findings(planned.findings)
    agree = "--yes --allow-lint" if unread else "--yes"
    todo = f"Pass {agree} to do it, or --dry-run to see the waves alone."
    return asked.yes or agreed(_what(planned), todo)


def _looked_at(project: Project, asked: Asked, planned: Planned, verifier: Verifier) -> Planned:
    """With what lint says of its revisions, and which targets are not like their cohort."""
    if asked.told.log_format == "text" and planned.targets > SMALL and (asked.lint or asked.verify):
        targets = plural(planned.targets, "target")
        note(f"looking at {targets} and their revisions before anything runs")
    report = lint_plan(project, planned.plan) if asked.lint else None
    return replace(
        planned,
        mixed=verifier.before(planned.plan) if asked.verify else (),
        lint=report,
        findings=report.at_least(project.config.lint.fail_on) if report is not None else (),
    )


def _show(planned: Planned, asked: Asked) -> None:
    if asked.told.as_json:
        if asked.dry_run:
            print_json(planned_data(planned))
        return
    Printer(planned.plan, verbose=False).print(planned.digest)
    for line in (*wave_lines(planned), *mixed_lines(planned.mixed), *lint_lines(planned)):
        say(line)
    if planned.lint is not None and asked.told.log_format == "text":
        tell_not_checked(planned.lint)


def _what(planned: Planned) -> str:
    what = (
        f"this upgrades {plural(planned.targets, 'target')} in {plural(len(planned.waves), 'wave')}"
    )
    if planned.mixed:
        what += f", {plural(len(planned.mixed), 'target')} of them not like their cohort now"
    if planned.findings:
        what += f", with {plural(len(planned.findings), 'finding')} of lint"
    return what
