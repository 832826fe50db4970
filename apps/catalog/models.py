"""Models of the catalogue (a schema for each tenant)."""

from __future__ import annotations

import enum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Enum,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from apps.database import CreatedAt, Money, ShopBase


class ProductStatus(enum.Enum):
    """Whether customers see a product."""

    draft = "draft"
    published = "published"
    retired = "retired"


product_categories = Table(
    "product_categories",
    ShopBase.metadata,
    Column("product_id", ForeignKey("products.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "category_id", ForeignKey("categories.id", ondelete="CASCADE"), primary_key=True, index=True
    ),
    comment="Which products stand in which categories",
)


class Category(ShopBase):
    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(
        ForeignKey("categories.id", ondelete="SET NULL"), index=True
    )
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    position: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class Product(ShopBase):
    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("price >= 0", name="price_not_negative"),
        Index("ix_products_attributes", "attributes", postgresql_using="gin"),
        Index("ix_products_name_lower", text("lower(name)")),
        Index(
            "ix_products_published",
            "status",
            "created_at",
            postgresql_where=text("status = 'published'"),
        ),
        {"comment": "What can be bought"},
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    sku: Mapped[str] = mapped_column(String(64), unique=True, comment="Stock keeping unit")
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[ProductStatus] = mapped_column(
        Enum(ProductStatus, name="product_status"), server_default="draft"
    )
    price: Mapped[Money]
    tags: Mapped[list[str]] = mapped_column(
        ARRAY(String(40)), server_default=text("'{}'::character varying[]")
    )
    attributes: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    created_at: Mapped[CreatedAt]

    categories: Mapped[list[Category]] = relationship(secondary=product_categories)
