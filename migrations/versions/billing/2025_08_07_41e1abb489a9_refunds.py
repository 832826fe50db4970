"""refunds

Revision ID: 41e1abb489a9
Revises: 23c9465d8331
Create Date: 2025-08-07 11:47:06.023311

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "41e1abb489a9"
down_revision: str | Sequence[str] | None = "23c9465d8331"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.alter_column(
        "invoices",
        "status",
        existing_type=sa.Enum("draft", "open", "paid", "void", name="invoice_status"),
        type_=sa.Enum("draft", "open", "paid", "void", "refunded", name="invoice_status"),
        existing_nullable=False,
        existing_server_default="draft",
    )
    op.drop_constraint(op.f("ck_payments_amount_positive"), "payments", type_="check")
    op.create_check_constraint(op.f("ck_payments_amount_not_zero"), "payments", "amount <> 0")
    op.alter_column(
        "payments",
        "amount",
        existing_type=sa.Numeric(precision=12, scale=2),
        existing_nullable=False,
        comment="Negative for a refund",
    )


def downgrade() -> None:
    op.execute("DELETE FROM payments WHERE amount < 0")
    op.alter_column(
        "payments",
        "amount",
        existing_type=sa.Numeric(precision=12, scale=2),
        existing_nullable=False,
        comment=None,
        existing_comment="Negative for a refund",
    )
    op.drop_constraint(op.f("ck_payments_amount_not_zero"), "payments", type_="check")
    op.create_check_constraint(op.f("ck_payments_amount_positive"), "payments", "amount > 0")
    op.execute("UPDATE invoices SET status = 'void' WHERE status = 'refunded'")
    op.alter_column(
        "invoices",
        "status",
        existing_type=sa.Enum("draft", "open", "paid", "void", "refunded", name="invoice_status"),
        type_=sa.Enum("draft", "open", "paid", "void", name="invoice_status"),
        existing_nullable=False,
        existing_server_default="draft",
    )
