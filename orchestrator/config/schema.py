"""The JSON Schema of databases.yaml, for editors.

Enters: the models.  Leaves: `databases.schema.json` beside this module; run
`python -m orchestrator.config.schema` after a change of the models (a test holds it current).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.config.bind_rules import SOURCES, URL_KEYS
from orchestrator.config.kinds import PLAIN
from orchestrator.config.model import FileSection

SCHEMA_FILE = Path(__file__).with_name("databases.schema.json")


def json_schema() -> dict[str, Any]:
    """The schema of the whole file (draft 2020-12)."""
    schema = FileSection.model_json_schema(by_alias=True)
    parts = schema["$defs"]
    parts["BindSection"]["oneOf"] = [{"required": [key]} for key in URL_KEYS]
    tenants = parts["TenantsSection"]
    tenants["oneOf"] = [{"required": [key]} for key in SOURCES]
    # The model turns a plain name into an entry, which pydantic's schema cannot know.
    array = next(one for one in tenants["properties"]["list"]["anyOf"] if "items" in one)
    array["items"] = {"anyOf": [PLAIN, array["items"]]}
    schema["required"] = ["binds"]
    schema["properties"]["binds"]["minProperties"] = 1
    schema["patternProperties"] = {"^x-": {"description": "A place for anchors; not used itself."}}
    _without_titles(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "databases.yaml of orchestrator",
    }


def schema_text() -> str:
    """The schema as it stands in the file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _without_titles(node: Any) -> None:
    """pydantic titles every key with its own name, which editors would show instead of the help."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for value in node.values():
            _without_titles(value)
    elif isinstance(node, list):
        for value in node:
            _without_titles(value)


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
