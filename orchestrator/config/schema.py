"""The JSON Schema of databases.yaml, for editors.

Enters: the models.  Leaves: `databases.schema.json` beside this module; run
`python -m orchestrator.config.schema` after a change of the models (a test holds it current).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from orchestrator.config.bind_rules import SOURCES, URL_KEYS
from orchestrator.config.kinds import PLAIN
from orchestrator.config.model import FileSection
from orchestrator.config.section import Json, Key, Section, without_none

SCHEMA_FILE = Path(__file__).with_name("databases.schema.json")


def json_schema() -> dict[str, Any]:
    """The schema of the whole file (draft 2020-12)."""
    parts: dict[str, Any] = {}
    schema = {"$defs": parts, **_section(FileSection, parts)}
    schema["$defs"] = parts = dict(sorted(parts.items()))
    parts["BindSection"]["oneOf"] = [{"required": [key]} for key in URL_KEYS]
    tenants = parts["TenantsSection"]
    tenants["oneOf"] = [{"required": [key]} for key in SOURCES]
    # The model turns a plain name into an entry, which its annotation cannot tell.
    array = next(one for one in tenants["properties"]["list"]["anyOf"] if "items" in one)
    array["items"] = {"anyOf": [PLAIN, array["items"]]}
    schema["required"] = ["binds"]
    schema["properties"]["binds"]["minProperties"] = 1
    schema["patternProperties"] = {"^x-": {"description": "A place for anchors; not used itself."}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "databases.yaml of orchestrator",
    }


def schema_text() -> str:
    """The schema as it stands in the file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _section(section: type[Section], parts: dict[str, Any]) -> dict[str, Any]:
    """The schema of one section. parts: gets those of the sections in it."""
    required = [one.alias or name for name, one in section.keys().items() if one.required]
    return {
        "additionalProperties": section.more is not None and _value(section.more, parts),
        "description": inspect.getdoc(section),
        "properties": {one.alias or name: _key(one, parts) for name, one in section.keys().items()},
        **({"required": required} if required else {}),
        "type": "object",
    }


def _key(key: Key, parts: dict[str, Any]) -> dict[str, Any]:
    found = _value(key.annotation, parts) | {"description": key.description}
    if key.default is not ...:
        found["default"] = [] if key.default == () else key.default
    return dict(sorted(found.items()))


def _value(annotation: Any, parts: dict[str, Any]) -> dict[str, Any]:
    """The schema of a value of this type."""
    if hasattr(annotation, "__metadata__"):
        told = [one.schema for one in annotation.__metadata__ if isinstance(one, Json)]
        return _sorted(told[0]) if told else _value(annotation.__origin__, parts)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        return {"items": _value(arguments[0], parts), "type": "array"}
    if origin is dict:
        return {"additionalProperties": _value(arguments[1], parts), "type": "object"}
    if arguments:
        inner = _value(without_none(annotation), parts)
        return {"anyOf": [*(inner["anyOf"] if [*inner] == ["anyOf"] else [inner]), _NULL]}
    parts[annotation.__name__] = _section(annotation, parts)
    return {"$ref": f"#/$defs/{annotation.__name__}"}


_NULL = {"type": "null"}


def _sorted(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {name: _sorted(node[name]) for name in sorted(node)}
    return [_sorted(one) for one in node] if isinstance(node, list) else node


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
