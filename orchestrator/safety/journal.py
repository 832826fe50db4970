"""The journal: a table inside a target that says how far a step got where DDL commits.

Enters: the statements of one step.  Leaves: the texts that write, read and clear its rows.  No I/O.

A step has a header (number 0) with everything it means to run, and rows of its statements, written
before the statement and made durable by the statement's own commit, or together with the data it
changes.  So the statement of the last row is the only one in doubt: those before it are done, also
those without a row of their own (compiled steps on MySQL write one only for a statement that
commits by itself: what comes between two of them is committed by the second).  The step's last
transaction, which changes the version rows, clears the journal: an empty one means that nothing is
half-applied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from orchestrator.config.flavour import Family
from orchestrator.fleet.types import JOURNAL_COLUMNS

SHOWN = 2_000
"""How many characters of a statement a row keeps for people; its digest is of the whole text."""

PLANNED = 10_000
"""How many statements a header lists at most."""

_HEADER = 500_000
"""How many characters of statements a header keeps together."""

Kind = Literal["header", "ddl", "data", "session", "alone", "read", "refused"]
"""What a row is of. ddl: it commits by itself (MySQL), its objects' definitions tell whether it
ran. data: durable together with its row. session: it changes the session only, and is run again
when a step is continued. alone: a PostgreSQL statement that cannot be in a transaction. read: a
live step read its result. refused: the server refused it, and nothing of it was done."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. number: from 1, as statements come in the step; 0 is the header. statement: as far
    as it is shown. digest: of the whole text. before: digests of the definitions of the objects
    that it touches, as they were before it, by the object ("table orders"); "" means that there was
    none, and "there" that nothing but its being there was looked at. owner: the label of who wrote
    it (safety.owners).
    """

    revision: str
    direction: str
    number: int
    kind: Kind
    statement: str
    digest: str
    before: Mapping[str, str]
    owner: str = ""
    started: str = ""


@dataclass(frozen=True, slots=True)
class HalfApplied:
    """A step that was begun in a target and has not ended. planned: the statements that it meant to
    run, as far as they are shown, with their digests; empty for a live step, whose statements are
    known only as they come. source: the digest of what it was made from. rows: in their order.
    """

    revision: str
    direction: str
    source: str
    live: bool
    planned: tuple[tuple[str, str], ...]
    rows: tuple[Entry, ...]
    owner: str
    started: str

    @property
    def in_doubt(self) -> Entry | None:
        """The last statement that was begun, when nothing but evidence can tell whether it was
        done; None where the journal knows: it was refused, or came together with its row."""
        last = self.rows[-1] if self.rows else None
        return None if last is None or last.kind in ("data", "refused") else last

    @property
    def done(self) -> int:
        """How many statements, counted from the first, are known to be done."""
        last = self.rows[-1] if self.rows else None
        if last is None:
            return 0
        return last.number if last.kind == "data" else last.number - 1


def digest_of(text: str) -> str:
    """The digest of a statement, or of a definition."""
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def source_of(statements: Sequence[str]) -> str:
    """The digest of all statements of a compiled step: another one means that its file was edited
    in a way that matters."""
    return digest_of("\0".join(statements))


def create_journal(family: Family, table: str) -> str:
    """table: quoted, with its schema."""
    long = "TEXT" if family == "postgresql" else "LONGTEXT"
    tail = "" if family == "postgresql" else " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
    text, wide, time = "VARCHAR(64)", "VARCHAR(255)", "TIMESTAMP"
    now = "CURRENT_TIMESTAMP"
    return (
        f"CREATE TABLE IF NOT EXISTS {table} (\n"
        f"    revision {wide} NOT NULL,\n"
        f"    direction VARCHAR(16) NOT NULL,\n"
        f"    number INTEGER NOT NULL,\n"
        f"    kind VARCHAR(16) NOT NULL,\n"
        f"    statement {long} NOT NULL,\n"
        f"    digest {text} NOT NULL,\n"
        f"    definitions {long} NOT NULL,\n"
        f"    owner {wide} NOT NULL,\n"
        f"    started {time} NOT NULL DEFAULT {now},\n"
        f"    PRIMARY KEY (revision, direction, number)\n){tail}"
    )


def insert_rows(family: Family, table: str, entries: Sequence[Entry], definitions: str = "") -> str:
    """The statement that writes rows; the server sets their time. definitions: an SQL expression
    that gives the JSON of the last one's, where the server itself is to look."""
    return f"INSERT INTO {table} {inserted(family, entries, definitions)}"


def inserted(family: Family, entries: Sequence[Entry], definitions: str = "") -> str:
    """What `insert_rows` writes behind the table's name: the same in all targets that are alike."""
    values = [_values(family, entry) for entry in entries]
    if definitions:
        values[-1] = _values(family, entries[-1], definitions)
    names = "revision, direction, number, kind, statement, digest, definitions, owner"
    return f"({names}) VALUES {', '.join(values)}"


def _values(family: Family, entry: Entry, definitions: str = "") -> str:
    values = (
        text_literal(family, entry.revision),
        text_literal(family, entry.direction),
        str(entry.number),
        text_literal(family, entry.kind),
        text_literal(family, entry.statement),
        text_literal(family, entry.digest),
        definitions or text_literal(family, json.dumps(dict(entry.before), sort_keys=True)),
        text_literal(family, entry.owner),
    )
    return f"({', '.join(values)})"


def decide(table: str, number: int, *, done: bool) -> str:
    """The statement that settles a row in doubt: the next run goes on behind it, or with it."""
    kind: Kind = "data" if done else "refused"
    return f"UPDATE {table} SET kind = '{kind}' WHERE number = {number}"


def header(
    revision: str, direction: str, source: str, statements: Sequence[str], owner: str, *, live: bool
) -> Entry:
    """The header of a step. statements: all that it means to run; none for a live step."""
    most = min(SHOWN, _HEADER // max(1, len(statements[:PLANNED])))
    planned = [[shown(text)[:most], digest_of(text)] for text in statements[:PLANNED]]
    what = json.dumps({"live": live, "planned": planned})
    return Entry(revision, direction, 0, "header", what, source, {}, owner)


def row(step: Entry, number: int, kind: Kind, statement: str, before: Mapping[str, str]) -> Entry:
    """The row of one statement of the step that a header begins."""
    return Entry(
        step.revision,
        step.direction,
        number,
        kind,
        shown(statement),
        digest_of(statement),
        before,
        step.owner,
    )


def read_rows(table: str) -> str:
    """The query of all rows, in the order in which `half_applied` takes them."""
    return f"SELECT {', '.join(JOURNAL_COLUMNS)} FROM {table} ORDER BY number"


def clear(table: str) -> str:
    """The statement that empties the journal."""
    return f"DELETE FROM {table}"


def half_applied(rows: Sequence[Sequence[object]]) -> HalfApplied | None:
    """What the rows of a journal tell; None when it is empty."""
    entries = [_entry(one) for one in rows]
    if not entries:
        return None
    first = entries[0]
    known = first.number == 0
    told: dict[str, Any] = json.loads(first.statement if known else '{"live": true, "planned": []}')
    return HalfApplied(
        first.revision,
        first.direction,
        first.digest if known else "",
        bool(told["live"]),
        tuple((text, digest) for text, digest in told["planned"]),
        tuple(one for one in entries if one.number > 0),
        entries[-1].owner,
        entries[-1].started,
    )


def _entry(values: Sequence[object]) -> Entry:
    revision, direction, number, kind, statement, digest, before, owner, started = values
    return Entry(
        str(revision),
        str(direction),
        int(str(number)),
        str(kind),  # type: ignore[arg-type]
        str(statement),
        str(digest),
        json.loads(str(before)),
        str(owner),
        str(started),
    )


def shown(text: str) -> str:
    """As much of a statement as a row keeps, without what is no text."""
    plain = text[:SHOWN].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return plain.replace("\0", "\N{REPLACEMENT CHARACTER}")


def text_literal(family: Family, value: str) -> str:
    """A literal that means the same under every setting of the session."""
    if family == "postgresql":
        # E'' reads backslashes the same whatever standard_conforming_strings is.
        return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    # MySQL's quoting of others depends on NO_BACKSLASH_ESCAPES, and on the connection's charset.
    if value.isascii() and "\\" not in value:
        return "'" + value.replace("'", "''") + "'"
    return f"CONVERT(0x{value.encode().hex()} USING utf8mb4)"
