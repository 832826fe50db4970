"""HTTP routes of organisations."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy import select

from apps.organisations.models import Organisation
from apps.sessions import main_session

router = APIRouter(prefix="/organisations", tags=["organisations"])


@router.get("")
def list_organisations() -> list[dict[str, Any]]:
    """The active organisations, with their plans."""
    query = select(Organisation).where(Organisation.active).order_by(Organisation.slug)
    with main_session() as session:
        return [
            {"slug": one.slug, "name": one.name, "plan": one.plan_code}
            for one in session.scalars(query)
        ]
