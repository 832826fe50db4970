"""tax, terms and invoice series

Revision ID: 23c9465d8331
Revises: 0fa9ca878fad
Create Date: 2025-04-08 15:02:33.716490

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "23c9465d8331"
down_revision: str | Sequence[str] | None = "0fa9ca878fad"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

series = sa.table(
    "invoice_series",
    sa.column("code", sa.String()),
    sa.column("prefix", sa.String()),
    sa.column("next_number", sa.Integer()),
    sa.Column("footer", sa.Text(), default="Please pay by {due_on}.\n\tThank you!\\"),
    sa.column("options", sa.JSON()),
    sa.column("logo", sa.LargeBinary()),
)


def upgrade() -> None:
    op.create_table(
        "invoice_series",
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("prefix", sa.String(length=12), nullable=False),
        sa.Column("next_number", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("footer", sa.Text(), nullable=True, comment="Template; {due_on} is filled in"),
        sa.Column("options", sa.JSON(), nullable=True),
        sa.Column("logo", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("next_number > 0", name=op.f("ck_invoice_series_next_number_positive")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_invoice_series")),
        sa.UniqueConstraint("prefix", name=op.f("uq_invoice_series_prefix")),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
    )
    op.bulk_insert(
        series,
        [
            {
                "code": "standard",
                "prefix": "INV-",
                "next_number": 1000,
                "options": {
                    "reminders": [7, 14],
                    "note": '2% / 10 days, it\'s "net 30"',
                    "bank": None,
                },
                "logo": bytes.fromhex("89504e470d0a1a0a00ff27225c25"),
            },
            {"code": "credit", "prefix": "CRN-", "next_number": 1, "options": None, "logo": None},
        ],
    )
    op.add_column(
        "invoices",
        sa.Column(
            "tax_rate", sa.Numeric(precision=5, scale=2), server_default="20.00", nullable=False
        ),
    )
    op.create_check_constraint(
        op.f("ck_invoices_tax_rate_is_percent"), "invoices", "tax_rate BETWEEN 0 AND 100"
    )
    op.add_column("invoices", sa.Column("terms", sa.Text(), nullable=True))
    op.add_column("invoices", sa.Column("series_code", sa.String(length=20), nullable=True))
    op.create_index(op.f("ix_invoices_series_code"), "invoices", ["series_code"])
    op.create_foreign_key(
        op.f("fk_invoices_series_code_invoice_series"),
        "invoices",
        "invoice_series",
        ["series_code"],
        ["code"],
        ondelete="RESTRICT",
    )
    op.execute(
        "UPDATE invoices SET series_code = 'standard',"
        " terms = '3% discount\\: \"10 days\"; it''s final'"
        " WHERE number LIKE 'INV-%'"
    )


def downgrade() -> None:
    op.drop_constraint(
        op.f("fk_invoices_series_code_invoice_series"), "invoices", type_="foreignkey"
    )
    op.drop_index(op.f("ix_invoices_series_code"), table_name="invoices")
    op.drop_column("invoices", "series_code")
    op.drop_column("invoices", "terms")
    op.drop_constraint(op.f("ck_invoices_tax_rate_is_percent"), "invoices", type_="check")
    op.drop_column("invoices", "tax_rate")
    op.drop_table("invoice_series")
