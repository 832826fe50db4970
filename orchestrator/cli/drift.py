"""`orchestrator drift`: which targets are not what their revision, or the models, say."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import click

from orchestrator.checks.differences import words
from orchestrator.checks.types import Difference
from orchestrator.cli.options import as_json, opened, selects
from orchestrator.cli.output import (
    is_terminal,
    named,
    note,
    plural,
    print_json,
    redact,
    revisions,
    say,
)
from orchestrator.cli.targets import describe_unknown, waiting
from orchestrator.execution.drift_types import Aside, Drift, Group, Judged, ModelDifference
from orchestrator.execution.drifting import Asked, find_drift
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection, find_targets, target_named
from orchestrator.fleet.types import Target, UnknownTenants

_NAMES = 5
"""So many targets of a group are named."""
_LINES = 20
"""So many differences of a group are told."""
_UNNAMED = (" key", " constraint")
_FINGERPRINT = 8
"""So many characters of a fingerprint tell it from the others of a fleet."""


@click.command(
    "drift",
    epilog="Examples: orchestrator drift; orchestrator drift --bind shop --no-models --json",
)
@selects
@as_json
@click.option("--no-models", is_flag=True, help="Compare with the history alone.")
@click.option(
    "--against",
    metavar="TARGET",
    help="Compare its bind's targets with this one, which must be at their revision, instead of "
    "a scratch database.",
)
@click.option(
    "--ignore-column-order", is_flag=True, help="The order of a table's columns does not count."
)
@opened
def command(
    project: Project,
    selection: Selection,
    allow_empty: bool,
    as_json: bool,
    no_models: bool,
    against: str | None,
    ignore_column_order: bool,
) -> int:
    """Find targets whose live schema is not what their own revision says; nothing is changed.

    Targets with equal schemas are one group, and one of each is compared in full: with a scratch
    database at its revision, and at head with the models. Without a selection it looks at the whole
    fleet. Exits 1 when anything differs or cannot be judged.
    """
    fleet = find_targets(project.config, selection, allow_empty=allow_empty)
    project.config.require(binds=dict.fromkeys(target.bind.name for target in fleet.targets))
    asked = Asked(
        models=not no_models,
        against=target_named(project.config, against) if against else None,
        column_order=False if ignore_column_order else None,
    )
    with _telling() as heard:
        found = find_drift(project, fleet.targets, asked, heard)
    if as_json:
        print_json(_data(found, fleet.unknown))
    else:
        _show(found, fleet.unknown)
    return int(found.found or bool(fleet.unknown))


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Says on stderr what goes on: one line that changes on a terminal, a line each elsewhere."""
    if not is_terminal(sys.stderr):
        started = time.monotonic()
        yield lambda text: note(f"{time.monotonic() - started:6.1f} s  {text}")
        return
    from rich.console import Console  # only a terminal pays for it
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda text: progress.update(task, description=redact(text))


def _show(found: Drift, unknown: Sequence[UnknownTenants]) -> None:
    for _place, groups in groupby(found.groups, key=_place_of):
        for line in _told(list(groups)):
            say(line)
    for aside in found.asides:
        say(_aside_words(aside))
    for one in unknown:
        say(waiting(one))
    say(_sum(found, len(unknown)))


def _place_of(one: Judged) -> tuple[object, ...]:
    group = one.group
    return group.bind.name, group.flavour, group.revisions


def _told(groups: Sequence[Judged]) -> Iterator[str]:
    """Groups of one bind, series and revisions."""
    one = groups[0]
    head = " (head)" if one.group.at_head else ""
    total = plural(sum(len(judged.group.targets) for judged in groups), "target")
    yield f"{one.group.bind.name} at {revisions(one.group.revisions)}{head}: {total}"
    if one.verdict == "not-judged":
        yield f"  cannot be judged: {one.reason}"
    else:
        yield f"  compared with {one.reference}"
    left_out = max(judged.left_out for judged in groups)
    if left_out:
        yield (
            f"  {plural(left_out, 'difference')} that every target shows left out: the targets are "
            f"on {one.group.flavour}, and that alone may be why"
        )
    for judged in groups:
        yield f"  {_headline(judged)}"
        yield from (f"    {line}" for line in _lines(judged))


def _headline(judged: Judged) -> str:
    group = judged.group
    count = len(group.targets)
    said = {
        "as-revision": "is as its revision says" if count == 1 else "are as their revision says",
        "drifted": "differs" if count == 1 else "differ, all in the same way",
        "not-judged": "has this schema" if count == 1 else "have one and the same schema",
    }[judged.verdict]
    return (
        f"{plural(count, 'target')} {said}: {_names(group.targets)} "
        f"(fingerprint {group.fingerprint[:_FINGERPRINT]})"
    )


def _lines(judged: Judged) -> Iterator[str]:
    """What differs; what the models say of the same thing is not said again."""
    told = {(one.table, one.name) for one in judged.differences}
    # Models may leave a constraint's name to the server.
    told |= {(one.table, "") for one in judged.differences if one.kind.endswith(_UNNAMED)}
    lines = [words(one) for one in judged.differences]
    lines += [
        f"to be as the models say: {one.words}"
        for one in judged.models
        if (one.table, one.name) not in told
    ]
    yield from lines[:_LINES]
    if len(lines) > _LINES:
        yield f"and {plural(len(lines) - _LINES, 'more difference')} (--json lists all)"
    if judged.models_reason:
        yield f"not compared with the models: {judged.models_reason}"


def _aside_words(aside: Aside) -> str:
    count = len(aside.targets)
    is_ = "is" if count == 1 else "are"
    has = "has" if count == 1 else "have"
    said = {
        "missing": f"{is_} missing",
        "denied": "may not be read",
        "unreachable": "cannot be reached",
        "unreadable": "cannot be read",
        "no-version-table": f"{has} no version table: never upgraded, never stamped",
        "unknown": f"{is_} at an unknown revision",
        "half-applied": f"{is_} half-way through a step",
        "moved": "moved to another state meanwhile: look again",
    }[aside.kind]
    detail = f": {aside.detail}" if aside.detail and aside.kind != "missing" else ""
    return f"{aside.bind.name}: {plural(count, 'target')} {said}{detail}: {_names(aside.targets)}"


def _names(targets: Sequence[Target]) -> str:
    names = (
        target.tenant if target.tenant and len(target.bind.servers) == 1 else target.id
        for target in targets
    )
    return named(names, _NAMES)


def _sum(found: Drift, unknown: int) -> str:
    drifted = found.count("drifted")
    unjudged = found.count("not-judged") + sum(len(one.targets) for one in found.asides)
    every = drifted + unjudged + found.count("as-revision")
    parts = []
    if drifted:
        ways = sum(one.verdict == "drifted" for one in found.groups)
        in_ways = f", in {ways:,} different ways" if ways > 1 else ""
        differ = "differs" if drifted == 1 else "differ"
        parts.append(f"{drifted:,} of {plural(every, 'target')} {differ}{in_ways}")
    models = [one for one in found.groups if one.models and one.verdict == "as-revision"]
    if models:
        binds = dict.fromkeys(one.group.bind.name for one in models)
        parts.append(f"the models of {', '.join(binds)} are not what the history says")
    if unjudged:
        parts.append(f"{plural(unjudged, 'target')} could not be judged")
    if unknown:
        parts.append("some tenants are not known")
    if any(one.models_reason for one in found.groups):
        parts.append("models were not compared everywhere")
    if parts:
        return f"drift: {'; '.join(parts)}"
    as_said = "is as its revision says" if every == 1 else "are as their revisions say"
    return f"drift: none; {plural(every, 'target')} {as_said}"


def _data(found: Drift, unknown: Sequence[UnknownTenants]) -> dict[str, object]:
    asides = found.asides
    return {
        "drift": found.found or bool(unknown),
        "as_revision": found.count("as-revision"),
        "drifted": found.count("drifted"),
        "not_judged": found.count("not-judged") + sum(len(one.targets) for one in asides),
        "groups": [_group_data(one) for one in found.groups],
        "not_read": [
            {
                "bind": one.bind.name,
                "kind": one.kind,
                "detail": one.detail,
                "targets": [target.id for target in one.targets],
            }
            for one in asides
        ],
        "tenants_unknown": [describe_unknown(one) for one in unknown],
    }


def _group_data(one: Judged) -> dict[str, object]:
    group: Group = one.group
    return {
        "bind": group.bind.name,
        "flavour": str(group.flavour),
        "revisions": list(group.revisions),
        "at_head": group.at_head,
        "fingerprint": group.fingerprint,
        "verdict": one.verdict,
        "reason": one.reason,
        "compared_with": one.reference,
        "left_out": one.left_out,
        "differences": [_difference_data(each) for each in one.differences],
        "models": [_model_data(each) for each in one.models],
        "models_reason": one.models_reason,
        "targets": [target.id for target in group.targets],
    }


def _difference_data(one: Difference) -> dict[str, str]:
    return {
        "what": one.what,
        "kind": one.kind,
        "table": one.table,
        "name": one.name,
        "fact": one.fact,
        "expected": one.expected,
        "found": one.found,
        "words": words(one),
    }


def _model_data(one: ModelDifference) -> dict[str, str]:
    return {"table": one.table, "name": one.name, "words": one.words}
