from decimal import Decimal

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Computed,
    Enum,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    Sequence,
    String,
    Table,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import Column

from apps.database import Base, order_numbers, status


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("total >= 0", name="total_positive"),
        UniqueConstraint("number"),
        Index("ix_open_orders", "id", postgresql_where=text("status = 'new'")),
        {"comment": "What customers bought", "info": {"rows": "many"}, "mysql_engine": "InnoDB"},
    )
    id: Mapped[int] = mapped_column(Identity(start=10), primary_key=True)
    number: Mapped[int] = mapped_column(server_default=order_numbers.next_value())
    email: Mapped[str] = mapped_column(String(100), index=True, comment="Where the bill goes")
    status: Mapped[str] = mapped_column(status)
    total: Mapped[Decimal] = mapped_column(Numeric(10, 2), server_default=text("0"))
    gross: Mapped[Decimal] = mapped_column(Numeric(10, 2), Computed("total * 1.2", persisted=True))
    kind: Mapped[str] = mapped_column(Enum("a", "b", name="kind", schema="types"))


Index("ix_orders_lower_email", func.lower(Order.email), info={"why": "login"})

lines = Table(
    "order_lines",
    Base.metadata,
    Column("id", postgresql.UUID(), primary_key=True),
    Column("order_id", ForeignKey(Order.id, ondelete="CASCADE"), nullable=False),
    Column("position", Integer, Sequence("line_positions"), nullable=False),
    Column("status", status),
    Column("before", postgresql.ARRAY(status)),
    Column("gift", Boolean),
    schema="sales",
    prefixes=["/* kept */"],
)
