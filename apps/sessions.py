"""Sessions on the application's databases: enters a bind (and a tenant), leaves a Session.

The URLs come from the same variables that databases.yaml reads.
"""

from __future__ import annotations

import os
from functools import cache

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session


@cache
def _engine(variable: str) -> Engine:
    return create_engine(os.environ[variable], pool_pre_ping=True)


def main_session() -> Session:
    """A session on the database that all tenants share."""
    return Session(_engine("MAIN_URL"))


def shop_session(tenant: str) -> Session:
    """A session in which the shop's tables are those of one tenant's schema."""
    engine = _engine("SHOP_URL").execution_options(schema_translate_map={None: f"t_{tenant}"})
    return Session(engine)
