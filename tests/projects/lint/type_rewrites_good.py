"""PostgreSQL leaves the rows as they are."""

# on: postgresql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column("users", "name", type_=sa.Text, existing_type=sa.String(50))
    op.alter_column("orders", "total", type_=sa.Numeric(12, 2), existing_type=sa.Numeric(10, 2))


def downgrade() -> None:
    op.alter_column("orders", "total", type_=sa.Numeric(10, 2), existing_type=sa.Numeric(12, 2))
    op.alter_column("users", "name", type_=sa.String(50), existing_type=sa.Text)
