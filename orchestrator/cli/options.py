"""Options that verbs share: the selection of targets, --json, and the opened project."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
from sqlalchemy.engine import make_url

from orchestrator.cli.output import keep_secret
from orchestrator.config import Config
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection

Function = Callable[..., Any]

_LAST = "last"
"""What `--failed` means without a run."""


def opened(function: Function) -> Function:
    """Pass the project that `-c` and `--project` name as the first argument. A selection's
    `--failed` is looked up in that project's ledger."""

    @click.pass_context
    @functools.wraps(function)
    def with_project(ctx: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        project = Project.open(ctx.obj["config_file"], ctx.obj["project_root"])
        keep_secret(_passwords(project.config))
        failed = kwargs.pop("failed_run", None)
        if failed is not None:
            # Only who asks the ledger pays for its modules.
            from orchestrator.cli.failed import unfinished

            among = unfinished(project.config, None if failed == _LAST else failed)
            kwargs["selection"] = replace(kwargs["selection"], among=among)
        return function(project, *args, **kwargs)

    return with_project


def _passwords(config: Config) -> set[str]:
    urls = [
        url
        for bind in config.binds.values()
        for server in bind.servers.values()
        for url in (server.url, server.direct_url)
    ]
    found: set[str] = set()
    for url in (*urls, *config.scratch.values(), make_url(config.ledger)):
        if url is not None and url.password:
            found.add(str(url.password))
        # libpq and PyMySQL take passwords (of keys, too) as parameters of the URL.
        for name, values in url.normalized_query.items() if url is not None else ():
            if "pass" in name:
                found.update(values)
    return found


_SELECTION = (
    click.option("--all", "everything", is_flag=True, help="Every target of every bind."),
    click.option("--bind", "-b", "binds", multiple=True, metavar="BIND", help="Only this bind."),
    click.option(
        "--tenant",
        "-t",
        "tenants",
        multiple=True,
        metavar="GLOB",
        help='Only tenants whose name fits, such as acme or "a*".',
    ),
    click.option("--server", "servers", multiple=True, metavar="SERVER", help="Only this server."),
    click.option(
        "--select",
        "labels",
        multiple=True,
        metavar="LABEL=VALUE",
        help="Only targets with this label.",
    ),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N targets."),
    click.option(
        "--failed",
        "failed_run",
        is_flag=False,
        flag_value=_LAST,
        metavar="[RUN]",
        help="Only targets that a run left failed, not started or interrupted: the last run "
        "that left any, or this one.",
    ),
    click.option("--allow-empty", is_flag=True, help="An empty selection is not an error."),
)
"""The options of a selection."""


def selects(function: Function) -> Function:
    """Add the options of a selection, and pass it as `selection` with `allow_empty`. Stands above
    `opened`."""

    @functools.wraps(function)
    def with_selection(
        *args: Any,
        everything: bool,
        binds: tuple[str, ...],
        tenants: tuple[str, ...],
        servers: tuple[str, ...],
        labels: tuple[str, ...],
        limit: int | None,
        **kwargs: Any,
    ) -> Any:
        selection = Selection(
            everything, binds, tenants, servers, tuple(map(_label, labels)), limit
        )
        return function(*args, selection=selection, **kwargs)

    return functools.reduce(
        lambda inner, option: option(inner), reversed(_SELECTION), with_selection
    )


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(
            Problem(f"--select {text!r} is no label=value", todo="Write --select tier=internal.")
        )
    return name, value


def must_select(selection: Selection, verb: str) -> None:
    """Refuse to change databases without a selection. Raises UsageError."""
    if not selection.given:
        raise UsageError(
            Problem(
                f"`{verb}` changes databases, and nothing says which",
                todo=f"Run `orchestrator {verb} --all`, or narrow with --bind, --tenant, --server, "
                "--select or --failed.",
            )
        )


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
