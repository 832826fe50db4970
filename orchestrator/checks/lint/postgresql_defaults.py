"""Whether a new column has PostgreSQL write every row of its table.

Enters: the words of a column's definition, behind its name.  Leaves: yes, no, or maybe.  No I/O.

Source: PostgreSQL 18 manual, ALTER TABLE, "Notes": a default that is volatile, a stored generated
column and an identity column have the table written anew; a constant or stable default does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from orchestrator.safety.definitions_words import Word

_SERIAL = ("SERIAL", "BIGSERIAL", "SMALLSERIAL", "SERIAL2", "SERIAL4", "SERIAL8")
_ENDS = (
    *("NOT", "NULL", "CHECK", "UNIQUE", "PRIMARY", "REFERENCES", "GENERATED", "CONSTRAINT"),
    "COLLATE",
)
# PostgreSQL 18 manual, chapter 9 "Functions and Operators"; pg_proc.provolatile.
_VOLATILE = frozenset(
    (
        *("clock_timestamp", "gen_random_uuid", "nextval", "random", "random_normal"),
        *("timeofday", "uuidv4", "uuidv7", "uuid_generate_v1", "uuid_generate_v4"),
        *("gen_random_bytes", "setval"),
    )
)
_STEADY = frozenset(
    (
        *("now", "current_timestamp", "current_date", "current_time", "localtimestamp"),
        *("localtime", "transaction_timestamp", "statement_timestamp", "date_trunc", "timezone"),
        *("lower", "upper", "md5", "to_jsonb", "to_json", "jsonb_build_object"),
        "json_build_object",
        *("jsonb_build_array", "json_build_array", "coalesce", "cast", "array", "row", "concat"),
        *("current_setting", "make_interval", "length", "replace"),
    )
)


def writes_rows(found: Sequence[Word]) -> Literal["yes", "no", "maybe"]:
    """Whether adding a column of this definition has every row written."""
    outer, depth = list[Word](), 0
    for word in found:
        depth += word.is_word("(") - word.is_word(")")
        if depth == 0:
            outer.append(word)
    if any(word.is_word(*_SERIAL, "IDENTITY", "STORED") for word in outer):
        return "yes"
    called = _called(_default(found))
    if called & _VOLATILE:
        return "yes"
    return "maybe" if called - _STEADY else "no"


def _default(found: Sequence[Word]) -> Sequence[Word]:
    """The words of its DEFAULT."""
    depth = 0
    begins: int | None = None
    for number, word in enumerate(found):
        depth += word.is_word("(") - word.is_word(")")
        if depth:
            continue
        if begins is not None and word.is_word(*_ENDS):
            return found[begins:number]
        if begins is None and word.is_word("DEFAULT"):
            begins = number + 1
    return () if begins is None else found[begins:]


def _called(found: Sequence[Word]) -> set[str]:
    """The names that an open parenthesis follows; not those of types, behind :: or AS."""
    names = set()
    for number, word in enumerate(found[:-1]):
        before = found[number - 1] if number else None
        typed = before is not None and (before.is_word("AS") or before.text == "::")
        if word.kind in ("plain", "quoted") and found[number + 1].is_word("(") and not typed:
            names.add(word.name.lower())
    return names
