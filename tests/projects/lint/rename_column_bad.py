"""A column has another name."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column("users", "name", new_column_name="title", existing_type=sa.String(50))  # finds: rename-column


def downgrade() -> None:
    op.alter_column("users", "title", new_column_name="name", existing_type=sa.String(50))
