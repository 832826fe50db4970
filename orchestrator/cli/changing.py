"""What the verbs that change targets share: which targets, how patient, and how it is told.

Enters: the command line.  Leaves: `Asked`, and a project whose binds have the time limits of this
run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.apply import dry_run, log_format
from orchestrator.cli.options import as_json, opened, selects
from orchestrator.cli.script import (
    from_revision,
    no_lint,
    output_folder,
    print_scripts,
    state_file,
)
from orchestrator.config import Config
from orchestrator.config.mistake import Mistake
from orchestrator.config.values import duration
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command line asks of upgrade, downgrade and stamp alike."""

    selection: Selection
    allow_empty: bool
    dry_run: bool
    sql: bool
    output: Path | None
    from_: tuple[str, ...]
    state: Path | None
    no_lint: bool
    log_format: str
    as_json: bool


def seconds(_ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A duration as in databases.yaml."""
    try:
        return None if value is None else duration(value)
    except Mistake as mistake:
        raise click.BadParameter(f"{mistake}. {mistake.todo}", param=param) from mistake


def _limit(name: str, words: str) -> Callable[[Function], Function]:
    return click.option(f"--{name}", callback=seconds, metavar="DURATION", help=words)


_LIMITS = (
    _limit("lock-wait", "How long to wait for a target that somebody else holds; 0: not at all."),
    _limit("lock-timeout", "How long a statement may wait for a lock on a table; 0: for ever."),
    _limit("statement-timeout", "How long a statement may run; 0: as the server says."),
    _limit("concurrent-timeout", "The same for CREATE INDEX CONCURRENTLY and its kin; 0: no end."),
    click.option(
        "--attempts",
        type=click.IntRange(min=1),
        metavar="N",
        help="How often a step is tried, at most, when what failed may pass.",
    ),
)
_NAMES = ("lock_wait", "lock_timeout", "statement_timeout", "concurrent_timeout", "attempts")


def patient(function: Function) -> Function:
    """Add the time limits; those of the command line take the place of those in databases.yaml, for
    every bind. Stands below `opened`."""

    @functools.wraps(function)
    def limiting(project: Project, *args: Any, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in _NAMES}
        project.config = limited(project.config, given)
        return function(project, *args, **kwargs)

    inner: Function = limiting
    for option in reversed(_LIMITS):
        inner = option(inner)
    return inner


def changes(function: Function) -> Function:
    """Open the project, and pass it with an `Asked`. Takes the time limits too (see `patient`)."""

    @functools.wraps(function)
    def asked(project: Project, *args: Any, **kwargs: Any) -> Any:
        request = Asked(**{one.name: kwargs.pop(one.name) for one in fields(Asked)})
        return function(project, request, *args, **kwargs)

    options = [
        dry_run,
        print_scripts,
        output_folder,
        from_revision,
        state_file,
        no_lint,
        log_format,
        as_json,
    ]
    inner = opened(patient(asked))
    for option in reversed(options):
        inner = option(inner)
    return selects(inner)


def limited(config: Config, given: dict[str, float | int | None]) -> Config:
    """The configuration with these limits in every bind; None leaves what a bind says."""
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not named:
        return config
    binds = {name: replace(bind, **named) for name, bind in config.binds.items()}
    return replace(config, binds=binds)
