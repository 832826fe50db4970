"""A mistake in one value of databases.yaml, before it is known where the value stands.

Enters: what is wrong with a value.  Leaves: `Mistake`, which readers of values raise and which the
loader turns into a `Problem` with file, line and key; `shown`, for values that go into a message.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN_LENGTH = 60
NOT_SHOWN = "<not shown>"


class Mistake(ValueError):
    """What is wrong with a value, and what to do next. Never holds a URL or a part of one.

    A ValueError, so that pydantic collects it instead of stopping at the first.
    """

    def __init__(self, what: str, todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.todo = todo


def shown(text: str) -> str:
    """A text of the user's as a message may quote it: short, on one line, and never a URL.

    A URL in the wrong place (`flavour: ${MAIN_URL}`) must not bring its password into a message,
    nor must a piece of one: YAML cuts `{url: postgresql://u:a,b@h/d}` at the comma.
    """
    if secretive(text):
        return NOT_SHOWN
    return repr(text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "...")


def secretive(text: str) -> bool:
    """Whether a text may be a URL, or a piece of one with a piece of a password."""
    return "://" in text or "@" in text


def meant(name: str, known: Iterable[str]) -> str:
    """What to do about an unknown name: the closest known one, or all of them."""
    if secretive(name):
        return "Put the URL in quotes."
    names = [one for one in known if not secretive(one)]
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean {shown(close[0])}?"
    return f"Use one of: {', '.join(names)}." if names else ""
