"""Environment variables inside one text.

Enters: a text and the environment.  Leaves: the text with `${X}` and `${X:-default}` replaced and
`$${` as a plain `${`, and which variables were used and which are unset.

The rules are those of the POSIX shell (XCU 2.6.2, "Parameter Expansion"): the default of
`${X:-default}` also stands in for a variable that is set but empty.  A default may hold `${Y}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.config.mistake import Mistake

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Expanded:
    """text: the result. used: variables whose own value stands in it, not their default. unset:
    variables without a value and without a default; then text is not to be used."""

    text: str
    used: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


def expand(text: str, environ: Mapping[str, str]) -> Expanded:
    """Replace the variables of a text. Raises Mistake for a `${` of no known form."""
    if "${" not in text:
        return Expanded(text)
    parts: list[str] = []
    used: list[str] = []
    unset: list[str] = []
    position = 0
    while (start := text.find("${", position)) >= 0:
        if start > position and text[start - 1] == "$":
            parts += (text[position : start - 1], "${")
            position = start + 2
            continue
        parts.append(text[position:start])
        position = _closing_brace(text, start)
        name, default = _parameter(text[start + 2 : position - 1])
        if environ.get(name) or (name in environ and default is None):
            parts.append(environ[name])
            used.append(name)
        elif default is None:
            unset.append(name)
        else:
            inner = expand(default, environ)
            parts.append(inner.text)
            used += inner.used
            unset += inner.unset
    parts.append(text[position:])
    return Expanded("".join(parts), tuple(dict.fromkeys(used)), tuple(dict.fromkeys(unset)))


def _closing_brace(text: str, start: int) -> int:
    """The position just after the `}` that closes the `${` at start; defaults may nest."""
    depth = 0
    for found in re.finditer(r"\$\$\{|\$\{|\}", text[start:]):
        if found.group() == "${":
            depth += 1
        elif found.group() == "}":
            depth -= 1
        if depth == 0:
            return start + found.end()
    raise Mistake(
        "a '${' has no closing '}'", "Close it, or write $${ where a plain '${' is meant."
    )


def _parameter(inside: str) -> tuple[str, str | None]:
    name = _NAME.match(inside)
    rest = inside[name.end() :] if name else inside
    if name is None or (rest and not rest.startswith(":-")):
        # What stands inside may be a piece of a password: it is not shown.
        raise Mistake(
            "a '${...}' is neither ${NAME} nor ${NAME:-default}",
            "Write one of these, or $${ where a plain '${' is meant.",
        )
    return name.group(), rest[2:] if rest else None
