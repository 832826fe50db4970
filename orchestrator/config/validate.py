"""A `Document` against the models, with every mistake in the user's words.

Enters: a `Document`.  Leaves: a `FileSection` (or the section that was asked for), always: what is
wrong is taken out of the document, stands in its problems, and the rest is validated again, so that
one mistake hides no other.
"""

from __future__ import annotations

from typing import Any, TypeVar, get_args

from orchestrator.config.document import Document, Keys
from orchestrator.config.mistake import Mistake, meant, shown
from orchestrator.config.model import FileSection
from orchestrator.config.section import Fault, Section, bare, read_section
from orchestrator.config.values import NOTHING, kind_of

_Top = TypeVar("_Top", bound=Section)


def validate(document: Document) -> FileSection:
    """Validate a document as databases.yaml; problems are added to it."""
    return validate_as(FileSection, document)


def validate_as(top: type[_Top], document: Document) -> _Top:
    """Validate a document as this section; problems are added to it."""
    while True:
        faults: list[Fault] = []
        section = read_section(top, document.top, (), faults)
        if section is not None:
            return section
        faulty: set[Keys] = set()
        for one in faults:
            keys, missing = one.keys, one.kind == "missing"
            faulty.add(document.existing(keys[:-1] if missing else keys))
            if missing and document.table(*keys[:-1]).given(str(keys[-1])):
                continue  # its variable is unset, or its value was refused: said already
            mistake = _mistake(one, top)
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


def _mistake(fault: Fault, top: type[Section]) -> Mistake:
    """A fault in the user's words."""
    if fault.mistake is not None:
        return fault.mistake
    name = str(fault.keys[-1]) if fault.keys else ""
    if fault.kind == "unknown":
        return Mistake(f"unknown key {shown(name)}", meant(name, _known(fault.keys, top)))
    if fault.kind == "missing":
        return Mistake(f"the key {name!r} is missing", "Add it.")
    found = kind_of(fault.value)
    what = "is empty" if found == NOTHING else f"must be a mapping, not {found}"
    return Mistake(what, _advice(fault.keys, top))


def _known(keys: Keys, top: type[Section]) -> list[str]:
    section = _section(keys[:-1], top)
    if section is None:
        return []
    return section.names()


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
            found = dict(zip(kind.names(), kind.keys().values(), strict=True))
            if key not in found:
                return None
            kind = bare(found[str(key)].annotation)
        else:
            inner = [one for one in get_args(kind) if one is not Ellipsis]
            kind = bare(inner[-1]) if inner else None
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None
