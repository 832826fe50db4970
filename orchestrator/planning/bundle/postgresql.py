"""A cohort's script for psql.

Enters: a Script.  Leaves: its text.  No I/O.

It stops before it changes anything where the target is not at the state that it starts from, where
somebody else works on it, and where a step is half-way.  `run-all.sh` goes on in the middle: it
sends the opening, with `orchestrator_at` and `orchestrator_journal` set to what it found, and then
the rest behind a marker (see `markers`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator import __version__
from orchestrator.planning.bundle.markers import (
    BEGINS,
    BUSY,
    END,
    EVIDENCE,
    HALF,
    JOINED,
    LOCKED,
    MARKED,
    OPENING,
    REFUSED,
    STANDS,
    STEP,
    evidence_line,
    finish_line,
    heading,
    refused_line,
    statement_line,
    step_line,
)
from orchestrator.planning.bundle.types import Script, ScriptStep, joined
from orchestrator.planning.client_text import psql_text
from orchestrator.planning.pieces import Piece, journalled, pieces_of
from orchestrator.planning.statements import (
    Place,
    create_version_table,
    version_statements,
)
from orchestrator.safety.alone import Alone, alone, session_changes, temporary_names
from orchestrator.safety.evidence import INVALID, answers
from orchestrator.safety.journal import (
    Kind,
    clear,
    create_journal,
    decide,
    insert_rows,
    row,
    text_literal,
)
from orchestrator.safety.locks import builds_lock, number_in_sql

_TARGET = ':"orchestrator_target"'


@dataclass(frozen=True, slots=True)
class _Anywhere(Place):
    """A place whose schema is known only when the script runs: psql's variable names it."""

    variable: bool = False

    def _inside(self, table: str) -> str:
        name = self.quote(table)
        return f"{_TARGET}.{name}" if self.variable else name


def unscriptable(step: ScriptStep) -> str:
    """Why a step cannot stand in a script, "" when it can."""
    if any(piece.way == "raw" for piece in pieces_of(step.segments)):
        return "it begins and ends transactions itself"
    return ""


def postgresql_script(script: Script) -> str:
    """The whole text; encode it as UTF-8 with "surrogateescape"."""
    steps = list(_steps(script))
    if script.bind.transaction == "path":
        steps = _joined(steps)
    return "\n".join([*_opening(script), *steps, END, _unlock(), ""])


def _joined(blocks: Sequence[str]) -> list[str]:
    """The blocks without each COMMIT that nothing but comments parts from the next BEGIN; the step
    that begins between the two says so."""
    kept: list[str] = []
    commit = step = None
    for block in blocks:
        if block == _BEGIN and commit is not None:
            if step is not None:
                kept[step] += JOINED
            del kept[commit]
            commit = step = None
            continue
        if block == _COMMIT:
            commit, step = len(kept), None
        elif block.startswith(STEP):
            step = len(kept)
        elif not all(line.startswith("--") for line in block.splitlines() if line):
            commit = None
        kept.append(block)
    return kept


_BEGIN, _COMMIT = "BEGIN;", "COMMIT;"


def _place(script: Script) -> _Anywhere:
    bind = script.bind
    return _Anywhere(
        bind.name,
        script.flavour,
        version_table=bind.version_table,
        version_num_length=bind.version_num_length,
        journal_table=bind.journal_table,
        variable=bind.tenancy == "schema",
    )


def _opening(script: Script) -> Iterator[str]:
    schemas = script.bind.tenancy == "schema"
    what = " -v target=SCHEMA" if schemas else ""
    yield f"-- orchestrator {__version__}: {script.title}"
    yield f"-- Part of plan {script.digest}"
    yield f"-- Run it with: psql -X -d DATABASE{what} -f THIS_FILE"
    yield MARKED
    yield OPENING
    yield "\\set ON_ERROR_STOP on\n\\set VERBOSITY terse"
    # The texts below were quoted for exactly these two settings.
    yield "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;"
    if schemas:
        yield "\\if :{?target}\n\\else"
        yield from _stop(REFUSED, "'name the schema: psql -v target=SCHEMA'")
        yield "\\endif\n\\set orchestrator_target :target\n\\unset target"
    else:
        yield "\\set orchestrator_target ''"
    yield "-- run-all.sh sets these two where it goes on in the middle."
    start = text_literal("postgresql", joined(script.start))
    yield f"\\if :{{?orchestrator_at}}\n\\else\nSELECT {start} AS orchestrator_at \\gset\n\\endif"
    yield "\\if :{?orchestrator_journal}\n\\else\n\\set orchestrator_journal ''\n\\endif"
    yield from _locked(script)
    if schemas:
        yield from _schema(script)
    yield from _guard(script)
    yield f"\\echo '{BEGINS}'\n\\set VERBOSITY default"
    yield from _settings(script)


def _stop(word: str, message: str) -> Iterator[str]:
    """End psql with an error. message: an SQL expression."""
    yield (
        f"SELECT set_config('orchestrator.why', '{word}: ' || {message}, false)"
        " AS orchestrator_why \\gset\n"
        "DO $orchestrator$ BEGIN RAISE EXCEPTION '%', current_setting('orchestrator.why');"
        " END $orchestrator$;"
    )


def _stop_if(condition: str, word: str, message: str) -> Iterator[str]:
    yield f"SELECT {condition} AS orchestrator_stop \\gset\n\\if :orchestrator_stop"
    yield from _stop(word, message)
    yield "\\endif"


def _locked(script: Script) -> Iterator[str]:
    number = number_in_sql(":'orchestrator_target'", script.bind.version_table)
    got = f"NOT pg_catalog.pg_try_advisory_lock({number})"
    message = f"{_NAME} || ' is held by another session: see orchestrator locks'"
    yield "-- The lock that orchestrator takes: one session at a time works on a target."
    yield from _stop_if(got, LOCKED, message)


_NAME = (
    "CASE :'orchestrator_target' WHEN '' THEN 'database ' || current_database()"
    " ELSE 'schema ' || :'orchestrator_target' END"
)


def _schema(script: Script) -> Iterator[str]:
    there = "EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = :'orchestrator_target')"
    if script.bind.create and not script.start and script.way == "up":
        yield f"CREATE SCHEMA IF NOT EXISTS {_TARGET};"
    else:
        yield from _stop_if(f"NOT {there}", REFUSED, f"{_NAME} || ' does not exist'")


def _guard(script: Script) -> Iterator[str]:
    """Stop unless the version table holds what the script starts from, and no step is half-way."""
    place = _place(script)
    at = "CASE :'{}' WHEN '' THEN 'base' ELSE :'{}' END"
    yield "-- Where the target stands: nothing is changed where it is not where this starts from."
    yield from _read(place, script.bind.version_table, "orchestrator_rows", _ROWS)
    yield f"\\echo '{STANDS}' :orchestrator_rows"
    stands, starts = (at.format(name, name) for name in ("orchestrator_rows", "orchestrator_at"))
    yield from _stop_if(
        ":'orchestrator_rows' <> :'orchestrator_at'",
        REFUSED,
        f"{_NAME} || ' stands at ' || {stands} || ', and this script starts from ' || {starts}"
        " || '; nothing was changed'",
    )
    yield from _read(place, script.bind.journal_table, "orchestrator_half", _JOURNAL_STATE)
    yield f"\\echo '{HALF}' :orchestrator_half"
    yield from _stop_if(
        ":'orchestrator_half' <> :'orchestrator_journal'",
        REFUSED,
        f"{_NAME} || ' is half-way through a step (' || :'orchestrator_half' || '): run-all.sh,"
        " orchestrator upgrade or orchestrator repair go on there'",
    )


_ROWS = "coalesce(string_agg(version_num, ',' ORDER BY version_num COLLATE \"C\"), '')"
_JOURNAL_STATE = (
    "coalesce((array_agg(revision || ' ' || direction || ' ' || number || ' ' || kind"
    " ORDER BY number DESC))[1] || ' ' || (array_agg(digest ORDER BY number))[1], '')"
)
"""The journal in one text: revision, direction, number and kind of its last row, and the digest of
its header."""


def _read(place: _Anywhere, table: str, variable: str, expression: str) -> Iterator[str]:
    """Set psql's variable to an expression over a table, '' where there is none."""
    name = f"{_TARGET}.{place.quote(table)}" if place.variable else place.quote(table)
    literal = text_literal("postgresql", place.quote(table))
    written = f"quote_ident(:'orchestrator_target') || '.' || {literal}"
    regclass = written if place.variable else literal
    yield f"\\set {variable} ''"
    yield f"SELECT to_regclass({regclass}) IS NOT NULL AS orchestrator_is \\gset"
    yield f"\\if :orchestrator_is\nSELECT {expression} AS {variable} FROM {name} \\gset\n\\endif"


def _settings(script: Script) -> Iterator[str]:
    bind = script.bind
    path = [_TARGET] * (bind.tenancy == "schema")
    path += ['"' + name.replace('"', '""') + '"' for name in bind.search_path]
    if path:
        yield f"SET search_path = {', '.join(path)};"
    yield f"SET application_name = '{script.owner}';"
    yield f"SET lock_timeout = '{round(bind.lock_timeout * 1000)}ms';"
    if bind.statement_timeout:
        yield f"SET statement_timeout = '{round(bind.statement_timeout * 1000)}ms';"


def _steps(script: Script) -> Iterator[str]:
    place = _place(script)
    for number, step in enumerate(script.steps, start=1):
        pieces = pieces_of(step.segments)
        yield ""
        yield step_line(number, step, resumable=_resumable(step))
        yield heading(step)
        first = [create_version_table(place)] * (number == 1 and not step.before)
        changes = [*version_statements(place, step.step.changes)]
        if journalled(pieces, joined=False):
            yield from _Journalled(script, place, number, step).write(pieces, first, changes)
        else:
            texts = [text for piece in pieces for text in piece.statements]
            yield from _transaction([*first, *texts, *changes])


def _resumable(step: ScriptStep) -> bool:
    """Whether what a session makes is not needed behind it."""
    return not any(session_changes(text) or temporary_names(text) for text in step.texts)


def _transaction(texts: Sequence[str]) -> Iterator[str]:
    yield from (_BEGIN, *map(psql_text, texts), _COMMIT)


@dataclass(frozen=True)
class _Journalled:
    """A step of more than one transaction, each with a row that says how far it got."""

    script: Script
    place: _Anywhere
    number: int
    step: ScriptStep

    def write(
        self, pieces: Sequence[Piece], first: Sequence[str], changes: Sequence[str]
    ) -> Iterator[str]:
        """first: what comes before the step's own statements."""
        table = self.place.journal
        start = [*first, create_journal("postgresql", table), clear(table), self._header()]
        last = pieces[-1] if pieces[-1].way == "transaction" else None
        for piece in pieces[:-1] if last else pieces:
            yield statement_line(self.number, piece.first)
            yield from self._piece(piece, start or [_undone(table, piece.first)])
            start = []
        yield statement_line(self.number, last.first) if last else finish_line(self.number)
        yield from _transaction([*(last.statements if last else ()), *changes, clear(table)])

    def _piece(self, piece: Piece, left: Sequence[str]) -> Iterator[str]:
        """left: what comes before it in the same transaction."""
        what = alone(piece.statements[0]) if piece.way == "single" else None
        if what is not None:
            yield from self._alone(piece.statements[0], what, piece.end, left)
        else:
            yield from _transaction([*left, *piece.statements, self._row(piece.end, "data")])

    def _alone(self, text: str, what: Alone, number: int, left: Sequence[str]) -> Iterator[str]:
        table = self.place.journal
        yield evidence_line(self.number, number, self._evidence(what, number))
        yield refused_line(self.number, number, decide(table, number, done=False))
        if what.concurrent:
            yield from _builds()
        yield from _transaction([*left, self._row(number, "alone", answers(what))])
        if what.sort == "create index" and what.name:
            yield "-- An index that an earlier try left behind."
            yield f"{_leftover(what)} \\gexec"
        yield psql_text(text)
        yield psql_text(decide(table, number, done=True))
        if what.concurrent:
            yield (
                f"SELECT pg_advisory_unlock({builds_lock().number}) AS orchestrator_is \\gset\n"
                f"SET lock_timeout = '{round(self.script.bind.lock_timeout * 1000)}ms';"
            )

    def _evidence(self, what: Alone, number: int) -> str:
        """ "ran", "not" or "unknown" (see safety.evidence.judge)."""
        before = f"(SELECT definitions::jsonb FROM {self.place.journal} WHERE number = {number})"
        now = f"{answers(what)}::jsonb"
        told = "'unknown'"
        if what.sort == "repeat":
            told = "'not'"
        elif what.sort == "create index" and what.name:
            bad = f"EXISTS (SELECT FROM jsonb_each_text({now}) AS e WHERE e.value = '{INVALID}')"
            told = f"CASE WHEN {bad} OR {now} = {before} THEN 'not' ELSE 'ran' END"
        elif what.sort in ("drop index", "exists"):
            told = f"CASE WHEN {now} = {before} THEN 'not' ELSE 'ran' END"
        return f"SELECT '{EVIDENCE} ' || {told};"

    def _header(self) -> str:
        return insert_rows("postgresql", self.place.journal, [self.step.header(self.script.owner)])

    def _row(self, number: int, kind: Kind, definitions: str = "") -> str:
        text = self.step.texts[number - 1]
        entry = row(self.step.header(self.script.owner), number, kind, text, {})
        return insert_rows("postgresql", self.place.journal, [entry], definitions)


def _undone(table: str, first: int) -> str:
    """What an earlier try has written of statements that come now."""
    return f"DELETE FROM {table} WHERE number >= {first}"


def _builds() -> Iterator[str]:
    """One CONCURRENTLY statement at a time in a database: two wait for each other. And without
    lock_timeout, which would fail on any long statement elsewhere, and leave an invalid index."""
    got = f"NOT pg_catalog.pg_try_advisory_lock({builds_lock().number})"
    message = "'another session of this database runs a CONCURRENTLY statement: start again later'"
    yield from _stop_if(got, BUSY, message)
    yield "SET lock_timeout = 0;"


def _leftover(what: Alone) -> str:
    name, on = (text_literal("postgresql", one) for one in (what.name, what.on))
    return (
        "SELECT format('DROP INDEX CONCURRENTLY %s', c.oid::regclass) FROM pg_catalog.pg_index i"
        " JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
        f" WHERE i.indrelid = to_regclass({on}) AND NOT i.indisvalid AND c.relkind = 'i'"
        f" AND c.relname = (parse_ident({name}))[1]::name"
    )


def _unlock() -> str:
    return "SELECT pg_catalog.pg_advisory_unlock_all() AS orchestrator_is \\gset"
