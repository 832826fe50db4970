"""A `Document` against the models, with every mistake in the user's words.

Enters: a `Document`.  Leaves: a `FileSection` (or the section that was asked for), always: what is
wrong is taken out of the document, stands in its problems, and the rest is validated again, so that
one mistake hides no other.
"""

from __future__ import annotations

from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.config.document import Document, Keys
from orchestrator.config.mistake import Mistake, meant, shown
from orchestrator.config.model import FileSection, Section
from orchestrator.config.values import NOTHING, kind_of

_Top = TypeVar("_Top", bound=Section)

_MAPPING_ERRORS = ("model_type", "model_attributes_type", "dict_type")


def validate(document: Document) -> FileSection:
    """Validate a document as databases.yaml; problems are added to it."""
    return validate_as(FileSection, document)


def validate_as(top: type[_Top], document: Document) -> _Top:
    """Validate a document as this section; problems are added to it."""
    while True:
        try:
            return top.model_validate(document.top)
        except ValidationError as error:
            details = error.errors(include_url=False)
        faulty: set[Keys] = set()
        for one in details:
            keys = tuple(one["loc"])
            missing = one["type"] == "missing"
            faulty.add(document.existing(keys[:-1] if missing else keys))
            if missing and document.table(*keys[:-1]).given(str(keys[-1])):
                continue  # its variable is unset, or its value was refused: said already
            mistake = _mistake(one, keys, top)
            document.problems.append(document.problem(keys, mistake.what, mistake.todo))
        if () in faulty:
            return top()
        # From the back, so that the items of a list keep their places until it is their turn.
        for keys in sorted(faulty, key=_order, reverse=True):
            document.remove(keys)


def _order(keys: Keys) -> tuple[tuple[bool, int, str], ...]:
    return tuple(
        (isinstance(key, int), key if isinstance(key, int) else 0, str(key)) for key in keys
    )


def _mistake(error: ErrorDetails, keys: Keys, top: type[Section]) -> Mistake:
    """pydantic's error in the user's words."""
    original = error.get("ctx", {}).get("error")
    if isinstance(original, Mistake):
        return original
    kind = error["type"]
    if kind == "extra_forbidden":
        return Mistake(
            f"unknown key {shown(str(keys[-1]))}", meant(str(keys[-1]), _known(keys, top))
        )
    if kind == "missing":
        return Mistake(f"the key {str(keys[-1])!r} is missing", "Add it.")
    if kind in _MAPPING_ERRORS:
        found = kind_of(error["input"])
        what = "is empty" if found == NOTHING else f"must be a mapping, not {found}"
        return Mistake(what, _advice(keys, top))
    return Mistake(error["msg"].lower())


def _known(keys: Keys, top: type[Section]) -> list[str]:
    section = _section(keys[:-1], top)
    if section is None:
        return []
    return [field.alias or name for name, field in section.model_fields.items()]


def _advice(keys: Keys, top: type[Section]) -> str:
    names = _known((*keys, ""), top)[:3]
    if not names:
        return "Write it as name: value, one a line."
    return f"Write keys under it, such as {', '.join(names)}."


def _section(keys: Keys, top: type[Section]) -> type[Section] | None:
    """The model of the mapping at these keys."""
    kind: Any = top
    for key in keys:
        if isinstance(kind, type) and issubclass(kind, Section):
            fields = {field.alias or name: field for name, field in kind.model_fields.items()}
            if key not in fields:
                return None
            kind = _bare(fields[str(key)].annotation)
        else:
            inner = [one for one in get_args(kind) if one is not Ellipsis]
            kind = _bare(inner[-1]) if inner else None
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _bare(annotation: Any) -> Any:
    """An annotation without `Annotated` and `| None`."""
    if hasattr(annotation, "__metadata__"):
        return _bare(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        return _bare(next(one for one in get_args(annotation) if one is not type(None)))
    return annotation
