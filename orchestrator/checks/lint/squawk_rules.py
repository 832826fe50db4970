"""What squawk finds, in our words: which of its rules are passed on, and which ours replace.

Enters: the statements of a revision, and squawk's rows.  Leaves: Scripts for squawk, and
SquawkHits.  No I/O; `execution.squawk` runs it.

squawk: https://squawkhq.com/docs/rules, read at its release 2.70.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Literal

from orchestrator.checks.lint.types import Sent, Severity

PREFIX = "squawk/"
"""What the names of its rules begin with here."""

TWINS: Mapping[str, str] = MappingProxyType(
    {
        "adding-not-nullable-field": "set-not-null",
        "adding-required-field": "not-null-without-default",
        "ban-concurrent-index-creation-in-transaction": "upgrade-fails",
        "ban-drop-column": "drop-column",
        "ban-drop-table": "drop-table",
        "ban-truncate-cascade": "truncate",
        "changing-column-type": "type-rewrites-table",
        "renaming-column": "rename-column",
        "renaming-table": "rename-table",
        "require-concurrent-index-creation": "non-concurrent-index",
    }
)
"""Its rules that find what one of ours finds: they count only where ours could not run."""

SEVERITIES: Mapping[str, Severity | Literal["off"]] = MappingProxyType(
    {
        # They cannot be right: the server refuses, or leaves a transaction open.
        "ban-concurrent-index-creation-in-transaction": "error",
        "ban-drop-column": "error",
        "ban-drop-database": "error",
        "ban-drop-table": "error",
        "ban-duplicate-column-assignments": "error",
        "ban-truncate-cascade": "error",
        "adding-required-field": "error",
        "ban-uncommitted-transaction": "error",
        "renaming-column": "error",
        "renaming-table": "error",
        # Worth a look, and harmless to the run itself.
        "ban-char-field": "notice",
        "ban-drop-not-null": "notice",
        "require-enum-value-ordering": "notice",
        "syntax-error": "notice",
        "unused-ignore": "notice",
        # Taste, on which every model of a project would be told.
        "prefer-bigint-over-int": "off",
        "prefer-bigint-over-smallint": "off",
        "prefer-identity": "off",
        "prefer-text-field": "off",
        "prefer-timestamp-tz": "off",
        "require-table-schema": "off",
        # `lock_timeout` and `statement_timeout` are set on every session.
        "require-lock-timeout": "off",
        "require-statement-timeout": "off",
        "require-timeout-settings": "off",
        # The journal makes revisions safe to run again.
        "prefer-robust-stmts": "off",
    }
)
"""How bad its findings are here; those of any other rule are warnings."""

_ONE_OF: tuple[tuple[str, frozenset[str]], ...] = (
    (
        "constraint-missing-not-valid",
        frozenset(
            (
                "adding-foreign-key-constraint",
                "disallowed-unique-constraint",
                "adding-serial-primary-key-field",
            )
        ),
    ),
)
"""A rule of its that says again what one of these has said of the same statement."""

NEW_TABLES_ARE_FREE = frozenset(
    {
        "adding-field-with-default",
        "adding-foreign-key-constraint",
        "adding-serial-primary-key-field",
        "constraint-missing-not-valid",
        "disallowed-unique-constraint",
        "require-concurrent-index-deletion",
    }
)
"""Its rules about locks and scans, which cost nothing on a table that the same revision made."""


def severity_of(name: str) -> Severity | Literal["off"]:
    """The severity of a rule of squawk's, by its own name."""
    return SEVERITIES.get(name, "warning")


@dataclass(frozen=True, slots=True)
class SquawkHit:
    """One finding of squawk's. statement: which of the revision's. message, todo: its words."""

    rule: str
    statement: int
    message: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """Statements that run together, for squawk. numbers: of each, which of the revision's it is."""

    texts: tuple[str, ...]
    transactional: bool
    numbers: tuple[int, ...]

    @property
    def text(self) -> str:
        """As one file: a statement begins on a line of its own."""
        return "".join(f"{text}\n;\n" for text in self.texts)

    def number_at(self, line: int) -> int:
        """Which statement stands on a line, counted from 0."""
        last = 0
        for number, text in zip(self.numbers, self.texts, strict=True):
            last += text.count("\n") + 2
            if line < last:
                return number
        return self.numbers[-1]

    def without(self, numbers: Iterable[int]) -> Script:
        """The same lines, with some statements left empty."""
        left_out = set(numbers)
        texts = tuple(
            "\n" * text.count("\n") if number in left_out else text
            for number, text in zip(self.numbers, self.texts, strict=True)
        )
        return Script(texts, self.transactional, self.numbers)


def scripts_of(sent: Sequence[Sent]) -> tuple[Script, ...]:
    """The statements of one revision as scripts: those of a transaction together."""
    made = []
    for transactional, some in groupby(enumerate(sent), key=lambda one: one[1].transactional):
        pairs = [(number, one.text) for number, one in some]
        numbers, texts = zip(*pairs, strict=True)
        made.append(Script(texts, transactional, numbers))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of squawk's JSON. line: counted from 0, as it does."""

    line: int
    rule: str
    message: str
    help: str


def unread(script: Script, rows: Iterable[Row]) -> tuple[int, ...]:
    """The statements that squawk could not read: then it tells nothing else of their script."""
    found = [script.number_at(row.line) for row in rows if row.rule == "syntax-error"]
    return tuple(dict.fromkeys(found))


def hits_of(script: Script, rows: Iterable[Row]) -> tuple[SquawkHit, ...]:
    """What it says of a script, each thing once a statement."""
    found = dict.fromkeys(
        SquawkHit(row.rule, script.number_at(row.line), row.message, row.help) for row in rows
    )
    said: dict[int, set[str]] = {}
    for hit in found:
        said.setdefault(hit.statement, set()).add(hit.rule)
    again = dict(_ONE_OF)
    return tuple(hit for hit in found if not said[hit.statement] & again.get(hit.rule, frozenset()))


def unread_hits(script: Script, rows: Iterable[Row]) -> tuple[SquawkHit, ...]:
    """What is told of statements that squawk could not read."""
    numbers = unread(script, rows)
    return tuple(
        SquawkHit(
            "syntax-error", number, "squawk cannot read this statement, so its rules were not asked"
        )
        for number in numbers
    )
