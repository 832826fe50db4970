"""What revision files put into columns: types, and values that break careless quoting.

Enters: nothing.  Leaves: `KINDS` of columns for each family, texts, and the traps by themselves.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from orchestrator.config.flavour import Family

# Each of these has been mangled by some quoting, interpolation or client.
TRAPS = (
    *("\t", "\\", "\\\\", "'", "''", '"', "`", "%", "%%", "%s", "%(x)s", ":", ":x", "::int", "\\:"),
    *(";", ";\n", "--", "-- x\n", "# x\n", "/*", "*/", "\n", "\r\n", "\r", "$$", "$1", "$a$"),
    *("{x}", "\\N", "\\n", "\\x41", "E'", "NULL", "\nDELIMITER //\n", "\nGO\n", "\n\\q\n", "\x1a"),
    *("é", "日本", "😀", "\u2028", "\x01", "\x7f", "ß", " ", "  ", "a", "Z"),
)
_PIECES = st.one_of(
    st.sampled_from(TRAPS),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=4),
)
TEXTS = st.lists(_PIECES, max_size=6).map("".join)
SHORT = TEXTS.map(lambda text: text[:40])
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), SHORT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(SHORT.filter(bool), inner, max_size=3)
    ),
    max_leaves=6,
)
_DATES = st.dates(datetime.date(1990, 1, 1), datetime.date(2035, 12, 31))
_TIMES = st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2035, 12, 31))
_FLOATS = st.floats(-1e6, 1e6).map(lambda number: round(number, 3))


@dataclass(frozen=True)
class Kind:
    """A type of column: how it is written, and its values."""

    type: str
    values: st.SearchStrategy[Any]
    default: str = ""
    indexed: bool = True


_SHARED = {
    "integer": Kind("sa.Integer()", st.integers(-(2**31), 2**31 - 1), "sa.text('7')"),
    "big": Kind("sa.BigInteger()", st.integers(-(2**63), 2**63 - 1), "'-1'"),
    "numeric": Kind(
        "sa.Numeric(14, 4)",
        st.decimals(-(10**9), 10**9, places=4, allow_nan=False, allow_infinity=False),
        "sa.text('0.5')",
    ),
    "string": Kind("sa.String(200)", TEXTS, "'it\\'s 5 \\\\ \\t{x}; -- \"é😀\"'"),
    "text": Kind("sa.Text()", TEXTS, indexed=False),
    "boolean": Kind("sa.Boolean()", st.booleans(), "sa.true()"),
    "date": Kind("sa.Date()", _DATES, "'2020-02-29'"),
    "bytes": Kind("sa.LargeBinary()", st.binary(max_size=24), indexed=False),
    "json": Kind("sa.JSON()", _JSON, indexed=False),
    "uuid": Kind("sa.Uuid()", st.uuids(version=4)),
    "float": Kind(
        "sa.Double()", st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), "sa.text('1.25')"
    ),
}
_POSTGRESQL = {
    "moment": Kind(
        "sa.DateTime(timezone=True)", _TIMES.map(lambda t: t.replace(tzinfo=datetime.UTC))
    ),
    "jsonb": Kind("postgresql.JSONB()", _JSON, "sa.text(\"'{}'\")", indexed=False),
    "array": Kind("postgresql.ARRAY(sa.Text())", st.lists(SHORT, max_size=3), indexed=False),
    "interval": Kind(
        "sa.Interval()", st.timedeltas(datetime.timedelta(0), datetime.timedelta(400))
    ),
}
_MYSQL = {
    "moment": Kind("mysql.DATETIME(fsp=6)", _TIMES),
    "enum": Kind("sa.Enum('a', \"b'c\", '%', 'é')", st.sampled_from(["a", "b'c", "%", "é"]), "'a'"),
    "unsigned": Kind("mysql.BIGINT(unsigned=True)", st.integers(0, 2**64 - 1)),
}
KINDS: dict[Family, dict[str, Kind]] = {
    "postgresql": {**_SHARED, **_POSTGRESQL},
    "mysql": {**_SHARED, **_MYSQL},
}


def literal(family: Family, value: str) -> str:
    """A value as a literal in a text."""
    escaped = value.replace("'", "''")
    if family == "mysql":
        escaped = escaped.replace("\\", "\\\\")
    return f"'{escaped}'"
