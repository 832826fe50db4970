"""Values that a recording hands to a revision in place of what only a server, or a target, knows.

Enters: a function that is told when one of them is looked at.
Leaves: `Unread` (a row count, a key), `UnreadRows`, `UnreadName` (a column's name), and
`TargetName` (the name of a tenant's schema or database: real text, that tells who compares it).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

Told = Callable[[str], NoReturn]

_LIBRARIES = ("sqlalchemy", "alembic", "orchestrator", "psycopg2", "pymysql")


def asked_by_library(frame: FrameType) -> bool:
    """Whether the code of a frame belongs to what runs revisions, and not to a project."""
    name = frame.f_globals.get("__name__", "")
    return isinstance(name, str) and name.partition(".")[0] in _LIBRARIES


class Unread:
    """One value of a result. SQLAlchemy carries it around and memoizes it; sums of it are unread
    too; whoever compares, converts, hashes or prints it is told on."""

    __slots__ = ("_told", "_what")

    def __init__(self, told: Told, what: str) -> None:
        self._told = told
        self._what = what

    def _asked(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        self._told(f"it reads {self._what}")

    def _carried(self, *_args: Any) -> Unread:
        return self

    def __getattr__(self, name: str) -> Any:
        # A protocol that is asked for (__clause_element__ ...) is not a look at the value.
        if name.startswith("__"):
            raise AttributeError(name)
        self._asked()

    __bool__ = __int__ = __float__ = __index__ = __len__ = __iter__ = __hash__ = _asked
    __str__ = __repr__ = __format__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _asked
    __getitem__ = __contains__ = __call__ = __bytes__ = __round__ = _asked
    __conform__ = _asked  # psycopg2's protocol for adapting a parameter
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = _carried


class UnreadRows:
    """The rows of a result as PyMySQL's cursors keep them: to know their number is to read."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def _asked(self, *_args: Any) -> NoReturn:
        self._told("it reads rows")

    __len__ = __iter__ = __getitem__ = __bool__ = _asked


class UnreadName(str):
    """The name of a result's column. SQLAlchemy uses it as a key; a project may not look at it."""

    __slots__ = ("_told",)
    _told: Told

    @classmethod
    def of(cls, told: Told, number: int) -> UnreadName:
        """The name of the column with this number."""
        name = cls(f"?column{number}?")
        name._told = told
        return name


class TargetName(str):
    """The name of a tenant's schema or database, or a server's host: true text for SQLAlchemy and
    Alembic; a project that looks at it makes the step live."""

    __slots__ = ("_told",)
    _told: Told

    @classmethod
    def of(cls, told: Told, name: str) -> TargetName:
        """This name, guarded."""
        guarded = cls(name)
        guarded._told = told
        return guarded


# The methods of str that show what is in it; copying an object needs the others.
_PROTOCOLS = "eq ne lt le gt ge hash str repr format add mod contains getitem iter len"
_LOOKS = [name for name in dir(str) if not name.startswith("_") and name != "maketrans"]
_LOOKS += [f"__{name}__" for name in _PROTOCOLS.split(" ")]


def _guard(kind: type[UnreadName] | type[TargetName], method: str, what: str) -> None:
    plain = getattr(str, method)

    def look(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not asked_by_library(sys._getframe(1)):
            self._told(what)
        return plain(self, *args, **kwargs)

    setattr(kind, method, look)


for _method in _LOOKS:
    _guard(UnreadName, _method, "it reads the names of a result's columns")
    _guard(TargetName, _method, "it reads the name of its schema, database or server")
