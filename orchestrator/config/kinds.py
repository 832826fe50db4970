"""What a single key of databases.yaml may hold: its kinds of value, as pydantic types.

Enters: nothing.  Leaves: one annotated type for each kind of value, which reads the value
(`values.py`), holds its range, and tells the JSON Schema for editors what it looks like.  Which
key holds which kind stands in `model.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from orchestrator.config import values
from orchestrator.config.flavour import Flavour
from orchestrator.config.mistake import Mistake

VARIABLE = r"\$\{"
"""A value with a variable in it fits every key; JSON Schema finds it anywhere in the text."""


def _json(*kinds: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [*kinds, {"type": "string", "pattern": VARIABLE}]})


def _range(lowest: int, highest: int | None = None) -> AfterValidator:
    def check(number: int) -> int:
        if number < lowest or (highest is not None and number > highest):
            limits = f"from {lowest}" + (f" to {highest}" if highest is not None else "")
            raise Mistake(f"{number} is out of range", f"Write a number {limits}.")
        return number

    return AfterValidator(check)


def _one_of(*choices: str) -> BeforeValidator:
    def check(value: object) -> str:
        found = values.filled_text(value)
        if found not in choices:
            raise Mistake(
                f"{values.quoted(value)} is not possible here", f"Write {' or '.join(choices)}."
            )
        return found

    return BeforeValidator(check)


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

Text = Annotated[str, BeforeValidator(values.filled_text), WithJsonSchema(PLAIN)]
Label = Annotated[str, BeforeValidator(values.text), WithJsonSchema(PLAIN)]
Url = Annotated[str, BeforeValidator(values.url), WithJsonSchema({"type": "string"})]
Path = Annotated[str, BeforeValidator(values.filled_text), WithJsonSchema({"type": "string"})]
Name = Annotated[str, BeforeValidator(values.word)]
Module = Annotated[str, BeforeValidator(values.dotted_name), WithJsonSchema({"type": "string"})]
Object = Annotated[str, BeforeValidator(values.object_name), WithJsonSchema({"type": "string"})]
Flag = Annotated[bool, BeforeValidator(values.flag), _json({"type": "boolean"})]
Positive = Annotated[
    int, BeforeValidator(values.count), _range(1), _json({"type": "integer", "minimum": 1})
]
# 12: the length of the ids that Alembic makes. 255: an index column that every flavour takes.
VersionLength = Annotated[
    int,
    BeforeValidator(values.count),
    _range(12, 255),
    _json({"type": "integer", "minimum": 12, "maximum": 255}),
]
Duration = Annotated[
    float, BeforeValidator(values.duration), _json(_NUMBER_OF_SECONDS, _WRITTEN_DURATION)
]
Percent = Annotated[
    float,
    BeforeValidator(values.percent),
    _json(
        {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%?\s*$"},
    ),
]
Failures = Annotated[
    str,
    BeforeValidator(values.failures),
    _json(
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%?\s*$"},
    ),
]
FlavourName = Annotated[
    Flavour,
    BeforeValidator(values.flavour),
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
    BeforeValidator(values.severity),
    # false: what a bare off is to YAML
    _json({"enum": ["off", "notice", "warning", "error", False]}),
]
Texts = Annotated[tuple[Text, ...], BeforeValidator(listed)]
Modules = Annotated[tuple[Module, ...], BeforeValidator(listed)]
Paths = Annotated[
    tuple[Path, ...],
    BeforeValidator(_one_or_list),
    WithJsonSchema(
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
    BeforeValidator(_one_or_list),
    AfterValidator(_filled_list),
    WithJsonSchema({"anyOf": [PLAIN, {"type": "array", "items": PLAIN, "minItems": 1}]}),
]
CheckCommand = Annotated[
    tuple[str, ...],
    BeforeValidator(values.command),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": PLAIN, "minItems": 1}]}
    ),
]
Checks = Annotated[tuple[CheckCommand, ...], BeforeValidator(listed)]
