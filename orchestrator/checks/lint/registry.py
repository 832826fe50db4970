"""The rules of lint, as their files register them.

Enters: functions under `@rule(...)`, one a file of `rules/`.  Leaves: Rule; `catalogue.py` has all
of them.  No I/O.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from orchestrator.checks.lint.types import Hit, Severity, Subject
from orchestrator.config import Family

Check: TypeAlias = Callable[[Subject], Iterator[Hit]]

Need = Literal["run", "walk", "undone", "answers", "others"]
"""What a rule cannot do without. run: the upgrade was tried on scratch. walk: it ran there, so that
the shapes before and after are known. undone: its downgrade ran too. answers: a MySQL or MariaDB
server was asked about each statement. others: the findings of all other rules."""

BOTH: tuple[Family, ...] = ("postgresql", "mysql")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. why: its docstring, whose first sentence says what it finds, and whose end names
    the source."""

    name: str
    severity: Severity
    families: frozenset[Family]
    needs: frozenset[Need]
    check: Check
    why: str

    @property
    def summary(self) -> str:
        """The first sentence of its docstring, on one line."""
        return " ".join(self.why.split("\n\n")[0].split())

    def applies(self, subject: Subject) -> bool:
        """Whether it has anything to do with a subject's flavour."""
        return subject.flavour.family in self.families

    def lacks(self, subject: Subject) -> frozenset[Need]:
        """What it needs and the subject does not have."""
        return frozenset(need for need in self.needs if not _HAS[need](subject))


_HAS: dict[Need, Callable[[Subject], bool]] = {
    "run": lambda subject: bool(subject.failed) or subject.after is not None,
    "walk": lambda subject: subject.before is not None and subject.after is not None,
    "undone": lambda subject: subject.undone is not None or bool(subject.undo_failed),
    "answers": lambda subject: subject.asked,
    "others": lambda subject: subject.unused is not None,
}

REGISTERED: dict[str, Rule] = {}
"""Those whose files have been imported."""


def rule(
    name: str,
    severity: Severity,
    *,
    families: tuple[Family, ...] = BOTH,
    needs: tuple[Need, ...] = (),
) -> Callable[[Check], Check]:
    """Register a check as a rule; its docstring is what people read about it."""

    def register(check: Check) -> Check:
        if name in REGISTERED:
            raise ValueError(f"two rules are called {name}")
        REGISTERED[name] = Rule(
            name,
            severity,
            frozenset(families),
            frozenset(needs),
            check,
            inspect.cleandoc(check.__doc__ or ""),
        )
        return check

    return register
