"""A mapping of databases.yaml as a class: its keys with their kinds, and how it is read.

Enters: a value of a `Document`.  Leaves: a `Section` with an attribute for each key, or `Fault`s,
each with its keys from the top; all of them at once, so that one mistake hides no other.

Every command reads databases.yaml, and a library that does this took a sixth of a short one's time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import UnionType
from typing import Any, ClassVar, Literal, TypeVar, Union
from typing import get_args as arguments_of
from typing import get_origin as origin_of

from orchestrator.config.document import Keys, Scalar, Table
from orchestrator.config.mistake import Mistake

FaultKind = Literal["value", "unknown", "missing", "mapping"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at these keys: a value (`mistake`), an unknown key, one that is missing, or
    something else (`value`) where a mapping must be."""

    keys: Keys
    kind: FaultKind
    mistake: Mistake | None = None
    value: object = None


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """Part of an annotation: reads the value as it was written. Raises Mistake."""

    read: Callable[[object], object]


@dataclass(frozen=True, slots=True, eq=False)
class After:
    """Part of an annotation: looks at what was read. Raises Mistake."""

    check: Callable[[Any], object]


@dataclass(frozen=True, slots=True, eq=False)
class Json:
    """Part of an annotation: the JSON Schema of the value, where its type does not tell."""

    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key. alias: its name in the file, where Python's is another. A key with neither a default
    nor a factory must be there."""

    description: str
    default: Any = ...
    factory: Callable[[], Any] | None = None
    alias: str = ""
    annotation: Any = None

    @property
    def required(self) -> bool:
        return self.default is ... and self.factory is None

    def made(self) -> Any:
        """What the key holds when the file does not say."""
        return self.default if self.factory is None else self.factory()


def key(
    *,
    description: str,
    default: Any = ...,
    factory: Callable[[], Any] | None = None,
    alias: str = "",
) -> Any:
    """One key of a section; its annotation tells its kind. Any, so that it can stand for it."""
    return Key(description, default, factory, alias)


Reader = Callable[[object, Keys, list[Fault]], Any]
"""Reads a value at its keys; what is wrong is added to the faults, and what it gives is nothing."""

Top = TypeVar("Top", bound="Section")


class Section:
    """A mapping of the file. A key without a value, or whose variable is empty, is as if absent;
    in `loud` keys an empty variable is a mistake instead (an empty URL connects to a default).

    more: what keys hold that are not named here; None where there are none. `rest` holds them.
    """

    loud: ClassVar[frozenset[str]] = frozenset()
    more: ClassVar[Any] = None
    rest: Mapping[str, Any]
    _keys: ClassVar[dict[str, Key]] = {}

    def __init_subclass__(cls) -> None:
        own = [(name, one) for name, one in vars(cls).items() if isinstance(one, Key)]
        kinds = cls.__annotations__
        cls._keys = cls._keys | {name: replace(one, annotation=kinds[name]) for name, one in own}

    def __init__(self, **given: Any) -> None:
        """given: values by the names of their attributes; the others have their defaults."""
        self.rest = given.pop("rest", {})
        for name, one in self.keys().items():
            setattr(self, name, given[name] if name in given else one.made())

    @classmethod
    def keys(cls) -> Mapping[str, Key]:
        """The keys, by the names of their attributes; those of the class above first."""
        return cls._keys

    @classmethod
    def names(cls) -> list[str]:
        """The keys as the file has them."""
        return [one.alias or name for name, one in cls.keys().items()]


def read_section(section: type[Top], value: object, keys: Keys, faults: list[Fault]) -> Top | None:
    """A section as this value has it; None when there are faults, which are added."""
    if not isinstance(value, dict):
        faults.append(Fault(keys, "mapping", value=value))
        return None
    before = len(faults)
    left = _without_empty(section, value)
    given: dict[str, Any] = {}
    for name, one in section.keys().items():
        written = one.alias or name
        if written in left:
            here = (*keys, written)
            given[name] = reader_of(one.annotation)(left.pop(written), here, faults)
        elif one.required:
            faults.append(Fault((*keys, written), "missing"))
    if section.more is None:
        faults += [Fault((*keys, name), "unknown") for name in left]
    else:
        read = reader_of(section.more)
        given["rest"] = {name: read(one, (*keys, name), faults) for name, one in left.items()}
    return None if len(faults) > before else section(**given)


def _without_empty(section: type[Section], value: Mapping[str, object]) -> dict[str, object]:
    """The keys that count."""
    if not isinstance(value, Table):
        return dict(value)
    known = section.names()
    # An unknown key is kept even without a value, for it is a mistake all the same.
    return {
        name: one
        for name, one in value.items()
        if not isinstance(one, Scalar)
        or one.value is not None
        or (one.variables and name in section.loud)
        or (section.more is None and name not in known)
    }


@cache
def reader_of(annotation: Any) -> Reader:
    """What reads a value of this type."""
    if hasattr(annotation, "__metadata__"):
        return _annotated(annotation)
    origin = origin_of(annotation)
    if origin in (Union, UnionType):
        return _or_none(reader_of(without_none(annotation)))
    if origin is tuple:
        return _list_of(reader_of(arguments_of(annotation)[0]))
    if origin is dict:
        kind, inner = arguments_of(annotation)
        return _mapping_of(reader_of(kind), reader_of(inner))
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return lambda value, keys, faults: read_section(annotation, value, keys, faults)
    return _as_it_is


def bare(annotation: Any) -> Any:
    """An annotation without `Annotated` and `| None`."""
    if hasattr(annotation, "__metadata__"):
        return bare(annotation.__origin__)
    if origin_of(annotation) in (Union, UnionType):
        return bare(without_none(annotation))
    return annotation


def without_none(annotation: Any) -> Any:
    """An annotation without `| None`."""
    return next(one for one in arguments_of(annotation) if one is not type(None))


def _as_it_is(value: object, _keys: Keys, _faults: list[Fault]) -> Any:
    return value


def _annotated(annotation: Any) -> Reader:
    marks: Iterable[object] = annotation.__metadata__
    befores = [one.read for one in marks if isinstance(one, Before)]
    afters = [one.check for one in marks if isinstance(one, After)]
    inner = reader_of(annotation.__origin__)

    def read(value: object, keys: Keys, faults: list[Fault]) -> Any:
        before = len(faults)
        try:
            for one in befores:
                value = one(value)
            value = inner(value, keys, faults)
            if len(faults) > before:
                return None
            for check in afters:
                value = check(value)
        except Mistake as mistake:
            faults.append(Fault(keys, "value", mistake))
        return value

    return read


def _or_none(inner: Reader) -> Reader:
    def read(value: object, keys: Keys, faults: list[Fault]) -> Any:
        return None if value is None else inner(value, keys, faults)

    return read


def _list_of(inner: Reader) -> Reader:
    def read(value: Any, keys: Keys, faults: list[Fault]) -> Any:
        return tuple([inner(one, (*keys, place), faults) for place, one in enumerate(value)])

    return read


def _mapping_of(kind: Reader, inner: Reader) -> Reader:
    def read(value: object, keys: Keys, faults: list[Fault]) -> Any:
        if not isinstance(value, dict):
            faults.append(Fault(keys, "mapping", value=value))
            return None
        return {
            kind(name, (*keys, name, "[key]"), faults): inner(one, (*keys, name), faults)
            for name, one in value.items()
        }

    return read
