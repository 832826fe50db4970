"""What the bundle's README says of each revision: locks, tables that are written anew, and lint.

Enters: lint's Subjects and report.  Leaves: Remarks.  No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from orchestrator.checks.lint.column_types import keeps_rows
from orchestrator.checks.lint.data_statements import data_changes
from orchestrator.checks.lint.operations import operations
from orchestrator.checks.lint.postgresql_locks import Mode, TableLock, table_locks
from orchestrator.checks.lint.schema import kept_columns
from orchestrator.checks.lint.tables import answered, created
from orchestrator.checks.lint.types import Answer, Finding, LintReport, Sent, Subject
from orchestrator.planning.bundle.beside_mysql import beside

Key = tuple[str, str, str]
"""Bind, revision, direction."""

_SHOWN = 80
"""Characters of a statement that are shown."""
_LIVE = "live-step"
_NAMED = 3
"""Statements of one revision with the same locks that are named one by one."""

# PostgreSQL 18 manual, 13.3.1 "Table-Level Locks": the conflicts of each mode.
_MEANINGS: Mapping[Mode, str] = {
    "ROW SHARE": "reads and writes go on, but for the rows that it locks",
    "ROW EXCLUSIVE": "reads and writes go on, but for the rows that it changes",
    "SHARE UPDATE EXCLUSIVE": "reads and writes go on",
    "SHARE": "reads go on, writes wait",
    "SHARE ROW EXCLUSIVE": "reads go on, writes wait",
    "EXCLUSIVE": "reads go on, writes wait",
    "ACCESS EXCLUSIVE": "reads and writes wait",
}
# MySQL 8.4 manual, 15.1.9 "ALTER TABLE", LOCK.
_ANSWERS = {
    "none": "reads and writes go on",
    "shared": "reads go on, writes wait",
    "exclusive": "reads and writes wait",
}


@dataclass(frozen=True, slots=True)
class Remarks:
    """Lines for the README. revisions: by bind, revision and direction. notes: about all of
    them."""

    revisions: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def remarks_of(subjects: Sequence[Subject], report: LintReport) -> Remarks:
    """Everything that is known of the locks of these revisions, and what lint says of them."""
    flavours: dict[str, set[str]] = {}
    for one in subjects:
        flavours.setdefault(one.bind, set()).add(str(one.flavour))
    found: dict[Key, dict[str, None]] = {}
    for one in subjects:
        key = one.bind, one.step.revision, str(one.step.direction)
        where = f" on {one.flavour}" if len(flavours[one.bind]) > 1 else ""
        lines = [f"locks{where}: {line}" for line in _locks(one)]
        found.setdefault(key, {}).update(dict.fromkeys(lines))
    for finding in report.findings:
        if finding.rule == _LIVE:
            continue  # The README has a part of its own for these.
        key = finding.bind, finding.revision, finding.direction
        found.setdefault(key, {})[_finding(finding)] = None
    notes = dict.fromkeys([*_legend(subjects), *_gaps(subjects, report)])
    return Remarks({key: tuple(lines) for key, lines in found.items()}, tuple(notes))


def _locks(subject: Subject) -> Iterator[str]:
    """A line for each kind of lock that a revision takes on tables in use, in its order."""
    if subject.live:
        return
    pairs = _postgresql(subject) if subject.flavour.family == "postgresql" else _mysql(subject)
    statements: dict[str, list[str]] = {}
    for words, sent in pairs:
        statements.setdefault(words, []).append(sent.text)
    for words, texts in statements.items():
        if len(texts) > _NAMED:
            yield f"{words} ({len(texts)} statements)"
        else:
            yield f"{words}: {', '.join(f'`{_short(text)}`' for text in texts)}"


def _short(text: str) -> str:
    line = " ".join(text.split()).replace("`", "'")
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."


def _postgresql(subject: Subject) -> Iterator[tuple[str, Sent]]:
    for sent, lock in _in_use(subject):
        yield _mode_words(_settled(subject, sent, lock)), sent


def _in_use(subject: Subject) -> Iterator[tuple[Sent, TableLock]]:
    """The locks on tables that others may use: not those that the revision makes."""
    new = created(subject)
    for sent in subject.sent:
        for lock in table_locks(sent.text):
            if lock.table not in new:
                yield sent, lock


def _settled(subject: Subject, sent: Sent, lock: TableLock) -> TableLock:
    """A change of type, as the types around it tell; "may rewrite" where they are not known."""
    if lock.work != "may rewrite":
        return lock
    types = [
        (one.before.get("type", ""), one.after.get("type", ""))
        for one in kept_columns(subject)
        if one.sent is not None and one.sent.text == sent.text
    ]
    changed = [pair for pair in types if pair[0] != pair[1]]
    if not changed:
        return lock
    kept = all(keeps_rows(*pair) for pair in changed)
    return replace(lock, work="" if kept else "rewrites")


_WORKS = {
    "": "",
    "reads all rows": ", for as long as it takes to read all rows",
    "builds an index": ", for as long as it takes to build an index",
    "may rewrite": ", and may write the whole table anew",
    "rewrites": ", and **writes the whole table anew**",
}


def _mode_words(lock: TableLock) -> str:
    if lock.mode is None:
        return "what its own code needs"
    return f"{lock.mode} on {lock.table or 'its table'}{_WORKS[lock.work]}"


def _mysql(subject: Subject) -> Iterator[tuple[str, Sent]]:
    new = created(subject)
    answers = {id(sent): (table, answer) for sent, table, answer in answered(subject)}
    for sent in subject.sent:
        for table in sorted({*beside(sent.text)} - new):
            yield f"{table}: needed alone for a moment", sent
        if id(sent) in answers:
            yield _answer_words(*answers[id(sent)]), sent
            continue
        if sent.answer is not None:
            continue  # On a table of its own, or refused: lint says so.
        changed = {one.table for one in data_changes(sent.text, "mysql")} - new - {""}
        for table in sorted(changed):
            yield f"the rows of {table} that it reads or changes", sent
        tables = {
            one.table
            for one in operations(sent.text, "mysql")
            if one.kind in ("drop table", "rename table", "truncate")
        }
        for table in sorted(tables - new):
            yield f"{table}: reads and writes wait", sent


def _answer_words(table: str, answer: Answer) -> str:
    anew = ", and **writes the whole table anew**" if answer.rebuilds else ""
    how = f"ALGORITHM={answer.algorithm.upper()}, LOCK={answer.lock.upper()}"
    return f"{table}: {_ANSWERS[answer.lock]} ({how}){anew}"


def _finding(one: Finding) -> str:
    line = f", {one.file}:{one.line}" if one.line else ""
    message = " ".join(one.message.split())
    if one.allowed:
        return f"lint ({one.rule}{line}): {message}. Allowed by its author: {one.allowed}"
    return f"lint **{one.severity}** ({one.rule}{line}): {message}. {one.todo}".rstrip()


def _legend(subjects: Iterable[Subject]) -> Iterator[str]:
    """What the words of the locks mean, as far as they occur."""
    subjects = list(subjects)
    modes = {
        lock.mode
        for one in subjects
        if one.flavour.family == "postgresql" and not one.live
        for _sent, lock in _in_use(one)
    }
    for mode in get_args(Mode):
        if mode in modes:
            yield f"{mode}: {_MEANINGS[mode]}."
    if any(one.flavour.family == "postgresql" for one in subjects):
        yield (
            "On PostgreSQL a lock is held to the end of its transaction: the end of its revision,"
            " or the next CONCURRENTLY. Whoever comes later waits behind a lock that itself waits."
        )
    if any(one.asked for one in subjects):
        yield (
            "MySQL and MariaDB: the server itself was asked, on an empty copy of each table. Every"
            " change of a table needs it alone for a moment, and waits for transactions that use"
            " it; so does a trigger, made or dropped, and what a foreign key refers to."
        )


def _gaps(subjects: Iterable[Subject], report: LintReport) -> Iterator[str]:
    """What nobody could tell."""
    silent = {
        str(one.flavour)
        for one in subjects
        if one.flavour.family == "mysql" and one.sent and not one.asked and not one.live
    }
    for flavour in sorted(silent):
        yield (
            f"The locks of changes of tables on {flavour} are **not known**: only such a server can"
            " tell, and none was asked. Expect that writes to the table wait, and that it is"
            " written anew."
        )
    for gap in report.not_checked:
        rules = ", ".join(gap.rules)
        yield f"Not looked at (bind {gap.bind}, {gap.flavour}), for {gap.reason}: {rules}."
