"""emails ignore case, closed accounts stay

Revision ID: e8ed155b1c22
Revises: 1737d8e54925
Create Date: 2025-07-01 16:55:31.640027

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "e8ed155b1c22"
down_revision: str | Sequence[str] | None = "1737d8e54925"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "users", sa.Column("full_name", sa.String(length=200), server_default="", nullable=False)
    )
    op.add_column(
        "users",
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Set when the account was closed; the row stays",
        ),
    )
    op.drop_constraint(op.f("uq_users_email"), "users", type_="unique")
    op.create_index("uq_users_email_lower", "users", [sa.text("lower(email)")], unique=True)
    op.create_index(
        "ix_users_signed_in",
        "users",
        ["organisation_id", "last_login_at"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_users_signed_in", table_name="users")
    op.drop_index("uq_users_email_lower", table_name="users")
    op.create_unique_constraint(op.f("uq_users_email"), "users", ["email"])
    op.drop_column("users", "deleted_at")
    op.drop_column("users", "full_name")
