"""Every error a user can meet, one class for each different reaction, with its exit code.

Enters: what is wrong, where, and what to do next, as `Problem`s.
Leaves: exceptions that the command line prints in one way (`cli/main.py`) and turns into an
exit code: 0 done, 1 some targets failed or differ, 2 usage or configuration, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    what: the fault in one sentence, without a full stop.
    where: "databases.yaml:12", "apps/users/models.py:3", "bind shop, tenant acme, revision 4f2a".
    key: the configuration key, when there is one ("binds.main.url").
    todo: what the user does next, as an imperative sentence.
    """

    what: str
    where: str = ""
    key: str = ""
    todo: str = ""

    def __str__(self) -> str:
        head = ": ".join(part for part in (self.where, self.key, self.what) if part)
        return f"{head}\n    {self.todo}" if self.todo else head


class OrchestratorError(Exception):
    """Base of all errors that are told to the user without a traceback."""

    exit_code = 1

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (
            (problems,) if isinstance(problems, Problem) else tuple(problems)
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(OrchestratorError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = 2


class EmptySelection(UsageError):
    """The selection names no target (exit 2, or 0 with --allow-empty)."""


class ConfigError(OrchestratorError):
    """databases.yaml, or a file it names, cannot be used; nothing was touched."""

    exit_code = 2


class DiscoveryError(OrchestratorError):
    """An app or its models cannot be used; nothing was touched."""

    exit_code = 2


class HistoryError(OrchestratorError):
    """A bind's revision files are broken, or do not know the revision asked for."""

    exit_code = 2


class EnvironmentScriptError(OrchestratorError):
    """The project's migrations/env.py fails, or does not call run_migrations()."""

    exit_code = 2


class RecordingError(OrchestratorError):
    """Revisions cannot be written as SQL ahead of time."""


class LintError(OrchestratorError):
    """A program that lint needs is missing, or does not do what it should; nothing was touched."""

    exit_code = 2


class FindingsError(OrchestratorError):
    """Lint finds dangers in what would run, and nobody has agreed to them; nothing was touched."""


class DatabaseError(OrchestratorError):
    """A server refuses, cannot be reached, or a target is not as a command needs it."""


class LedgerError(OrchestratorError):
    """The ledger cannot be read or written; nothing was touched."""

    exit_code = 2
