"""A cohort's script for the mysql and mariadb clients.

Enters: a Script.  Leaves: its text; encode it as UTF-8 with "surrogateescape".  No I/O.

The client's database is the target.  These clients have no conditions, so a guard is a scalar
subquery of two rows, behind a line that says why.  The journal is kept as orchestrator keeps it,
and a statement that commits by itself is written down as done right behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator import __version__
from orchestrator.planning.bundle.markers import (
    BEGINS,
    END,
    EVIDENCE,
    HALF,
    LOCKED,
    MARKED,
    OPENING,
    REFUSED,
    STANDS,
    evidence_line,
    finish_line,
    heading,
    refused_line,
    statement_line,
    step_line,
)
from orchestrator.planning.bundle.types import Script, ScriptStep, joined
from orchestrator.planning.client_text import client_text
from orchestrator.planning.statements import Place, create_version_table, version_statements
from orchestrator.safety.definitions_mysql import Reading, Thing, read
from orchestrator.safety.definitions_now import definition_by_sql, there_by_sql
from orchestrator.safety.journal import (
    clear,
    create_journal,
    decide,
    insert_rows,
    row,
    text_literal,
)
from orchestrator.safety.locks import name_in_sql

_CLIENT = "--default-character-set=utf8mb4 --comments"


def mysql_script(script: Script) -> str:
    """The whole text."""
    return "\n".join([*_opening(script), *_steps(script), *_ending(), ""])


def _place(script: Script) -> Place:
    bind = script.bind
    return Place(
        bind.name,
        script.flavour,
        version_table=bind.version_table,
        version_num_length=bind.version_num_length,
        journal_table=bind.journal_table,
    )


def _opening(script: Script) -> Iterator[str]:
    client, place = script.flavour.name, _place(script)
    yield f"-- orchestrator {__version__}: {script.title}"
    yield f"-- Part of plan {script.digest}"
    yield f"-- Run it with: {client} {_CLIENT} DATABASE < THIS_FILE"
    yield MARKED
    yield OPENING
    yield "SET NAMES utf8mb4;"
    yield "-- run-all.sh sets these two where it goes on in the middle."
    start = _text(joined(script.start))
    yield f"SET @orchestrator_at = COALESCE(@orchestrator_at, {start});"
    yield "SET @orchestrator_journal = COALESCE(@orchestrator_journal, '');"
    yield "-- The lock that orchestrator takes: one session at a time works on a target."
    yield f"SET @orchestrator_lock = {name_in_sql(script.bind.version_table)};"
    yield "SET @orchestrator_held = COALESCE(GET_LOCK(@orchestrator_lock, 0), 0) <> 1;"
    held = "CONCAT('database ', DATABASE(), ' is held by another session: see orchestrator locks')"
    yield from _stop_if("@orchestrator_held", LOCKED, held)
    yield "-- Where the target stands: nothing is changed where it is not where this starts from."
    if not script.start and script.way == "up":
        yield client_text(client, create_version_table(place))
    yield from _guard(place, script)
    yield f"SELECT '{BEGINS}' AS `--`;"
    yield from _settings(script)
    yield from _looking()
    yield "SET autocommit = 0;"


def _looking() -> Iterator[str]:
    """What digests a table's definition, for the journal: whether a statement ran that was begun
    is told by whether it has changed."""
    query = definition_by_sql("@orchestrator_database", "@orchestrator_table")
    text = f"SELECT {query} INTO @orchestrator_definition".replace("'", "''")
    yield f"PREPARE orchestrator_look FROM '{text}';"


def _look(things: Sequence[Thing]) -> tuple[list[str], list[tuple[str, str]]]:
    """Statements that look at things, and for each its key and an expression of what was seen."""
    statements: list[str] = []
    seen: list[tuple[str, str]] = []
    for number, thing in enumerate(things, start=1):
        if not thing.whole:
            seen.append((thing.key, there_by_sql(thing)))
            continue
        database = _text(thing.database) if thing.database else "DATABASE()"
        name = f"@orchestrator_table = {_text(thing.name)}"
        statements += [
            f"SET @orchestrator_database = {database}, {name}",
            "EXECUTE orchestrator_look",
            f"SET @orchestrator_seen_{number} = @orchestrator_definition",
        ]
        seen.append((thing.key, f"@orchestrator_seen_{number}"))
    return statements, seen


def _guard(place: Place, script: Script) -> Iterator[str]:
    rows = "GROUP_CONCAT(version_num ORDER BY CAST(version_num AS BINARY) SEPARATOR ',')"
    yield f"SET @orchestrator_rows = (SELECT COALESCE({rows}, '') FROM {place.versions});"
    yield f"SELECT CONCAT('{STANDS} ', @orchestrator_rows) AS `--`;"
    stands, starts = (
        f"IF({one} = '', 'base', {one})" for one in ("@orchestrator_rows", "@orchestrator_at")
    )
    why = (
        f"CONCAT('database ', DATABASE(), ' stands at ', {stands}, ', and this script starts from "
        f"', {starts}, '; nothing was changed')"
    )
    differ = "CAST({} AS BINARY) <> CAST({} AS BINARY)"
    wrong = differ.format("@orchestrator_rows", "@orchestrator_at")
    yield from _stop_if(wrong, REFUSED, why)
    yield client_text(script.flavour.name, create_journal("mysql", place.journal))
    last, first = (query.format(place.journal) for query in (_LAST, _FIRST))
    yield f"SET @orchestrator_half = COALESCE(CONCAT(({last}), ' ', ({first})), '');"
    yield f"SELECT CONCAT('{HALF} ', @orchestrator_half) AS `--`;"
    half = (
        "CONCAT('database ', DATABASE(), ' is half-way through a step (', @orchestrator_half, '): "
        "run-all.sh, orchestrator upgrade or orchestrator repair go on there')"
    )
    begun = differ.format("@orchestrator_half", "@orchestrator_journal")
    yield from _stop_if(begun, REFUSED, half)


_LAST = (
    "SELECT CONCAT_WS(' ', revision, direction, number, kind) FROM {} ORDER BY number DESC LIMIT 1"
)
_FIRST = "SELECT digest FROM {} ORDER BY number LIMIT 1"


def _stop_if(condition: str, word: str, message: str) -> Iterator[str]:
    """A line that says why, and a subquery of two rows, at which the client ends."""
    yield f"SELECT CONCAT('{word}: ', {message}) AS `--` FROM DUAL WHERE {condition};"
    yield f"SET @orchestrator_is = (SELECT 1 UNION ALL SELECT 2 FROM DUAL WHERE {condition});"


def _settings(script: Script) -> Iterator[str]:
    bind = script.bind
    if bind.lock_timeout:
        seconds = max(1, round(bind.lock_timeout))
        yield f"SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds};"
    if bind.statement_timeout and script.flavour.name == "mariadb":
        yield f"SET SESSION max_statement_time = {bind.statement_timeout:.3f};"


def _steps(script: Script) -> Iterator[str]:
    for number, step in enumerate(script.steps, start=1):
        yield from _Step(script, number, step).write()


def _ending() -> Iterator[str]:
    yield from (END, "SET autocommit = 1;", "DO RELEASE_LOCK(@orchestrator_lock);")


@dataclass(frozen=True)
class _Step:
    """One step: DDL commits by itself, behind a row of the journal; the version rows change
    together with what is left."""

    script: Script
    number: int
    step: ScriptStep

    def write(self) -> Iterator[str]:
        readings = _readings(self.step.texts)
        yield ""
        yield step_line(self.number, self.step, resumable=_resumable(readings))
        yield heading(self.step)
        begun = locked = False
        for number, (text, reading) in enumerate(
            zip(self.step.texts, readings, strict=True), start=1
        ):
            kind = "session" if reading.kind == "session" else "statement"
            journalled = reading.kind == "ddl" and not locked
            yield statement_line(self.number, number, kind)
            if journalled:
                yield evidence_line(self.number, number, self._evidence(number, reading))
                undone = f"{decide(self._journal, number, done=False)}; COMMIT"
                yield refused_line(self.number, number, undone)
                yield from self._row(number, reading, first=not begun)
                begun = True
            yield self._text(text)
            if reading.locks:
                locked = True
            elif reading.unlocks and locked:
                locked = False
                yield from self._row(number, reading, first=not begun)
                journalled = begun = True
            if journalled and not locked:
                yield f"{decide(self._journal, number, done=True)};\nCOMMIT;"
        yield from self._finish(begun=begun)

    def _finish(self, *, begun: bool) -> Iterator[str]:
        yield finish_line(self.number)
        for change in version_statements(_place(self.script), self.step.step.changes):
            yield self._text(change)
        if begun:
            yield f"{clear(self._journal)};"
        yield "COMMIT;"

    @property
    def _journal(self) -> str:
        return _place(self.script).journal

    def _text(self, text: str) -> str:
        return client_text(self.script.flavour.name, text)

    def _row(self, number: int, reading: Reading, *, first: bool) -> Iterator[str]:
        """REPLACE, because a statement that is tried again has a row already."""
        statements, seen = _look(reading.things)
        head = self.step.header(self.script.owner)
        entry = row(head, number, "ddl", self.step.texts[number - 1], {})
        pairs = ", ".join(f"{_text(key)}, {told}" for key, told in seen)
        definitions = f"JSON_OBJECT({pairs})" if pairs else ""
        written = insert_rows("mysql", self._journal, [*[head] * first, entry], definitions)
        yield from (f"{one};" for one in statements)
        yield self._text(written.replace("INSERT", "REPLACE", 1))

    def _evidence(self, number: int, reading: Reading) -> str:
        """As `safety.settle_mysql.settle` tells it."""
        if reading.again:
            return f"SELECT '{EVIDENCE} not' AS `--`;"
        if not reading.things:
            return f"SELECT '{EVIDENCE} unknown' AS `--`;"
        statements, seen = _look(reading.things)
        path = "JSON_UNQUOTE(JSON_EXTRACT(definitions, CONCAT('$.', JSON_QUOTE({}))))"
        changed = " + ".join(
            f"(CAST({path.format(_text(key))} AS BINARY) <> CAST({told} AS BINARY))"
            for key, told in seen
        )
        same = "not" if reading.equal_tells else "unknown"
        case = f"CASE {changed} WHEN {len(seen)} THEN 'ran' WHEN 0 THEN '{same}' ELSE 'unknown' END"
        query = (
            f"SELECT CONCAT('{EVIDENCE} ', {case}) AS `--` FROM {self._journal}"
            f" WHERE number = {number}"
        )
        return " ".join(f"{one};" for one in [*statements, query])


def _readings(texts: Sequence[str]) -> tuple[Reading, ...]:
    found: list[Reading] = []
    database = ""
    for text in texts:
        found.append(read(text, database))
        database = found[-1].use or database
    return tuple(found)


def _resumable(readings: Sequence[Reading]) -> bool:
    """Whether what a session makes (temporary tables, variables, locks) is not needed behind it."""
    return not any(one.makes or one.locks or one.use for one in readings)


def unscriptable(step: ScriptStep) -> str:
    """Why a step cannot stand in a script, "" when it can."""
    if any(one.use for one in _readings(step.texts)):
        return "it leaves the target's database (USE), and a script does not know its name"
    return ""


def _text(value: str) -> str:
    return text_literal("mysql", value)
