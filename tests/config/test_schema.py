"""The JSON Schema that editors use."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest
import yaml
from jsonschema import Draft202012Validator

from orchestrator.config.model import FileSection
from orchestrator.config.schema import SCHEMA_FILE, schema_text
from tests.config.example import EXAMPLE

SHIPPED = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SHIPPED)


def _faults(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))]


@pytest.mark.skipif(
    tuple(int(part) for part in pydantic.VERSION.split(".")[:2]) < (2, 11),
    reason="older pydantic writes the same models in another way; the file is made with a new one",
)
def test_the_file_is_current() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), (
        "run: python -m orchestrator.config.schema"
    )


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SHIPPED)


def test_it_takes_the_example() -> None:
    assert _faults(EXAMPLE) == []


def test_every_key_has_help() -> None:
    without: list[str] = []

    def look(node: Any, path: str) -> None:
        for name, key in node.get("properties", {}).items():
            if not key.get("description"):
                without.append(f"{path}.{name}")

    look(SHIPPED, "")
    for name, section in SHIPPED["$defs"].items():
        look(section, name)
        assert section["description"], name
    assert without == []
    assert set(SHIPPED["properties"]) == set(FileSection.model_fields)


def test_it_takes_variables_everywhere() -> None:
    assert (
        _faults("""
            binds:
              main:
                url: ${URL}
                max_connections: ${N:-8}
                create: ${CREATE}
                tenancy: ${TENANCY}
                flavour: ${FLAVOUR:-mysql-8.4}
                lock_wait: ${WAIT}
                version_num_length: ${LENGTH}
                transaction: ${TRANSACTION}
            rollout:
              concurrency: ${N}
              max_failures: ${F}
              waves: [{name: a, percent: "${P}", pause: "${PAUSE}"}]
        """)
        == []
    )


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "binds: {}",
        "binds: {main: {url: x, urll: y}}",
        "binds: {main: {}}",
        "binds: {main: {url: x, url_file: y}}",
        "binds: {main: {url: x, max_connections: 0}}",
        "binds: {main: {url: x, max_connections: many}}",
        "binds: {main: {url: x, lock_wait: soon}}",
        "binds: {main: {url: x, flavour: oracle}}",
        "binds: {main: {url: x, tenancy: table}}",
        "binds: {main: {url: x, apps: users}}",
        "binds: {main: {url: x, tenants: {}}}",
        "binds: {main: {url: x, tenants: {list: [], file: x}}}",
        "binds: {main: {url: x, tenants: {list: [{server: a}]}}}",
        "{binds: {main: {url: x}}, bind: 1}",
    ],
)
def test_it_refuses_what_the_loader_refuses(text: str) -> None:
    assert _faults(text)


def test_it_takes_both_forms() -> None:
    assert _faults("binds: {main: {url: x, versions: a}}") == []
    assert _faults("binds: {main: {url: x, versions: [a, b]}}") == []
    assert _faults("binds: {s: {url: x, tenants: {list: [a, 7, {tenant: b, tier: 1}]}}}") == []
    assert _faults("{x-common: &c {url: x}, binds: {s: *c}}") == []
