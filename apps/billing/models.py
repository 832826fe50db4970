"""Models of billing: plans (database main); invoices and payments (a database for each tenant)."""

from __future__ import annotations

import enum
import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from apps.database import MYSQL_OPTIONS, Base, CreatedAt, CreatedAtMicroseconds, Money


class InvoiceStatus(enum.Enum):
    """The life of an invoice."""

    draft = "draft"
    open = "open"
    paid = "paid"
    void = "void"
    refunded = "refunded"


class PaymentMethod(enum.Enum):
    """How money came in."""

    card = "card"
    transfer = "transfer"
    direct_debit = "direct_debit"


class SubscriptionPlan(Base):
    """The plans are the same for all tenants, so they stand beside the organisations."""

    __tablename__ = "subscription_plans"
    __bind_key__ = "main"
    __table_args__ = (CheckConstraint("monthly_price >= 0", name="price_not_negative"),)

    code: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    monthly_price: Mapped[Money] = mapped_column(server_default=text("0"))
    features: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    created_at: Mapped[CreatedAt]


class InvoiceSeries(Base):
    """How invoices are numbered and what stands below them; a tenant may have several."""

    __tablename__ = "invoice_series"
    __table_args__ = (
        UniqueConstraint("prefix"),
        CheckConstraint("next_number > 0", name="next_number_positive"),
        dict(MYSQL_OPTIONS),
    )

    code: Mapped[str] = mapped_column(String(20), primary_key=True)
    prefix: Mapped[str] = mapped_column(String(12))
    next_number: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    footer: Mapped[str | None] = mapped_column(Text, comment="Template; {due_on} is filled in")
    options: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    logo: Mapped[bytes | None] = mapped_column(LargeBinary)


class Invoice(Base):
    __tablename__ = "invoices"
    __table_args__ = (
        UniqueConstraint("number"),
        CheckConstraint("tax_rate BETWEEN 0 AND 100", name="tax_rate_is_percent"),
        Index("ix_invoices_status_due_on", "status", "due_on"),
        {"comment": "What the tenant's customers owe", **MYSQL_OPTIONS},
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    order_id: Mapped[uuid.UUID] = mapped_column(
        Uuid, index=True, comment="orders.id in the tenant's schema of the shop database"
    )
    series_code: Mapped[str | None] = mapped_column(
        ForeignKey("invoice_series.code", ondelete="RESTRICT"), index=True
    )
    number: Mapped[str] = mapped_column(String(32))
    status: Mapped[InvoiceStatus] = mapped_column(
        Enum(InvoiceStatus, name="invoice_status"), server_default="draft"
    )
    currency: Mapped[str] = mapped_column(String(3), server_default="EUR")
    tax_rate: Mapped[Decimal] = mapped_column(Numeric(5, 2), server_default="20.00")
    issued_on: Mapped[date | None] = mapped_column(Date)
    due_on: Mapped[date | None] = mapped_column(Date)
    terms: Mapped[str | None] = mapped_column(Text)
    pdf: Mapped[bytes | None] = mapped_column(LargeBinary, comment="The document as it was sent")
    created_at: Mapped[CreatedAtMicroseconds]

    lines: Mapped[list[InvoiceLine]] = relationship(
        order_by="InvoiceLine.position", passive_deletes=True
    )


class InvoiceLine(Base):
    __tablename__ = "invoice_lines"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        dict(MYSQL_OPTIONS),
    )

    invoice_id: Mapped[int] = mapped_column(
        ForeignKey("invoices.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    description: Mapped[str] = mapped_column(String(300))
    quantity: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    unit_price: Mapped[Money]


class Payment(Base):
    __tablename__ = "payments"
    __table_args__ = (
        UniqueConstraint("provider", "provider_reference"),
        CheckConstraint("amount <> 0", name="amount_not_zero"),
        dict(MYSQL_OPTIONS),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    invoice_id: Mapped[int] = mapped_column(
        ForeignKey("invoices.id", ondelete="RESTRICT"), index=True
    )
    method: Mapped[PaymentMethod] = mapped_column(
        Enum(PaymentMethod, name="method_known", native_enum=False, create_constraint=True)
    )
    provider: Mapped[str] = mapped_column(String(40))
    provider_reference: Mapped[str] = mapped_column(String(100))
    amount: Mapped[Money] = mapped_column(comment="Negative for a refund")
    payload: Mapped[dict[str, Any] | None] = mapped_column(
        JSON, comment="The provider's message, as it came"
    )
    received_at: Mapped[datetime] = mapped_column(DateTime)
