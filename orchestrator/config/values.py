"""Readers of single values: text, numbers, durations, shares.

Enters: a value of a `Document` (or a plain Python value, so that the models also take those).
Leaves: the value as its key means it, or a `Mistake`.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping

from orchestrator.config.document import Scalar
from orchestrator.config.flavour import Flavour
from orchestrator.config.mistake import Mistake, shown

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
# PostgreSQL 18 manual, 19.11 "Client Connection Defaults": timeouts are integers of milliseconds.
LONGEST_DURATION = (2**31 - 1) / 1000
_DURATION_HELP = "Write 500ms, 60s, 10m or 2h; a plain number is seconds, and 0 is none."
_WORD = re.compile(r"\w(?:[\w.-]*\w)?")
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_OBJECT = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_NAME_LENGTH = 63
NOTHING = "nothing"


def text(value: object) -> str:
    """One text. A number or a bool is taken as it was written (`007`, `no`)."""
    if isinstance(value, Scalar):
        return "" if value.value is None else value.text
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping | list | tuple) or value is None:
        raise Mistake(
            f"must be a single value, not {kind_of(value)}", "Write one value after the colon."
        )
    return str(value)


def filled_text(value: object) -> str:
    """One text that is not empty."""
    found = text(value)
    if not found.strip():
        raise Mistake(f"is empty{_blame(value)}", "Write a value, or remove the line.")
    return found


def url(value: object) -> str:
    """One URL as written; whether it is a good one is decided in `urls.py`."""
    found = text(value).strip()
    if not found:
        raise Mistake(f"the URL is empty{_blame(value)}", "Give it a URL.")
    return found


def word(value: object) -> str:
    """A name that can be part of a path and of `bind/tenant@server`."""
    found = filled_text(value)
    if not _WORD.fullmatch(found) or len(found) > _NAME_LENGTH:
        raise Mistake(
            f"the name {shown(found)} cannot stand in a path and in a target's name",
            "Use letters, digits, '_', '-' and '.', with a letter, digit or '_' at both ends, "
            f"{_NAME_LENGTH} at most.",
        )
    return found


def dotted_name(value: object) -> str:
    """A Python module, as `import` takes it."""
    found = filled_text(value)
    if not _DOTTED.fullmatch(found):
        raise Mistake(f"{shown(found)} is no module name", "Write it as in `import apps.users`.")
    return found


def object_name(value: object) -> str:
    """Something inside a Python module: `package.module:name`."""
    found = filled_text(value)
    if not _OBJECT.fullmatch(found):
        raise Mistake(f"{shown(found)} names nothing in a module", "Write package.module:name.")
    return found


def flag(value: object) -> bool:
    """true or false."""
    found = _plain(value)
    if not isinstance(found, bool):
        raise Mistake(f"{quoted(value)} is neither true nor false", "Write true or false.")
    return found


def severity(value: object) -> str:
    """off, notice, warning or error. YAML reads a bare off as false (YAML 1.1, "Boolean")."""
    found = _plain(value)
    if found is False:
        return "off"
    if found not in ("off", "notice", "warning", "error"):
        raise Mistake(f"{quoted(value)} is no severity", "Write off, notice, warning or error.")
    return str(found)


def count(value: object) -> int:
    """A whole number; its range is the model's."""
    found = _plain(value)
    if isinstance(found, str) and found.strip().isdecimal():
        return int(found)  # a quoted "${N}"
    if isinstance(found, bool) or not isinstance(found, int):
        raise Mistake(f"{quoted(value)} is no whole number", "Write a number, such as 8.")
    return found


def command(value: object) -> tuple[str, ...]:
    """The words of a command: a list of them, or one text as a shell splits it (no shell runs)."""
    if isinstance(value, list | tuple):
        words = tuple(text(word) for word in value)
        if not words or not words[0].strip():
            raise Mistake("the command is empty", "Write its program and arguments.")
        return words
    try:
        return tuple(shlex.split(filled_text(value)))
    except ValueError as error:
        raise Mistake(
            f"{quoted(value)} is no command: {str(error).lower()}",
            'Close the quotes, or write it as a list of words: [./look, "it\'s"].',
        ) from None


def duration(value: object) -> float:
    """A duration in seconds: 500ms, 60s, 10m, 2h, or a plain number of seconds."""
    found = _plain(value)
    match = None
    if not isinstance(found, bool):
        match = _DURATION.fullmatch(str(found).strip())
    if match is None:
        raise Mistake(f"{quoted(value)} is no duration", _DURATION_HELP)
    number, unit = match.groups()
    seconds = float(number) * UNITS[unit or "s"]
    if seconds > LONGEST_DURATION:
        raise Mistake(
            f"{quoted(value)} is too long", "A server takes 24 days (596h) at most; 0 is none."
        )
    return seconds


def percent(value: object) -> float:
    """A share, from just above 0 to 100, with or without its sign."""
    found = str(_plain(value)).strip().removesuffix("%")
    try:
        share = float(found)
    except ValueError:
        share = math.nan
    if not 0 < share <= 100:
        raise Mistake(
            f"{quoted(value)} is no percentage", "Write a number above 0, up to 100, such as 10."
        )
    return share


def failures(value: object) -> str:
    """A failure budget: a count ("3"), or a share ("2%")."""
    found = text(value).strip()
    number = found.removesuffix("%").strip()
    if number.isdecimal() and not found.endswith("%"):
        return str(int(number))
    if found.endswith("%") and re.fullmatch(r"\d+(?:\.\d+)?", number) and float(number) <= 100:
        return f"{number}%"
    raise Mistake(
        f"{quoted(value)} is no failure budget",
        'Write a count, such as 3, or a share, such as "2%".',
    )


def flavour(value: object) -> Flavour:
    """postgresql-16, mysql-8.4, mariadb-10.11, or a bare name."""
    if isinstance(value, Flavour):
        return value
    found = filled_text(value)
    try:
        return Flavour.parse(found)
    except ValueError:
        raise Mistake(
            f"{shown(found)} is no flavour", "Write postgresql-16, mysql-8.4 or mariadb-10.11."
        ) from None


def quoted(value: object) -> str:
    """A value as a message may show it."""
    if isinstance(value, Mapping | list | tuple) or value is None:
        return kind_of(value)
    found = value.text if isinstance(value, Scalar) else str(value)
    return shown(found)


def kind_of(value: object) -> str:
    """What kind of thing a value is, in the user's words."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or (isinstance(value, Scalar) and value.value is None):
        return NOTHING
    return "a single value"


def _plain(value: object) -> object:
    return value.value if isinstance(value, Scalar) else value


def _blame(value: object) -> str:
    """Which variables made a value empty."""
    names = value.variables if isinstance(value, Scalar) else ()
    if not names:
        return ""
    be = "is" if len(names) == 1 else "are"
    return f" (the environment variable {' and '.join(names)} {be} set, but empty)"
