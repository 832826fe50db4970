"""The web application: `uvicorn apps.main:app`. Migrations never import this module.

Enters: HTTP requests; a tenant's requests carry the header X-Tenant.  Leaves: JSON.
"""

from __future__ import annotations

from fastapi import FastAPI

from apps.catalog.routes import router as catalog
from apps.organisations.routes import router as organisations

app = FastAPI(title="Shop")
app.include_router(organisations)
app.include_router(catalog)
