"""What a change of a column's type does to its values, as far as the types tell.

Enters: two types as a server writes them.  Leaves: why values may not fit, and whether PostgreSQL
leaves the rows as they are.  No I/O.

Sources: PostgreSQL 18 manual, chapter 8 "Data Types" and ALTER TABLE, "Notes"; MySQL 8.4 manual,
chapter 13 "Data Types".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_ENDLESS = 2**40
_WRITTEN = re.compile(
    r"(?P<name>[a-z][\w .]*?)\s*(?:\((?P<size>.*)\)(?P<rest>[\w ]*))?", re.I | re.S
)

Sort = Literal["text", "bytes", "whole", "exact", "float", "time", "bit", "values", "other"]

_TEXTS = {
    "character varying": _ENDLESS,
    "varchar": _ENDLESS,
    "character": 1,
    "char": 1,
    "text": _ENDLESS,
    "citext": _ENDLESS,
    "tinytext": 255,
    "mediumtext": 2**24 - 1,
    "longtext": 2**32 - 1,
}
_BYTES = {
    "bytea": _ENDLESS,
    "binary": 1,
    "varbinary": _ENDLESS,
    "tinyblob": 255,
    "blob": 2**16 - 1,
    "mediumblob": 2**24 - 1,
    "longblob": 2**32 - 1,
}
_BITS = {
    "tinyint": 8,
    "smallint": 16,
    "mediumint": 24,
    "integer": 32,
    "int": 32,
    "bigint": 64,
}
_FLOATS = {"real": 24, "float": 24, "double": 53, "double precision": 53}
_TIMES = {
    "date": frozenset("d"),
    "time": frozenset("t"),
    "timestamp": frozenset("dt"),
    "datetime": frozenset("dt"),
}
_MYSQLS_TEXT = 2**16 - 1


@dataclass(frozen=True, slots=True)
class _Type:
    """A type, read. limit: of a text its length, of a number its largest; scale: digits behind the
    point; unsigned, of a whole number."""

    sort: Sort
    name: str
    limit: int = 0
    scale: int = 0
    unsigned: bool = False
    parts: frozenset[str] = frozenset()


def narrows(before: str, after: str, *, mysql: bool) -> str:
    """Why some value of the one type does not fit the other; "" where all do, or nobody can
    tell."""
    one, two = _read(before, mysql=mysql), _read(after, mysql=mysql)
    if before == after or two.sort == "other" or one.sort == "other":
        # To a type that is not known from one that is: text may hold anything.
        return "not every text is one" if one.sort == "text" and before != after else ""
    return _REASONS.get((one.sort, two.sort), _other)(one, two)


def keeps_rows(before: str, after: str) -> bool:
    """Whether PostgreSQL changes the type without writing the table anew."""
    one, two = _read(before, mysql=False), _read(after, mysql=False)
    if one.sort == two.sort == "text":
        fixed = {"character", "char", "citext"} & {one.name, two.name}
        return not fixed and one.limit <= two.limit
    if one.sort == two.sort == "exact":
        unlimited = two.limit >= _ENDLESS
        return unlimited or (one.scale == two.scale and one.limit <= two.limit)
    if one.sort == two.sort == "time" and one.parts == two.parts:
        return one.name == two.name and one.scale <= two.scale and _zone(before) == _zone(after)
    if one.name == two.name == "bit varying":
        return one.limit <= two.limit
    return (one.name, two.name) == ("cidr", "inet")


def _zone(written: str) -> bool:
    return "with time zone" in written


def _read(written: str, *, mysql: bool) -> _Type:
    found = _WRITTEN.fullmatch(written.strip())
    if found is None:  # an array, for one
        return _Type("other", written)
    name, rest = found["name"].lower(), (found["rest"] or "").lower()
    for words in ("unsigned", "zerofill", "without time zone", "with time zone"):
        if name.endswith(words):
            name, rest = name.removesuffix(words).strip(), f"{rest} {words}"
    sizes = [int(part) for part in (found["size"] or "").split(",") if part.strip().isdigit()]
    if name in ("enum", "set"):
        values = frozenset(re.findall(r"'((?:[^']|'')*)'", found["size"] or ""))
        return _Type("values", name, parts=values)
    if name in _TEXTS:
        if name == "text" and mysql:
            return _Type("text", name, _MYSQLS_TEXT)
        return _Type("text", name, sizes[0] if sizes else _TEXTS[name])
    if name in _BYTES:
        return _Type("bytes", name, sizes[0] if sizes else _BYTES[name])
    if name in _BITS:
        bits = _BITS[name]
        unsigned = "unsigned" in rest
        return _Type("whole", name, 2 ** (bits if unsigned else bits - 1) - 1, 0, unsigned)
    if name in ("numeric", "decimal"):
        if not sizes:
            sizes = [10, 0] if mysql else [_ENDLESS, _ENDLESS]
        scale = sizes[1] if len(sizes) > 1 else 0
        return _Type("exact", name, sizes[0], scale)
    if name in _FLOATS:
        return _Type("float", name, _FLOATS[name])
    if name in _TIMES:
        scale = sizes[0] if sizes else (0 if mysql else 6)
        return _Type("time", name, 0, scale, parts=_TIMES[name])
    if name in ("bit", "bit varying"):
        return _Type("bit", name, sizes[0] if sizes else (1 if name == "bit" else _ENDLESS))
    return _Type("other", name)


def _length(one: _Type, two: _Type) -> str:
    return f"values may be longer than {two.limit:,}" if two.limit < one.limit else ""


def _whole(one: _Type, two: _Type) -> str:
    if two.limit < one.limit:
        return f"values may be larger than {two.limit:,}"
    return "values may be negative" if two.unsigned and not one.unsigned else ""


def _exact(one: _Type, two: _Type) -> str:
    if two.limit >= _ENDLESS:
        return ""
    if one.limit >= _ENDLESS or two.limit - two.scale < one.limit - one.scale:
        return f"values may have more than {two.limit - two.scale} digits before the point"
    return _scale(one, two)


def _scale(one: _Type, two: _Type) -> str:
    return f"values are rounded to {two.scale} digits" if two.scale < one.scale else ""


def _whole_to_exact(one: _Type, two: _Type) -> str:
    digits = two.limit - two.scale
    return (
        f"values may have more than {digits} digits" if 10 ** min(digits, 30) <= one.limit else ""
    )


def _rounded(_one: _Type, _two: _Type) -> str:
    return "values are rounded"


def _exact_to_whole(one: _Type, two: _Type) -> str:
    if one.scale:
        return "values are rounded"
    return f"values may be larger than {two.limit:,}" if 10**one.limit > two.limit else ""


def _whole_to_float(one: _Type, two: _Type) -> str:
    return "large values are rounded" if one.limit >= 2**two.limit else ""


def _float(one: _Type, two: _Type) -> str:
    return "values are rounded" if two.limit < one.limit else ""


def _time(one: _Type, two: _Type) -> str:
    lost = one.parts - two.parts
    if lost:
        return "the date is lost" if "d" in lost else "the time of day is lost"
    return f"seconds are rounded to {two.scale} digits" if two.scale < one.scale else ""


def _values(one: _Type, two: _Type) -> str:
    gone = sorted(one.parts - two.parts)
    verb = "is no value" if len(gone) == 1 else "are no values"
    return f"{', '.join(gone)} {verb} any more" if gone else ""


def _to_text(one: _Type, two: _Type) -> str:
    if two.limit >= _LONG_ENOUGH:
        return ""
    return f"values may be longer than {two.limit:,} as text"


_LONG_ENOUGH = 64
"""Characters that every number and every point in time fits into."""


def _enum_to_text(one: _Type, two: _Type) -> str:
    longest = max(map(len, one.parts), default=0)
    return f"values may be longer than {two.limit:,}" if longest > two.limit else ""


def _other(one: _Type, two: _Type) -> str:
    return f"not every value of {one.name} is one of {two.name}"


_REASONS = {
    ("text", "text"): _length,
    ("bytes", "bytes"): _length,
    ("bit", "bit"): _length,
    ("whole", "whole"): _whole,
    ("exact", "exact"): _exact,
    ("whole", "exact"): _whole_to_exact,
    ("exact", "whole"): _exact_to_whole,
    ("whole", "float"): _whole_to_float,
    ("float", "float"): _float,
    ("float", "whole"): _rounded,
    ("float", "exact"): _rounded,
    ("exact", "float"): _rounded,
    ("time", "time"): _time,
    ("values", "values"): _values,
    ("values", "text"): _enum_to_text,
    ("whole", "text"): _to_text,
    ("exact", "text"): _to_text,
    ("float", "text"): _to_text,
    ("time", "text"): _to_text,
    ("text", "bytes"): _length,
}
