"""The reference page of databases.yaml says what the models say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from yaml import safe_load

from orchestrator.config import model
from orchestrator.config.load import load_config
from orchestrator.config.schema import SCHEMA_FILE

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "databases-yaml.md"
TEXT = PAGE.read_text(encoding="utf-8")
SCHEMA = Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
ROWS = [
    [cell.strip().strip("`") for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| `")
]
SECTIONS: dict[str, type[model.Section]] = {
    "Top of the file": model.FileSection,
    "apps": model.AppsSection,
    "scratch": model.ScratchSection,
    "binds": model.BindSection,
    "tenants": model.TenantsSection,
    "rollout": model.RolloutSection,
    "Each wave:": model.WaveSection,
    "drift": model.DriftSection,
    "lint": model.LintSection,
}


def _keys(section: type[model.Section]) -> dict[str, object]:
    return {field.alias or name: field.default for name, field in section.model_fields.items()}


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
def test_every_key_has_a_row(section: type[model.Section]) -> None:
    assert set(_keys(section)) <= {row[0] for row in ROWS}


def test_no_row_is_of_a_key_that_is_gone() -> None:
    keys = {key for section in SECTIONS.values() for key in _keys(section)}
    variables = {row[0] for row in ROWS if "${" in row[0]}
    assert {row[0] for row in ROWS} - variables == keys


@pytest.mark.parametrize("section", [model.BindSection, model.RolloutSection, model.AppsSection])
def test_plain_defaults_are_those_of_the_models(section: type[model.Section]) -> None:
    written = {row[0]: row[1] for row in reversed(ROWS)}
    for key, default in _keys(section).items():
        if isinstance(default, bool):
            assert written[key] == str(default).lower(), key
        elif isinstance(default, float):
            assert written[key] == (f"{default:.0f}s" if default else "0"), key
        elif isinstance(default, str | int):
            assert written[key] == str(default), key


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_right(example: str, tmp_path: Path) -> None:
    assert list(SCHEMA.iter_errors(safe_load(example))) == []
    path = tmp_path / "databases.yaml"
    path.write_text(example, encoding="utf-8")
    assert load_config(path, environ={}).binds
