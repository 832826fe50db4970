"""Names of tenants, and of the schemas and databases that are made of them.

Enters: tenants' names from a source, or names from a server's catalogue.  Leaves: what is wrong
with a name, and the tenant that a name belongs to.  Names are data: nothing here writes SQL.
"""

from __future__ import annotations

import unicodedata

from orchestrator.config import Bind

# PostgreSQL 18 manual, 4.1.1 "Identifiers": at most NAMEDATALEN - 1 bytes.
# MySQL 8.4 manual, 11.2.1 "Identifier Length Limits": at most 64 characters.
NAME_LIMIT = {"postgresql": 63, "mysql": 64}

SCRATCH_PREFIX = "orchestrator_scratch_"
"""How the names of throwaway databases begin; they are nobody's tenants."""

_SLOT = "{tenant}"
_BEYOND_BASIC = "\U00010000"

# Control characters, surrogates (which no encoding can carry), and line and paragraph separators.
_REFUSED = {"Cc", "Cs", "Zl", "Zp"}

# Names that belong to the server itself, by what stands for a tenant.
_POSTGRESQL_SCHEMAS = frozenset(("information_schema",))
_POSTGRESQL_DATABASES = frozenset(("template0", "template1"))
_MYSQL_DATABASES = frozenset(("information_schema", "mysql", "performance_schema", "sys"))
# Everybody's: a pattern never means them, though a list may name them.
_COMMON = {"schema": frozenset(("public",)), "database": frozenset(("postgres",))}


def name_of(bind: Bind, tenant: str) -> str:
    """The name of a tenant's schema or database."""
    return bind.tenant_name.replace(_SLOT, tenant)


def tenant_of(bind: Bind, name: str) -> str | None:
    """The tenant whose schema or database has this name: `name_of` taken back. None when the bind's
    template does not give this name for any tenant."""
    template = bind.tenant_name
    count = template.count(_SLOT)
    length, rest = divmod(len(name) - len(template) + count * len(_SLOT), max(count, 1))
    if count == 0 or rest or length <= 0:
        return None
    start = template.index(_SLOT)
    tenant = name[start : start + length]
    return tenant if name_of(bind, tenant) == name else None


def is_common(bind: Bind, name: str) -> bool:
    """Whether a name in a catalogue is the server's, everybody's or scratch: never a tenant's that
    a pattern could mean."""
    assert bind.tenancy is not None
    return (
        name.lower() in _reserved(bind)
        or name in _COMMON[bind.tenancy]
        or name.startswith(SCRATCH_PREFIX)
        or (bind.tenancy == "schema" and name.startswith("pg_"))
    )


def fault_of(bind: Bind, tenant: str, name: str) -> str | None:
    """What is wrong with a tenant's name, or with the schema's or database's; None when nothing."""
    if not tenant.strip():
        return "a tenant's name is empty"
    # Most names are plain; only for others each character is looked at.
    odd = None if name.isprintable() else _odd(name)
    if odd is not None:
        return odd
    if bind.family is None:
        return None
    limit = NAME_LIMIT[bind.family]
    size = len(name.encode()) if bind.family == "postgresql" else len(name)
    if size > limit:
        unit = "bytes" if bind.family == "postgresql" else "characters"
        return f"the name {name!r} has {size} {unit}, and {bind.family} takes {limit}"
    if name.lower() in _reserved(bind):
        return f"the {bind.tenancy} {name!r} belongs to the server itself"
    return _mysql_fault(name) if bind.family == "mysql" else _postgresql_fault(bind, name)


def _reserved(bind: Bind) -> frozenset[str]:
    if bind.family == "mysql":
        return _MYSQL_DATABASES
    return _POSTGRESQL_SCHEMAS if bind.tenancy == "schema" else _POSTGRESQL_DATABASES


def _odd(name: str) -> str | None:
    kinds = {unicodedata.category(letter) for letter in name}
    return f"the name {name!r} holds a control character" if kinds & _REFUSED else None


def _mysql_fault(name: str) -> str | None:
    # MySQL 8.4 manual, 11.2 "Schema Object Names".
    if name.endswith(" "):
        return f"the name {name!r} ends with a space, which MySQL refuses"
    if max(name) >= _BEYOND_BASIC:
        return f"the name {name!r} holds a character above U+FFFF, which MySQL refuses"
    return None


def _postgresql_fault(bind: Bind, name: str) -> str | None:
    # PostgreSQL 18 manual, CREATE SCHEMA.
    if bind.tenancy == "schema" and name.startswith("pg_"):
        return f"the name {name!r} starts with pg_, which PostgreSQL keeps for itself"
    return None
