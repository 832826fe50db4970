"""The question before something that cannot be taken back.

Enters: what will happen.  Leaves: yes or no; without a terminal, words that say how to agree.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from orchestrator.cli.output import is_terminal, note
from orchestrator.errors import Problem, UsageError

yes = click.option("--yes", is_flag=True, help="Do not ask.")


def agreed(what: str, todo: str, listed: Iterable[str] = ()) -> bool:
    """Ask a person on the terminal. listed: lines that stand above what will happen. todo: what to
    do where there is no terminal; raises UsageError with it. A no is told."""
    if not is_terminal(sys.stdin):
        raise UsageError(Problem(f"{what}, and there is no terminal to ask on", todo=todo))
    for line in listed:
        note(line)
    note(f"{what}.")
    if click.confirm("Go on?", err=True):
        return True
    note("nothing was done")
    return False
