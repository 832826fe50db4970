"""All rules of lint.

Enters: nothing.  Leaves: `all_rules()`: what the files of `rules/` register, by name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from orchestrator.checks.lint.registry import REGISTERED, Rule

_FOLDER = "orchestrator.checks.lint.rules"


@cache
def all_rules() -> Mapping[str, Rule]:
    """Every rule by its name, sorted. A file in the folder is a rule: nothing else lists it."""
    for found in pkgutil.iter_modules(importlib.import_module(_FOLDER).__path__):
        importlib.import_module(f"{_FOLDER}.{found.name}")
    return dict(sorted(REGISTERED.items()))
