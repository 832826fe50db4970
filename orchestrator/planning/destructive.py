"""Which statements destroy data, as far as their first words say so.

Enters: the text of a recorded statement, and the family of its server.
Leaves: what it destroys, or nothing.  No I/O.

The rules look at words outside of strings, quoted names and comments, statement by statement:
DROP TABLE, DROP SCHEMA, DROP DATABASE, DROP COLUMN, DROP [MATERIALIZED] VIEW ... CASCADE, DROP TYPE
... CASCADE, DROP OWNED, TRUNCATE, DELETE without WHERE, UPDATE without WHERE, and a column whose
type is changed (ALTER COLUMN ... TYPE; MODIFY and CHANGE of MySQL): whether that loses anything
depends on the data.  Dropping an index or a constraint destroys no data and is not told.  What a
function's body, a DO block or a live step does is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.config.flavour import Family

_SKIPPED: Mapping[Family, str] = {
    # PostgreSQL 18 manual, 4.1.2.4 "Dollar-Quoted String Constants", 4.1.5 "Comments".
    "postgresql": r"""--[^\n]* | /\*.*?\*/ | \$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$
        | [eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*'""",
    # MySQL 8.4 manual, 11.1.1 "String Literals", 11.7 "Comments"; /*! ... */ is run.
    "mysql": r"""--[\s][^\n]* | \#[^\n]* | /\*(?!!).*?\*/ | '(?:[^'\\]|''|\\.)*'""",
}
_PARTS = {
    family: re.compile(
        rf"""(?P<skip> {skipped} )
        | (?P<name> "(?:[^"]|"")*" | `(?:[^`]|``)*` )
        | (?P<end> ; )
        | (?P<word> [^\s;'"`(),]+ | [(),] )""",
        re.VERBOSE | re.DOTALL,
    )
    for family, skipped in _SKIPPED.items()
}

_NAME = "\x00"
"""Stands for a quoted name, which is no word of the language whatever it says."""

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (said, re.compile(pattern))
    for said, pattern in (
        ("drops a table", r"DROP (TEMPORARY )?(FOREIGN )?TABLE\b"),
        ("drops a schema", r"DROP SCHEMA\b"),
        ("drops a database", r"DROP DATABASE\b"),
        ("drops all that a role owns", r"DROP OWNED\b"),
        ("drops what depends on it", r"DROP (?!INDEX\b|CONSTRAINT\b)\w+ .*\bCASCADE\b"),
        ("empties a table", r"TRUNCATE\b"),
        ("deletes every row", r"(WITH .*)?DELETE\b(?!.*\bWHERE\b)"),
        ("changes every row", r"(WITH .*)?UPDATE (?!.*\bWHERE\b).*\bSET\b"),
        (
            "drops a column",
            r"ALTER TABLE .*\bDROP (?!CONSTRAINT\b|INDEX\b|KEY\b|PRIMARY\b|FOREIGN\b|CHECK\b"
            r"|DEFAULT\b|NOT\b|IDENTITY\b|EXPRESSION\b|PARTITION\b)",
        ),
        ("drops a partition", r"ALTER TABLE .*\bDROP PARTITION\b"),
        ("changes a column's type", r"ALTER TABLE .*\bALTER (COLUMN )?\S+ (SET DATA )?TYPE\b"),
        ("may change a column's type", r"ALTER TABLE .*\b(MODIFY|CHANGE)\b"),
    )
)


def destroys(statement: str, family: Family) -> tuple[str, ...]:
    """What a text of one or more statements destroys, in words: ("drops a table",)."""
    found: list[str] = []
    for words in _statements(statement, family):
        found.extend(said for said, rule in _RULES if rule.match(words))
    return tuple(dict.fromkeys(found))


def _statements(text: str, family: Family) -> list[str]:
    """The words of each statement, in capitals, one space between them."""
    statements: list[list[str]] = [[]]
    for part in _PARTS[family].finditer(text):
        if part["end"]:
            statements.append([])
        elif part["name"]:
            statements[-1].append(_NAME)
        elif part["word"]:
            statements[-1].append(part["word"].upper())
    return [" ".join(words) for words in statements if words]
