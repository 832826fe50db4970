"""databases.yaml -> Config: the only place that knows YAML and environment variables."""

from orchestrator.config.flavour import Family, Flavour
from orchestrator.config.types import (
    Apps,
    Bind,
    Config,
    Deferred,
    Drift,
    Lint,
    Rollout,
    Server,
    Tenancy,
    TenantEntry,
    TenantQuery,
    TenantSource,
    Wave,
    Where,
)

__all__ = [
    "Apps",
    "Bind",
    "Config",
    "Deferred",
    "Drift",
    "Family",
    "Flavour",
    "Lint",
    "Rollout",
    "Server",
    "Tenancy",
    "TenantEntry",
    "TenantQuery",
    "TenantSource",
    "Wave",
    "Where",
]
