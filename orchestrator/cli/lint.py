"""`orchestrator lint`: what revisions would do to a fleet, before they run."""

from __future__ import annotations

import click

from orchestrator.checks.lint.types import SEVERITIES, LintReport, Severity
from orchestrator.cli.apply import planner, told
from orchestrator.cli.lint_live import list_live
from orchestrator.cli.lint_output import (
    github_lines,
    placed,
    print_report,
    print_rules,
    report_data,
    tell_not_checked,
)
from orchestrator.cli.options import as_json, opened, selects
from orchestrator.cli.output import note, print_json, say
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.lint_choice import Choice, chosen
from orchestrator.execution.linting import check_settings, lint, lint_plan
from orchestrator.execution.planner import Request
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection, selected_binds
from orchestrator.planning.plan import Plan


@click.command(
    "lint",
    epilog="Examples: orchestrator lint; orchestrator lint --since 4f2a --format github; "
    "orchestrator lint --live --bind shop",
)
@click.option(
    "--since", default="", metavar="REV", help="What an upgrade from this revision would run."
)
@click.option(
    "--revision", "revisions", multiple=True, metavar="REV", help="This revision (or bind:REV)."
)
@click.option("--all-revisions", is_flag=True, help="Every revision of the selected binds.")
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    help="Exit with 1 for findings from this severity on (lint.fail_on in databases.yaml, error).",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "github"]),
    default="text",
    show_default=True,
    help="github: workflow commands, which GitHub shows at the lines of a pull request.",
)
@click.option(
    "--require-scratch",
    is_flag=True,
    help="Exit with 1 when a rule could not be asked, for want of a scratch database or else.",
)
@click.option("--rules", is_flag=True, help="List every rule, and look at nothing.")
@click.option(
    "--live",
    is_flag=True,
    help="List the live revisions only: their Python needs the connection, so each target pays.",
)
@selects
@as_json
@opened
def command(
    project: Project,
    since: str,
    revisions: tuple[str, ...],
    all_revisions: bool,
    fail_on: Severity | None,
    form: str,
    require_scratch: bool,
    rules: bool,
    live: bool,
    selection: Selection,
    allow_empty: bool,
    as_json: bool,
) -> int:
    """Look at what an upgrade of the selected targets would run, and say what endangers them.

    With --since, --revision or --all-revisions no target is looked at. Revisions are tried on a
    scratch database where one can be made: upgrade, downgrade, upgrade. Exits with 1 when there is
    a finding from --fail-on on that no comment in the revision allows, and when nobody can tell
    what a selected target would run.
    """
    choice = Choice(since, revisions, all_revisions)
    if live:
        return list_live(project, selection.binds, as_json=as_json)
    check_settings(project)
    if rules:
        print_rules(project.config.lint, as_json=as_json)
        return 0
    plan = None if choice.given else _plan(project, selection, allow_empty=allow_empty)
    report = _of_choice(project, selection, choice) if plan is None else lint_plan(project, plan)
    if plan is not None:
        _tell_left_out(plan)
    tell_not_checked(report)
    if as_json:
        print_json(report_data(report))
    elif form == "github":
        for line in github_lines(placed(report, project.config.root)):
            say(line)
    else:
        print_report(placed(report, project.config.root))
    failed = bool(report.at_least(fail_on or project.config.lint.fail_on))
    gaps = require_scratch and bool(report.not_checked)
    return int(failed or gaps or (plan is not None and bool(plan.blocked or plan.unknown)))


def _of_choice(project: Project, selection: Selection, choice: Choice) -> LintReport:
    if selection.tenants or selection.servers or selection.labels or selection.limit:
        raise UsageError(
            Problem(
                "revisions are chosen by --since, --revision or --all-revisions, and no target is",
                todo="Narrow with --bind only.",
            )
        )
    binds = selected_binds(project.config, selection)
    return lint(project, chosen(project, binds, choice, told()))


def _plan(project: Project, selection: Selection, *, allow_empty: bool) -> Plan:
    request = Request(selection, "upgrade", ("heads",), allow_empty=allow_empty, listener=told())
    return planner(project, request).plan()


def _tell_left_out(plan: Plan) -> None:
    """The targets whose next revisions nobody can tell."""
    for blocked in plan.blocked:
        note(f"error: target {blocked.target.id}: left out: {blocked.problem.what}")
    for unknown in plan.unknown:
        note(f"error: bind {unknown.bind.name}: left out: {unknown.words}")
    for waiting in plan.waiting:
        note(f"bind {waiting.bind}: left out: planned after {', '.join(waiting.after)}")
