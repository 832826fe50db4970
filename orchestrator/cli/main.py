"""The command `orchestrator`: finds the verb, and turns every error into words and an exit code.

Enters: the command line.  Leaves: exit code 0 done, 1 some targets failed or differ, 2 usage or
configuration, 130 interrupted.  A verb's module is imported when the verb runs, so that `--help`
needs neither SQLAlchemy nor Alembic.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from orchestrator import __version__
from orchestrator.cli import startup
from orchestrator.cli.output import flush, print_problems, redact
from orchestrator.cli.verbs import VerbGroup
from orchestrator.errors import OrchestratorError, Problem

VERBS = {
    "init": "Lay out databases.yaml, alembic.ini and migrations/, or adopt an Alembic tree.",
    "apps": "The apps found, their models, and the bind each table belongs to.",
    "targets": "The fleet, after selection.",
    "status": "Where every target stands.",
    "revision": "New revision files, by autogenerate, for every bind that changed.",
    "history": "The revisions of each bind.",
    "heads": "The heads of each bind.",
    "merge": "A revision that merges the heads of a bind.",
    "plan": "What an upgrade would do: cohorts, steps, statements, and a file of it.",
    "upgrade": "Bring targets to head, or print the SQL that does.",
    "downgrade": "Bring targets back to a revision.",
    "stamp": "Set the revision of targets without running anything.",
    "rollout": "Upgrade in waves: a canary first, a failure budget, and proof in between.",
    "runs": "The ledger: what ran, who ran it, and what became of every target.",
    "repair": "What is known of half-applied targets, and the decision about them.",
    "locks": "Who holds the locks of targets.",
    "verify": "Did a bundle that was run by hand end where it was meant to?",
    "drift": "Which targets are not what their revision, or the models, say.",
    "lint": "What an upgrade would run, and what in it endangers the fleet.",
    "diff": "The SQL of the revisions that a Git branch adds, with what lint says.",
    "check": "Everything that can be wrong before a deploy.",
}
"""Each verb with its line in the help; orchestrator.cli.<verb> holds it as `command`."""


@click.command(
    cls=VerbGroup,
    package="orchestrator.cli",
    verbs=VERBS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: orchestrator upgrade --all",
)
@click.option(
    "-c",
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="databases.yaml (default: here, or in the nearest parent folder).",
)
@click.option(
    "--project",
    "project_root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The project's folder (default: where databases.yaml stands).",
)
@click.version_option(__version__, "-V", "--version", prog_name="orchestrator")
@click.pass_context
def cli(ctx: click.Context, config_file: Path | None, project_root: Path | None) -> None:
    """Migrate many apps, databases and tenants with Alembic: plan once, review, run."""
    ctx.obj = {"config_file": config_file, "project_root": project_root}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code.

    arguments: given by a caller that goes on afterwards; by default those of this process, which
    ends with the command.
    """
    if arguments is None:
        startup.begin()
    signal.signal(signal.SIGTERM, _terminate)
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter of a tenant's name is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    try:
        result: Any = cli.main(args=arguments, prog_name="orchestrator", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except BaseException as error:
        code = _tell(error)
    lost = flush()
    if lost is not None:
        print_problems(
            [
                Problem(
                    f"the output could not be written: {lost.strerror}",
                    todo="What the command did is done; only its words are lost.",
                )
            ]
        )
    if arguments is None:
        startup.end()
    sys.exit(code or int(lost is not None))


def _open_closed_streams() -> None:
    """Send to nowhere what was started closed (`>&-`): Python has None there, and the next file or
    connection would take its number and get what is printed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Open as long as the process lives.
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)


def _terminate(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _tell(error: BaseException) -> int:
    """Print an error the way its reader needs it, and give its exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        error.show()
        return 2
    if isinstance(error, OrchestratorError):
        print_problems(error.problems)
        return error.exit_code
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        print_problems([Problem("interrupted; what was done stays done")])
        return 130
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return _tell_defect(error)


def _tell_defect(error: BaseException) -> int:
    """A defect of this program: say so in one line, and keep the traceback for the report."""
    # A defect alone needs these, and start-up is short of time.
    import tempfile
    import traceback

    text = redact("".join(traceback.format_exception(error)))
    with tempfile.NamedTemporaryFile(
        "w", prefix="orchestrator-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(text)
    print_problems(
        [
            Problem(
                f"unexpected {type(error).__name__}: {error}",
                todo=f"This is a defect of orchestrator; its details are in {log.name}.",
            )
        ]
    )
    return 1
