"""A valid CHECK says so already."""

# on: postgresql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column("users", "age", existing_type=sa.Integer, nullable=False)


def downgrade() -> None:
    op.alter_column("users", "age", existing_type=sa.Integer, nullable=True)
