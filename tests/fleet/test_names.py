"""Names of tenants, of their schemas and databases, and patterns over them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import Bind, Where
from orchestrator.fleet.names import is_common, name_of, tenant_of
from orchestrator.fleet.tenant_databases import like

HERE = Where(Path("/p/databases.yaml"), 7)
TEMPLATES = [
    "{tenant}",
    "t_{tenant}",
    "{tenant}_db",
    "a{tenant}b",
    "{tenant}-{tenant}",
    "%{tenant}_",
]


def bind(template: str, tenancy: str = "schema", family: str = "postgresql") -> Bind:
    return Bind(
        "shop",
        HERE,
        {},
        (),
        tenancy=tenancy,  # type: ignore[arg-type]
        family=family,  # type: ignore[arg-type]
        tenant_name=template,
    )


@given(st.sampled_from(TEMPLATES), st.text(min_size=1))
def test_a_template_can_be_taken_off_again(template: str, tenant: str) -> None:
    one = bind(template)
    assert tenant_of(one, name_of(one, tenant)) == tenant


@given(st.sampled_from(TEMPLATES), st.text())
def test_only_a_tenants_name_gives_a_tenant(template: str, name: str) -> None:
    one = bind(template)
    tenant = tenant_of(one, name)
    assert tenant is None or (tenant and name_of(one, tenant) == name)


@pytest.mark.parametrize(
    ("template", "name"),
    [("t_{tenant}", "t_"), ("t_{tenant}", "tax"), ("{tenant}_db", "_db"), ("{tenant}", "")],
)
def test_other_names_give_none(template: str, name: str) -> None:
    assert tenant_of(bind(template), name) is None


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("t_%", "t_acme", True),
        ("t_%", "tax", False),
        ("t_%", "T_acme", False),
        (r"t\_%", "t_acme", True),
        (r"t\_%", "tax", False),
        (r"100\%", "100%", True),
        (r"100\%", "1000", False),
        ("%", "", True),
        ("%_eu_%", "acme_eu_1", True),
        ("%_eu_%", "acme-eu-1", False),
        ("a.c[d]", "a.c[d]", True),
        ("a.c", "abc", False),
        ("a%", "a\nb", True),
        ("a\\", "a\\", True),
    ],
)
def test_a_pattern_has_one_wildcard(pattern: str, name: str, matches: bool) -> None:
    assert bool(like(pattern).fullmatch(name)) == matches


@pytest.mark.parametrize(
    ("tenancy", "family", "common", "own"),
    [
        ("schema", "postgresql", ["public", "pg_toast", "information_schema"], ["mysql", "a"]),
        ("database", "postgresql", ["postgres", "template0", "template1"], ["public", "pg_x"]),
        ("database", "mysql", ["mysql", "sys", "Performance_Schema"], ["public", "postgres1"]),
    ],
)
def test_what_is_nobodys_tenant(
    tenancy: str, family: str, common: list[str], own: list[str]
) -> None:
    one = bind("{tenant}", tenancy, family)
    assert all(is_common(one, name) for name in [*common, "orchestrator_scratch_65_ab"])
    assert not any(is_common(one, name) for name in own)
