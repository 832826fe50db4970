"""The tables that a revision's statements are about.

Enters: a Subject, or one statement of it.  Leaves: names of tables, and operations with the
statement that does them.  No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.data_statements import data_changes
from orchestrator.checks.lint.operations import Kind, Operation, operations
from orchestrator.checks.lint.types import Answer, Hit, Sent, Subject
from orchestrator.config import Family
from orchestrator.safety.definitions_mysql import read

SMALL = 10_000
"""Rows of a table that is read or built anew in no time. PostgreSQL and MySQL go through so many
rows of a usual width in well under a second."""


def operations_of(subject: Subject, *kinds: Kind) -> Iterator[tuple[Sent, Operation]]:
    """The operations of a subject's statements, each with its statement; of these kinds."""
    for sent in subject.sent:
        for one in operations(sent.text, subject.flavour.family):
            if not kinds or one.kind in kinds:
                yield sent, one


def created(subject: Subject) -> frozenset[str]:
    """The tables that it makes: nobody uses them yet, and they hold what it puts there."""
    made: set[str] = set()
    for _sent, one in operations_of(subject, "create table", "rename table"):
        if one.kind == "create table":
            made.add(one.table)
        elif one.table in made:
            made.add(one.new)
    return frozenset(made)


def on_others(subject: Subject, *kinds: Kind) -> Iterator[tuple[Sent, Operation]]:
    """Operations of these kinds on tables that the same revision did not make."""
    new = created(subject)
    for sent, one in operations_of(subject, *kinds):
        if one.table not in new:
            yield sent, one


def tables_of(sent: Sent, family: Family) -> frozenset[str]:
    """The tables that a statement is about, as far as it is known."""
    named = {one.table for one in operations(sent.text, family)}
    return frozenset(named | {one.table for one in data_changes(sent.text, family)}) - {""}


def is_small(subject: Subject, table: str) -> bool:
    """Whether the largest real table of this name is known to be small."""
    facts = subject.tables.get(table)
    return facts is not None and facts.rows < SMALL


def size_words(subject: Subject, table: str) -> str:
    """How large it is: ", which holds 1,200,000 rows in shop/acme"; "" when nobody asked."""
    facts = subject.tables.get(table)
    if facts is None:
        return ""
    where = f" in {facts.target}" if facts.target else ""
    return f", which holds {facts.rows:,} rows{where}"


def answered(subject: Subject) -> Iterator[tuple[Sent, str, Answer]]:
    """The statements that a MySQL or MariaDB server was asked about, with the table that each
    changes; not those on tables that the same revision makes, nor what it takes in no way."""
    new = created(subject)
    for sent in subject.sent:
        things = read(sent.text).things if sent.answer is not None else ()
        table = (things[0].on or things[0].name) if things else ""
        if sent.answer is not None and not sent.answer.refused and table not in new:
            yield sent, table, sent.answer


def hit(sent: Sent, message: str, todo: str) -> Hit:
    """A hit at a statement."""
    return Hit(message, todo, sent.line, sent.text)
