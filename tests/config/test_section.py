"""A section read from a value: what it holds, and every fault with its keys."""

from __future__ import annotations

import pytest

from orchestrator.config.document import Keys
from orchestrator.config.model import (
    AppsSection,
    EntrySection,
    FileSection,
    LintSection,
    ServerSection,
    TenantsSection,
)
from orchestrator.config.section import Fault, FaultKind, Section, read_section


def _faults(section: type[Section], value: object) -> list[tuple[Keys, FaultKind]]:
    found: list[Fault] = []
    assert read_section(section, value, (), found) is None
    return [(one.keys, one.kind) for one in found]


def test_keys_that_are_not_there_have_their_defaults() -> None:
    found = read_section(AppsSection, {"packages": ["apps"]}, (), [])
    assert found is not None
    assert (found.packages, found.models, found.installed) == (("apps",), "models", None)


def test_two_sections_share_no_default() -> None:
    assert ServerSection().labels is not ServerSection().labels


def test_what_is_not_named_is_kept_where_a_section_takes_more() -> None:
    found = read_section(EntrySection, {"tenant": "acme", "tier": 1}, (), [])
    assert found is not None
    assert (found.tenant, found.rest) == ("acme", {"tier": "1"})


@pytest.mark.parametrize(
    ("section", "value", "faults"),
    [
        (AppsSection, [], [((), "mapping")]),
        (AppsSection, {"app": 1, "models": ""}, [(("models",), "value"), (("app",), "unknown")]),
        (EntrySection, {"tier": []}, [(("tenant",), "missing"), (("tier",), "value")]),
        (TenantsSection, {"list": ["a", {}]}, [(("list", 1, "tenant"), "missing")]),
        (LintSection, {"rules": 1}, [(("rules",), "mapping")]),
        (LintSection, {"rules": {"a": "off", "b": "x"}}, [(("rules", "b"), "value")]),
        (FileSection, {"binds": {"a b": {}}}, [(("binds", "a b", "[key]"), "value")]),
    ],
)
def test_every_fault_is_told_at_once(
    section: type[Section], value: object, faults: list[tuple[Keys, FaultKind]]
) -> None:
    assert _faults(section, value) == faults
