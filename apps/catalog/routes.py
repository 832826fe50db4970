"""HTTP routes of the catalogue."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException
from sqlalchemy import select

from apps.catalog.models import Product
from apps.organisations.models import Organisation
from apps.sessions import main_session, shop_session

router = APIRouter(prefix="/products", tags=["catalog"])


@router.get("")
def list_products(x_tenant: Annotated[str, Header()]) -> list[dict[str, Any]]:
    """The products of the tenant that the request names."""
    with main_session() as session:
        known = select(Organisation.id).where(Organisation.slug == x_tenant, Organisation.active)
        if session.scalar(known) is None:
            raise HTTPException(status_code=404, detail="no such tenant")
    with shop_session(x_tenant) as session:
        return [
            {"sku": one.sku, "name": one.name, "price": str(one.price)}
            for one in session.scalars(select(Product).order_by(Product.name))
        ]
