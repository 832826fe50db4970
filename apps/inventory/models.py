"""Models of the stock (a schema for each tenant)."""

from __future__ import annotations

import enum
import uuid

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from apps.database import CreatedAt, ShopBase


class MovementReason(enum.Enum):
    """Why a stock level changed."""

    purchase = "purchase"
    sale = "sale"
    correction = "correction"


class StockLevel(ShopBase):
    __tablename__ = "stock_levels"
    __table_args__ = (
        CheckConstraint("on_hand >= reserved AND reserved >= 0", name="reserved_is_on_hand"),
    )

    warehouse: Mapped[str] = mapped_column(String(20), primary_key=True)
    product_id: Mapped[int] = mapped_column(
        ForeignKey("products.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    on_hand: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    reserved: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class StockMovement(ShopBase):
    __tablename__ = "stock_movements"
    __table_args__ = (
        Index("ix_stock_movements_product_id_created_at", "product_id", "created_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id", ondelete="CASCADE"))
    warehouse: Mapped[str] = mapped_column(String(20))
    reason: Mapped[MovementReason] = mapped_column(
        Enum(MovementReason, name="reason_known", native_enum=False, create_constraint=True)
    )
    quantity: Mapped[int] = mapped_column(Integer, comment="Negative when goods leave")
    order_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("orders.id", ondelete="SET NULL"), index=True
    )
    created_at: Mapped[CreatedAt]
