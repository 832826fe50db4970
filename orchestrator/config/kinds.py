"""What a single key of databases.yaml may hold: its kinds of value, as annotated types.

Enters: nothing.  Leaves: one annotated type for each kind of value, which reads the value
(`values.py`), holds its range, and tells the JSON Schema for editors what it looks like.  Which
key holds which kind stands in `model.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from orchestrator.config import values
from orchestrator.config.flavour import Flavour
from orchestrator.config.mistake import Mistake
from orchestrator.config.section import After, Before, Json

VARIABLE = r"\$\{"
"""A value with a variable in it fits every key; JSON Schema finds it anywhere in the text."""


def _json(*kinds: dict[str, Any]) -> Json:
    return Json({"anyOf": [*kinds, {"type": "string", "pattern": VARIABLE}]})


def _range(lowest: int, highest: int | None = None) -> After:
    def check(number: int) -> int:
        if number < lowest or (highest is not None and number > highest):
            limits = f"from {lowest}" + (f" to {highest}" if highest is not None else "")
            raise Mistake(f"{number} is out of range", f"Write a number {limits}.")
        return number

    return After(check)


def _one_of(*choices: str) -> Before:
    def check(value: object) -> str:
        found = values.filled_text(value)
        if found not in choices:
            raise Mistake(
                f"{values.quoted(value)} is not possible here", f"Write {' or '.join(choices)}."
            )
        return found

    return Before(check)


def listed(value: object) -> object:
    """A value that must be a list. Raises Mistake."""
    if isinstance(value, list | tuple):
        return value
    kind = values.kind_of(value)
    raise Mistake(
        f"must be a list, not {kind}", "Write it as [a, b], or one item a line, each after '- '."
    )


def _one_or_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _filled_list(found: tuple[str, ...]) -> tuple[str, ...]:
    if not found:
        raise Mistake("the list is empty", "Write at least one item, or remove the line.")
    return found


PLAIN: dict[str, Any] = {"type": ["string", "number", "boolean"]}
"""JSON Schema of a text: a number or a bool is taken as it was written."""
_NUMBER_OF_SECONDS = {"type": "number", "minimum": 0}
_WRITTEN_DURATION = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h)?\s*$"}

Text = Annotated[str, Before(values.filled_text), Json(PLAIN)]
Label = Annotated[str, Before(values.text), Json(PLAIN)]
Url = Annotated[str, Before(values.url), Json({"type": "string"})]
Path = Annotated[str, Before(values.filled_text), Json({"type": "string"})]
Name = Annotated[str, Before(values.word)]
Module = Annotated[str, Before(values.dotted_name), Json({"type": "string"})]
Object = Annotated[str, Before(values.object_name), Json({"type": "string"})]
Flag = Annotated[bool, Before(values.flag), _json({"type": "boolean"})]
Positive = Annotated[int, Before(values.count), _range(1), _json({"type": "integer", "minimum": 1})]
# 12: the length of the ids that Alembic makes. 255: an index column that every flavour takes.
VersionLength = Annotated[
    int,
    Before(values.count),
    _range(12, 255),
    _json({"type": "integer", "minimum": 12, "maximum": 255}),
]
Duration = Annotated[float, Before(values.duration), _json(_NUMBER_OF_SECONDS, _WRITTEN_DURATION)]
Percent = Annotated[
    float,
    Before(values.percent),
    _json(
        {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%?\s*$"},
    ),
]
Failures = Annotated[
    str,
    Before(values.failures),
    _json(
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%?\s*$"},
    ),
]
FlavourName = Annotated[
    Flavour,
    Before(values.flavour),
    _json(
        {"type": "string", "pattern": r"^(postgresql|mysql|mariadb)(-\d+(\.\d+){0,2})?$"},
    ),
]
TenancyName = Annotated[
    Literal["schema", "database"],
    _one_of("schema", "database"),
    _json({"enum": ["schema", "database"]}),
]
TransactionName = Annotated[
    Literal["revision", "path"], _one_of("revision", "path"), _json({"enum": ["revision", "path"]})
]
FailOnName = Annotated[
    Literal["notice", "warning", "error"],
    _one_of("notice", "warning", "error"),
    _json({"enum": ["notice", "warning", "error"]}),
]
SeverityName = Annotated[
    Literal["off", "notice", "warning", "error"],
    Before(values.severity),
    # false: what a bare off is to YAML
    _json({"enum": ["off", "notice", "warning", "error", False]}),
]
Texts = Annotated[tuple[Text, ...], Before(listed)]
Modules = Annotated[tuple[Module, ...], Before(listed)]
Paths = Annotated[
    tuple[Path, ...],
    Before(_one_or_list),
    Json(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]
Labels = dict[str, Label]
Globs = Annotated[
    tuple[Text, ...],
    Before(_one_or_list),
    After(_filled_list),
    Json({"anyOf": [PLAIN, {"type": "array", "items": PLAIN, "minItems": 1}]}),
]
CheckCommand = Annotated[
    tuple[str, ...],
    Before(values.command),
    Json({"anyOf": [{"type": "string"}, {"type": "array", "items": PLAIN, "minItems": 1}]}),
]
Checks = Annotated[tuple[CheckCommand, ...], Before(listed)]
