"""Models of organisations (database main)."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, String, Text, Uuid, text, true
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from apps.database import Base, CreatedAt


class Organisation(Base):
    __tablename__ = "organisations"
    __table_args__ = (
        CheckConstraint("slug ~ '^[a-z][a-z0-9_]*$'", name="slug_is_identifier"),
        Index("ix_organisations_domains", "domains", postgresql_using="gin"),
        {"comment": "Customers of the shop platform; slug names the tenant"},
    )

    id: Mapped[uuid.UUID] = mapped_column(
        Uuid, primary_key=True, server_default=text("gen_random_uuid()")
    )
    slug: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    plan_code: Mapped[str] = mapped_column(
        ForeignKey("subscription_plans.code", ondelete="RESTRICT"), index=True
    )
    active: Mapped[bool] = mapped_column(Boolean, server_default=true())
    domains: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'::text[]"))
    settings: Mapped[dict[str, Any]] = mapped_column(
        JSONB, server_default=text("'{}'::jsonb"), comment="What the organisation chose itself"
    )
    created_at: Mapped[CreatedAt]
